"""One code that a finding may carry, as the catalogue has it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """One code.

    Attributes:
        title: What it says, in a few words.
        cause: Why it comes.
        fix: What to do.
        wrong: A piece of a document that gives it; empty where a document alone cannot show it.
        right: The same, mended.
    """

    title: str
    cause: str
    fix: str
    wrong: str = ""
    right: str = ""
