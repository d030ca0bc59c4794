"""What a policy is made of while its function is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pointsman.cel.program import Program
from pointsman.codec.base import EventDecoder
from pointsman.engine.codegen import Code
from pointsman.engine.dedupe import Dedupe
from pointsman.engine.policy import Groups, Instead, Lanes, RoutePlan
from pointsman.enrich.base import Binds, Enricher, optional_of

__all__ = ["Leg", "Parts"]


@dataclass(frozen=True, slots=True)
class Leg:
    """The part of an event's way that one function is for.

    Attributes:
        fields: The numbers of the fields that it computes.
        begins: Whether events come from the source, and nothing is known of them.
        onward: The program of the key by which events go on after it; None: it decides.
    """

    fields: range
    begins: bool = True
    onward: Program | None = None


@dataclass(slots=True)
class Parts:
    """What a policy is made of, before its function is written.

    Attributes:
        version: The policy version, as in the records.
        tables: The names of the tables, in order.
        decoder: Reads a value's used fields.
        max_bytes: The largest value that is taken.
        project: What decision records carry of an event; None: the value as it came.
        code: The function being written.
        away: Models whose events are handed over: their inputs are left out, and every event's lane is kept.
        instead: What stands for the lane that an event would take; None: that lane.
        functions: What was opened for batched fields, by field.
        max_ahead: Milliseconds that an event may be dated ahead of its record.
        part: The part of the way that the function is for; None: all of it.
    """

    id: Program | None
    key: Program | None
    time: Program | None
    enrichers: Sequence[tuple[str, Enricher]]
    routes: Sequence[RoutePlan]
    groups: Groups
    version: str
    tables: Sequence[str]
    decoder: EventDecoder
    max_bytes: int
    project: Callable[[bytes], bytes] | None
    code: Code
    away: frozenset[str] = frozenset()
    instead: Instead | None = None
    dedupe: Dedupe | None = None
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    max_ahead: int = 3_600_000
    part: Leg | None = None

    @property
    def leg(self) -> Leg:
        """The part of the way that the function is for."""
        return self.part or Leg(range(len(self.enrichers)))

    @property
    def watched(self) -> bool:
        """Whether `explain` needs to be told what the fields are, as it cannot compute them again."""
        return not all(isinstance(one, Binds) and not optional_of(one) for _, one in self.enrichers)

    def lanes(self, route: RoutePlan, reason: str) -> Lanes:
        """The lanes of `route` for `reason`."""
        return Lanes(route, reason, self.groups, self.version)

    def enriched(self, computed: int | None = None) -> str:
        """The text of the enriched event, as Python hooks are handed it, with the first `computed` fields."""
        slots = self.code.slots
        return (
            f'{{"id": ident, "time": when, "key": text_of(okey), "event": {slots.event_map()}, '
            f'"metadata": {slots.metadata_map(computed)}}}'
        )

    def context(self) -> str:
        """The text of the names that an expression evaluated on the side sees."""
        slots = self.code.slots
        roots = "".join(f", {root!r}: {local}" for root, local in slots.roots.items())
        return f'{{"event": {slots.event_map()}, "metadata": {slots.metadata_map()}{roots}}}'
