"""What adds routing metadata to an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, Self

from pointsman.base.registry import Registry
from pointsman.cel.program import Program

__all__ = ["Enricher", "Tables", "enrichers"]

Tables = Mapping[str, Mapping[str, Any]]
"""The rows of every table, by table and key, as they stand for one batch."""


class Enricher(Protocol):
    """Computes one metadata field of an event.

    A class is registered under its key in `enrich.<field>` and has a `Config` dataclass; it is built with
    `from_config(config)`. The engine evaluates `inputs` for each event and calls what `bind` returned with
    their values, in order.
    """

    name: ClassVar[str]
    result: str
    """The CEL type of the field it adds; `dyn` where it is not known."""

    inputs: tuple[Program, ...]
    default: Any
    """The field's value where an input has none; MISSING: the field is absent and the error is named."""

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Builds the enricher of a field from its `Config`."""

    def bind(self, tables: Tables) -> Callable[..., Any] | None:
        """The function from the inputs' values to the field's value, or None where the only input is the
        value itself.

        It does not block; it may raise EvalError: the field is then absent and the record names the error.
        """


enrichers: Registry[Enricher] = Registry("enricher", "pointsman.enrich")
