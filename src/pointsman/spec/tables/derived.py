"""`tables.NAME: {from, key, window, stale_after}`: rows that are windows over another topic."""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.base.config import Choice, Duration, Expression, Nested, OneOf, TopicName
from pointsman.base.config import key as declare
from pointsman.base.errors import Misfit
from pointsman.cel.program import Program
from pointsman.enrich.window import Over, Windowed, plan
from pointsman.spec.tables.base import DECISIONS, tables

__all__ = ["Derived", "windowed"]


@tables.add("from")
class Derived:
    """Rows that are windows over the records of another topic, one for each key, as they stand now.

    Expressions see a record's value as `event` (a bare name is a field of it), its Kafka key as `key`, its
    timestamp as `now`, which is also the time that the window goes by. With `$decisions`, the pipeline's own
    decision records, they see `event`, `metadata`, `decision` and `result`. Every worker reads all
    partitions, from as far back as the window reaches.
    """

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `tables.<name>: {from: …}`."""

        from_: str = declare(
            OneOf((Choice((DECISIONS,)), TopicName())),
            "A topic of JSON objects, or `$decisions`: what this pipeline has decided.",
            example="probes",
        )
        key: Program = declare(Expression(), "The row that a record belongs to.", example="event.cell_id")
        window: Over = declare(
            Nested(Over),
            "What a row holds: the columns are those named under `aggregate`.",
            example="{over: 1m, aggregate: {rtt: {quantile: event.rtt, q: 0.95}}}",
        )
        stale_after: float | None = declare(
            Duration(),
            "A row is absent when no record of its key came for so long; left out: as long as the window.",
            default=None,
            example="30s",
        )

    @staticmethod
    def example() -> str:
        """A valid value of `tables.<name>`, as YAML."""
        return (
            "{from: probes, key: cell_id, window: {over: 1m, aggregate: {rtt: {quantile: rtt, q: 0.95}}}, "
            "stale_after: 30s}"
        )


def windowed(config: Derived.Config) -> Windowed:
    """The window that the rows are; raises a Misfit where its keys do not go together."""
    if config.window.aggregate is None:
        raise Misfit(
            "E215",
            "a row needs columns, and the window has no 'aggregate'",
            "name what it computes, such as aggregate: {total: {sum: amount}}",
            ("window",),
        )
    return Windowed(config.key, config.window.where, plan(config.window))
