"""What adds routing metadata to an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, Self, runtime_checkable

from pointsman.base.registry import Registry
from pointsman.cel.program import Program
from pointsman.state.base import Backing, Store

__all__ = [
    "AHEAD",
    "COUNTS",
    "SEES",
    "Batched",
    "Binds",
    "Enricher",
    "Remembers",
    "Tables",
    "enrichers",
    "optional_of",
]

Tables = Mapping[str, Mapping[str, Any]]
"""The rows of every table, by table and key, as they stand for one batch."""

COUNTS: Final = 1
"""The event changes what is remembered."""
SEES: Final = 0
"""The event sees what is remembered and changes nothing: it is redriven, or a duplicate."""
AHEAD: Final = -1
"""The same for an event that is dated further ahead of its record than `source.max_ahead`."""


class Enricher(Protocol):
    """Computes one metadata field of an event.

    A class is registered under its key in `enrich.<field>` and has a `Config` dataclass; it is built with
    `from_config(config)`. What was built is one of three: it `Binds`, it `Remembers` or it is `Batched`.

    The engine evaluates `inputs` for each event; where one has no value, the field is the default. An
    enricher may have `optional`, further expressions: where one of those has no value, MISSING is handed on.
    One with `aged = True` is handed the event's age before them: how many milliseconds it is older than its
    record, at least 0. One with `mistyped = True` is handed a field of another type than declared as a
    Mistyped, not as MISSING.
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


@runtime_checkable
class Binds(Enricher, Protocol):
    """An enricher whose value follows from one event and the tables."""

    def bind(self, tables: Tables) -> Callable[..., Any] | None:
        """The function from the inputs' values to the field's value, or None where the only input is the
        value itself.

        It does not block; it may raise EvalError: the field is then absent and the record names the error.
        """


@runtime_checkable
class Remembers(Enricher, Protocol):
    """An enricher whose value also follows from earlier events of the same partition."""

    optional: tuple[Program, ...]
    definition: str
    """What the meaning of its stored bytes depends on; when that changes, an empty store begins."""

    def store(self, backing: Backing) -> Store:
        """What is remembered of one partition."""

    def recall(self, store: Store, tables: Tables) -> Callable[..., Any]:
        """The function from an event to the field's value, for one batch.

        It is called as `see(when, counts, *inputs, *optional)`: the event's time in milliseconds since 1970,
        one of COUNTS, SEES and AHEAD, and the values. It does not block. It may return MISSING: the field is
        absent, and that is no error. It may raise EvalError before it has changed anything: the field is
        absent and the record names the error.
        """


@runtime_checkable
class Batched(Enricher, Protocol):
    """An enricher whose values are asked for once for all events of a batch, of a function that is opened
    with the pipeline: a person's Python, or a model in this process."""

    optional: tuple[Program, ...]
    whole: bool
    """Whether a row is the enriched event, as Python hooks are handed it; else it is the tuple of the values
    of `inputs` and `optional`."""

    def asks(self, function: Callable[..., Any]) -> Callable[[list[Any]], Sequence[Any]]:
        """The function from the rows of a batch to as many values, in order, over what was opened.

        It may block. An exception in the place of a value stands for that row alone; what it raises stands
        for every row.
        """


def optional_of(enricher: Enricher) -> tuple[Program, ...]:
    """The expressions of an enricher that may have no value."""
    found: tuple[Program, ...] = getattr(enricher, "optional", ())
    return found


enrichers: Registry[Enricher] = Registry("enricher", "pointsman.enrich")
