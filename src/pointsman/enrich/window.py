"""`FIELD: {window: {key, over, sum: …}}`: what earlier events of the same key were, in event time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pointsman.base.config import Choice, Duration, Expression, Flag, MapOf, Nested, Number, OneOf
from pointsman.base.config import key as declare
from pointsman.base.errors import Misfit
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING
from pointsman.enrich.base import Tables, enrichers
from pointsman.state.base import Backing
from pointsman.state.memory import Memory
from pointsman.state.window import BARE, KINDS, Aggregate, Window
from pointsman.state.window_cells import cells_of
from pointsman.state.window_exact import ExactStore
from pointsman.state.window_store import WindowStore

__all__ = ["AggregateKeys", "Over", "WindowKeys", "Windowed", "plan"]


@dataclass(frozen=True, slots=True)
class AggregateKeys:
    """One number over the events of a window; a value that is absent, null or no number is left out of it."""

    count: Program | None = declare(
        Expression(), "Events where this has a value; `true` counts all.", default=None, example="true"
    )
    sum: Program | None = declare(
        Expression(), "The sum, a double; 0.0 of nothing.", default=None, example="amount"
    )
    mean: Program | None = declare(Expression(), "The mean.", default=None, example="amount")
    min: Program | None = declare(Expression(), "The smallest.", default=None, example="amount")
    max: Program | None = declare(Expression(), "The largest.", default=None, example="amount")
    std: Program | None = declare(
        Expression(),
        "The sample's standard deviation; absent below two values.",
        default=None,
        example="amount",
    )
    last: Program | None = declare(
        Expression(), "The value of the newest event that has one.", default=None, example="amount"
    )
    rate: Program | None = declare(
        Expression(), "Events a second where this has a value.", default=None, example="true"
    )
    since_last: Program | None = declare(
        Expression(),
        "Seconds since the last earlier event where this has a value.",
        default=None,
        example="true",
    )
    distinct: Program | None = declare(
        Expression(),
        "How many different values: exact up to 90 a sub-bucket, then with a standard error of 3.25 %.",
        default=None,
        example="device",
    )
    quantile: Program | None = declare(
        Expression(), "The quantile `q`, with a relative error of 1 %.", default=None, example="rtt"
    )
    q: float | None = declare(Number(0, 1), "Which quantile; 0.5 by default.", default=None, example="0.95")


@dataclass(frozen=True, slots=True)
class Over(AggregateKeys):
    """A span of event time, and what is computed over it: one aggregate, or `aggregate` with several."""

    over: float | None = declare(
        Duration(), "How far the window reaches back from each event.", default=None, example="1h"
    )
    every: float | None = declare(
        Duration(),
        "Windows that follow one another instead, aligned to 1970, so long each; `over` is left out.",
        default=None,
        example="1h",
    )
    bucket: float | str | None = declare(
        OneOf((Choice(("exact",)), Duration())),
        "How finely time is cut, which is the error at the window's old end: by default a sixtieth of "
        "`over`; `exact` keeps every event.",
        default=None,
        example="10s",
    )
    where: Program | None = declare(
        Expression("bool"),
        "Which events count; the others see the value.",
        default=None,
        example='event_type == "declined"',
    )
    include: bool = declare(
        Flag(), "Whether the value at an event counts the event itself.", default=True, example="false"
    )
    aggregate: Mapping[str, Any] | None = declare(
        MapOf(OneOf((Choice(BARE), Nested(AggregateKeys))), least=1),
        "Several aggregates over one scan, by name: the field is a map. `count`, `rate` and `since_last` "
        "alone are about all events.",
        default=None,
        example="{n: count, devices: {distinct: device}}",
    )


@dataclass(frozen=True, slots=True)
class WindowKeys(Over):
    """A window for each value of `key`."""

    key: Program = declare(
        Expression(), "Whose events go together; `source.key`, or another one with `repartition`.",
        example="user_id",
    )  # fmt: skip
    repartition: bool = declare(
        Flag(),
        "Sends events through a topic of their own, so that all events of another key than `source.key` "
        "reach the same worker.",
        default=False,
        example="true",
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """A window, and the expressions of the values that its events bring.

    Attributes:
        values: In the order of `Aggregate.value`.
        definition: What its stored bytes depend on.
    """

    window: Window
    values: tuple[Program, ...]
    definition: str


def plan(over: Over) -> Plan:
    """What `over` asks for; raises a Misfit where its keys do not go together."""
    values: dict[str, Program] = {}
    aggregates = tuple(_aggregates(over, values))
    if over.over is None and over.every is None:
        raise Misfit("E215", "the window has no length", "give over: 1h, or every: 1h for windows in a row")
    if over.every is not None and over.over not in (None, over.every):
        hint = "keep every for windows in a row, or over for one that ends at each event"
        raise Misfit("E215", "'over' and 'every' differ", hint)
    if over.every is not None and over.bucket is not None:
        raise Misfit("E215", "a window with 'every' is one sub-bucket long", "leave bucket out")
    window = Window.of(
        _ms(over.over or over.every or 0.0),
        aggregates,
        len(values),
        bucket=_ms(over.bucket) if isinstance(over.bucket, float) else None,
        tumbling=over.every is not None,
        exact=over.bucket == "exact",
        where=over.where is not None,
        include=over.include,
    )
    _bounded(window)
    texts = list(values)
    definition = {
        "version": 1,
        "over": window.over,
        "bucket": window.bucket,
        "form": "exact" if window.exact else "tumbling" if window.tumbling else "sliding",
        "where": None if over.where is None else over.where.text,
        "aggregates": [[one.kind, None if one.value is None else texts[one.value]] for one in aggregates],
    }
    return Plan(window, tuple(values.values()), json.dumps(definition))


_MOST_NUMBERS: Final = 110
"""Of a sub-bucket; each takes 9 bytes of a record of 1 KiB."""

_MOST_VALUES: Final = 97
"""Of an event of an exact window; each takes 10 bytes of the 980 that a record has for events."""


def _bounded(window: Window) -> None:
    """Raises a Misfit where what is kept does not fit into a record."""
    if window.exact:
        found, most = len(ExactStore(window, Memory()).uses), _MOST_VALUES
        what = f"the window keeps {found} values of each event"
    else:
        found = sum(len(cell.fields) for cell in cells_of(window) if not cell.sketch)
        most, what = _MOST_NUMBERS, f"the window keeps {found} numbers in each sub-bucket"
    if found > most:
        raise Misfit("E205", f"{what}, of at most {most}", "spread the aggregates over several fields")


def _aggregates(over: Over, values: dict[str, Program]) -> list[Aggregate]:
    alone = [kind for kind in KINDS if getattr(over, kind) is not None]
    if over.aggregate is None:
        return [_aggregate(over, None, values)]
    if alone or over.q is not None:
        raise Misfit(
            "E215",
            f"'{(alone or ['q'])[0]}' and 'aggregate' stand side by side",
            "name it under aggregate, such as aggregate: {total: {sum: amount}}",
        )
    return [
        Aggregate(given, None, name) if isinstance(given, str) else _aggregate(given, name, values)
        for name, given in over.aggregate.items()
    ]


def _aggregate(given: AggregateKeys, name: str | None, values: dict[str, Program]) -> Aggregate:
    kinds = [kind for kind in KINDS if getattr(given, kind) is not None]
    whose = "the window" if name is None else f"the aggregate '{name}'"
    if len(kinds) != 1:
        what = f"has both '{kinds[0]}' and '{kinds[1]}'" if kinds else "computes nothing"
        hint = (
            "write several under aggregate, each with a name" if kinds else f"give one of {', '.join(KINDS)}"
        )
        raise Misfit("E215", f"{whose} {what}", hint)
    (kind,) = kinds
    if given.q is not None and kind != "quantile":
        raise Misfit("E215", f"{whose} has a 'q' and no 'quantile'", "remove q, or write quantile")
    program: Program = getattr(given, kind)
    if kind in BARE and program.text.strip() == "true":
        return Aggregate(kind, None, name)
    values.setdefault(program.text, program)
    return Aggregate(kind, list(values).index(program.text), name, 0.5 if given.q is None else given.q)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


@enrichers.add("window")
class Windowed:
    """Adds what earlier events of the same key were, up to a span of event time back.

    An event sees the window at its own time, so one that comes late still finds its place while it is younger
    than the newest event of its key by less than `over`. One that comes later is not counted; its field is
    absent and the record names the error.
    """

    name: ClassVar[str] = "window"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The one key of `enrich.<field>: {window: …}`."""

        window: WindowKeys = declare(
            Nested(WindowKeys), "The window.", example="{key: user_id, over: 1h, sum: amount}"
        )

    def __init__(self, key: Program, where: Program | None, made: Plan) -> None:
        """Args:
        key: Whose events go together.
        where: Which events count; None: all.
        made: The window and its values.
        """
        self.window = made.window
        self.inputs: tuple[Program, ...] = (key,)
        self.optional: tuple[Program, ...] = (*(() if where is None else (where,)), *made.values)
        self.default: Any = MISSING
        self.definition = f"{key.text}\n{made.definition}"
        (first, *_) = made.window.aggregates
        self.result: str = (
            "map" if first.name is not None else "int" if first.kind in ("count", "distinct") else "double"
        )

    @classmethod
    def from_config(cls, config: Config) -> Windowed:
        """Builds the enricher of a field."""
        return cls(config.window.key, config.window.where, plan(config.window))

    @staticmethod
    def example() -> str:
        """A valid value of `enrich.<field>`, as YAML."""
        return "{window: {key: user_id, over: 1h, sum: amount}}"

    def store(self, backing: Backing) -> WindowStore | ExactStore:
        """The window's events of one partition."""
        return ExactStore(self.window, backing) if self.window.exact else WindowStore(self.window, backing)

    def recall(self, store: WindowStore | ExactStore, tables: Tables) -> Callable[..., Any]:  # noqa: ARG002  it reads none
        """The function from an event to the aggregates."""
        return store.see()
