"""`FIELD: {lookup: TABLE, key, take, default}`: a row of a table, or one column of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pointsman.base.config import Anything, Expression, TableName, Text
from pointsman.base.config import key as declare
from pointsman.base.errors import EvalError
from pointsman.base.keys import key_text
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING, article, type_name
from pointsman.enrich.base import Tables, enrichers
from pointsman.state.tables import Rows

__all__ = ["Lookup"]


@enrichers.add("lookup")
class Lookup:
    """Adds what a table says about the event's key.

    Rows are named by strings; a whole number or a bool as key is looked up by its text (`17`, `true`). Where
    the key has no value, the table no row or the row no such column, the field is the default; without a
    default it is absent and the record names the error.
    """

    name: ClassVar[str] = "lookup"
    result: str = "dyn"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `enrich.<field>: {lookup: …}`."""

        lookup: str = declare(TableName(), "The table.", example="customers")
        key: Program = declare(Expression(), "The row's key.", example="user_id")
        take: str | None = declare(
            Text(), "The column to take; left out: the whole row.", default=None, example="segment"
        )
        default: Any = declare(
            Anything(),
            "The value where there is no row; left out: the field is absent.",
            default=MISSING,
            example="new",
        )

    def __init__(self, table: str, program: Program, take: str | None = None, default: Any = MISSING) -> None:
        """Args:
        table: The table's name.
        program: Gives the row's key.
        take: The column, or None for the whole row.
        default: The value where there is no row, or MISSING.
        """
        self.table = table
        self.take = take
        self.default: Any = default
        self.inputs: tuple[Program, ...] = (program,)

    @classmethod
    def from_config(cls, config: Config) -> Lookup:
        """Builds the enricher of a field."""
        return cls(config.lookup, config.key, config.take, config.default)

    @staticmethod
    def example() -> str:
        """A valid value of `enrich.<field>`, as YAML."""
        return "{lookup: customers, key: event.user_id, take: segment, default: new}"

    def bind(self, tables: Tables) -> Callable[[Any], Any]:
        """The look-up in the rows as they stand for this batch; MISSING as key means that it has no value."""
        rows = tables.get(self.table, {})
        table, take, default = self.table, self.take, self.default

        def look_up(key: Any) -> Any:
            name = key if key.__class__ is str else key_text(key)
            row = None if name is None else rows.get(name)
            if row is None:
                if default is not MISSING:
                    return default
                raise EvalError(f"no row for {_quoted(key)} in table '{table}'")
            if take is None:
                return row
            value = row.get(take, MISSING)
            if value is not MISSING:
                return value
            if default is not MISSING:
                return default
            raise EvalError(f"the row of {_quoted(key)} in table '{table}' has no '{take}'")

        if take is None:
            return look_up
        if isinstance(rows, Rows):
            column = rows.column(take)

            def look_up_value(key: Any) -> Any:
                if key.__class__ is str:
                    try:
                        return column[key]
                    except KeyError:
                        pass
                return look_up(key)

            return look_up_value

        def look_up_column(key: Any) -> Any:
            if key.__class__ is str:
                try:
                    return rows[key][take]
                except (KeyError, TypeError):  # no such row or column
                    pass
            return look_up(key)

        return look_up_column


def _quoted(key: Any) -> str:
    """The key as a message names it, cut where it is long."""
    if key is MISSING:
        return "a key without value"
    if key is None:
        return "null"
    found = key_text(key)
    if found is None:
        return article(type_name(key))
    return f"'{found if len(found) <= 60 else found[:57] + '…'}'"
