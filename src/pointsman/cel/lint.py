"""What is wrong with an expression, said to a person who may know Python better than CEL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pointsman.cel.check import Rejected
from pointsman.cel.problems import Problem
from pointsman.cel.tree import Node

if TYPE_CHECKING:
    from pointsman.cel.program import Scope

__all__ = ["explain", "lint"]


def explain(text: str, rejected: Rejected, scope: Scope) -> list[Problem]:
    """Returns the library's complaints as problems for a person."""
    return [
        Problem(max(offset, 0), 1, "E301" if "undeclared" in words else "E300", words)
        for offset, words in rejected.complaints
    ]


def lint(text: str, root: Node, scope: Scope, want: str | None) -> list[Problem]:
    """Returns what the declared types show to be wrong or odd in a checked expression."""
    return []
