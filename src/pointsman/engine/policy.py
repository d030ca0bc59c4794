"""A policy in force: all of routes, strategies and models that can be prepared before an event comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pointsman.cel.program import Program
from pointsman.cel.values import to_json
from pointsman.codec.base import EventDecoder
from pointsman.enrich.base import Enricher
from pointsman.strategy.base import Choice, Strategy

__all__ = ["Lane", "Lanes", "ModelPlan", "Policy", "RoutePlan", "encode"]

encode = msgspec.json.Encoder(enc_hook=to_json).encode
"""Any CEL value or model reply as JSON bytes; NaN and infinities become null."""


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model as the engine sees it: what it is given and what is taken from its reply.

    Attributes:
        number: Its place among the policy's models.
        inputs: Name and expression of each input; None hands over the enriched event.
        outputs: Name and expression of each output; None keeps the whole reply.
        mapped: From a reply to the named outputs, compiled; None keeps the whole reply. It may raise.
        context: Whether an output reads more than the reply.
        opened: `{"status":"ok","model":…,"output":`, the start of every good result.
        closed: What follows the output up to the value of `latency_ms`.
    """

    name: str
    number: int
    version: str | None
    inputs: tuple[tuple[str, Program], ...] | None
    outputs: tuple[tuple[str, Program], ...] | None
    mapped: Callable[[Any], dict[str, Any]] | None
    context: bool
    opened: bytes
    closed: bytes


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route, ready to be tried.

    Attributes:
        when: The condition; None is always true.
        python: A Python condition: a list of enriched events to a list of booleans.
        on_error: `next`, `match` or `dead_letter`.
        unit: What sticks to its model; None is the record's key.
    """

    name: str
    number: int
    line: int
    when: Program | None
    python: Callable[[list[dict[str, Any]]], Sequence[Any]] | None
    on_error: str
    strategy: Strategy
    unit: Program | None


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One route, one reason, one choice: all of a decision that is the same for every event that takes it.

    Attributes:
        decision: The whole `decision` object as JSON.
        opened: The same without its closing brace, for decisions that say more.
    """

    route: RoutePlan
    model: ModelPlan
    choice: Choice
    reason: str
    decision: bytes
    opened: bytes


class Lanes(dict[int, Lane]):
    """The lanes of one route and reason, by the identity of the choice; each is prepared when first taken."""

    def __init__(self, route: RoutePlan, reason: str, models: Mapping[str, ModelPlan], version: str) -> None:
        super().__init__()
        self._given = (route, reason, models, version)

    def add(self, choice: Choice) -> Lane:
        """The lane of `choice`, which is kept alive so that its identity stays its own."""
        route, reason, models, version = self._given
        decision: dict[str, Any] = {
            "route": route.name,
            "strategy": route.strategy.name,
            "model": choice.model,
            "propensity": choice.propensity,
            "reason": reason,
            "policy": version,
        }
        if choice.candidates is not None:
            decision["candidates"] = dict(choice.candidates)
        whole = encode(decision)
        lane = Lane(route, models[choice.model], choice, reason, whole, whole[:-1])
        self[id(choice)] = lane
        return lane


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the routing policy, compiled.

    Attributes:
        version: Revision number and content hash, as in the records.
        decide: The generated function over a batch; see `engine.codegen`.
        source: The generated Python, for people who debug it.
        enrichers: The metadata fields in order.
        headers: The headers of decision records, mostly none.
    """

    version: str
    pipeline: str
    models: tuple[ModelPlan, ...]
    routes: tuple[RoutePlan, ...]
    enrichers: tuple[tuple[str, Enricher], ...]
    tables: tuple[str, ...]
    unmatched: str | None
    headers: tuple[str, ...]
    decide: Callable[..., None]
    source: str
    decoder: EventDecoder
    id: Program | None
    key: Program | None
    time: Program | None
