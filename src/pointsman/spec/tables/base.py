"""Where the rows of a table come from: one file a kind, named like the key that stands for it."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from pointsman.base.registry import Registry

__all__ = ["DECISIONS", "TableKind", "tables"]

DECISIONS = "$decisions"
"""What stands for the pipeline's own decision records where a topic is named."""


class TableKind(Protocol):
    """A kind of table; its `Config` has the keys of `tables.<name>`, one of them that of its name."""

    Config: ClassVar[type[Any]]

    @staticmethod
    def example() -> str:
        """A valid value of `tables.<name>`, as YAML."""


tables: Registry[TableKind] = Registry("table", "pointsman.spec.tables")
