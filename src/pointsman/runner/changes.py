"""Changes of state on their way to the changelogs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pointsman.state.base import Change

if TYPE_CHECKING:
    from pointsman.engine.decide import Decided
    from pointsman.spec.document import Document

__all__ = ["Changes", "changelog", "changes_of"]

Changes = list[tuple[int, str, Sequence[Change]]]
"""The source's partition, a store's name, and what changed in it, in order."""


def changes_of(decided: Decided) -> Changes:
    """What a batch changed."""
    return [
        (number, name, found) for (_, number), stores in decided.changes.items() for name, found in stores
    ]


def changelog(document: Document, store: str) -> str:
    """The topic that keeps a store."""
    return f"{document.pipeline}.state.{store}"
