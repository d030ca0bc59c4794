"""`FIELD: EXPRESSION`: the value of a CEL expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pointsman.base.config import Expression, key
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING
from pointsman.enrich.base import Tables, enrichers

__all__ = ["Expr"]


@enrichers.add("expr")
class Expr:
    """Adds what an expression over the event, earlier metadata and the tables gives."""

    name: ClassVar[str] = "expr"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The one key of an enricher that is written as an expression alone."""

        expr: Program = key(Expression(), "The field's value.", example="amount > 5000.0")

    def __init__(self, program: Program) -> None:
        """Args:
        program: The compiled expression.
        """
        self.inputs: tuple[Program, ...] = (program,)
        self.result: str = program.result
        self.default: Any = MISSING

    @classmethod
    def from_config(cls, config: Config) -> Expr:
        """Builds the enricher of a field."""
        return cls(config.expr)

    @staticmethod
    def example() -> str:
        """A valid value of `enrich.<field>`, as YAML."""
        return '\'event.amount > 5000.0 ? "high" : "low"\''

    def bind(self, tables: Tables) -> None:  # noqa: ARG002  # the expression reads tables by itself
        """Nothing to call: the input is the value."""
        return
