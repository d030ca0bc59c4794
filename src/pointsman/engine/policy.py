"""A policy in force: all of routes, strategies and models that can be prepared before an event comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pointsman.cel.program import Program
from pointsman.cel.values import to_json
from pointsman.codec.base import EventDecoder
from pointsman.engine.dedupe import Dedupe
from pointsman.enrich.base import Enricher
from pointsman.state.base import StoreSpec
from pointsman.strategy.base import Choice, Strategy

__all__ = [
    "Constant",
    "Group",
    "Groups",
    "Instead",
    "Lane",
    "Lanes",
    "ModelPlan",
    "Policy",
    "RoutePlan",
    "encode",
]

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
        fallback: Who answers when it does not, where the route does not say.
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
    fallback: tuple[str | Constant, ...] = ()


@dataclass(frozen=True, slots=True)
class Constant:
    """The end of a fallback chain: an answer that needs no model.

    Attributes:
        output: The answer as JSON.
    """

    output: bytes


Stop = ModelPlan | Constant
"""Who may answer once the chosen model has not."""


@dataclass(frozen=True, slots=True)
class Group:
    """Events of a batch that go to one model together: the same deadline too, and fallback or not.

    Attributes:
        number: Its place among the policy's groups.
        deadline: Seconds an event has from the moment it was polled; None: no bound.
        keeps: Whether an event's names are kept, for outputs that read them or for a fallback's inputs.
    """

    number: int
    model: ModelPlan
    deadline: float | None
    keeps: bool


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route, ready to be tried.

    Attributes:
        fallback: Who answers when the chosen model does not, in order; None: what the model itself says.
        deadline: Seconds from the moment an event was polled; None: no bound.
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
    fallback: tuple[str | Constant, ...] | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One route, one reason, one choice: all of a decision that is the same for every event that takes it.

    Attributes:
        group: Which events it is called with.
        rest: Who is asked after the chosen model, in order.
        decision: The whole `decision` object as JSON.
        opened: The same without its closing brace, for decisions that say more.
    """

    route: RoutePlan
    model: ModelPlan
    group: Group
    rest: tuple[Stop, ...]
    choice: Choice
    reason: str
    decision: bytes
    opened: bytes


class Groups:
    """The groups of a policy: every model with every deadline that a route gives it."""

    def __init__(self, routes: Sequence[RoutePlan], models: Sequence[ModelPlan]) -> None:
        self._models = {model.name: model for model in models}
        self._found: dict[tuple[str, float | None, bool], Group] = {}
        for route in routes:
            for name in route.strategy.models:
                self.of(route, name)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._found.values())

    def of(self, route: RoutePlan, name: str) -> Group:
        """The group of the events that `route` sends to the model `name`."""
        model = self._models[name]
        keeps = model.context or bool(self.rest(route, name))
        known = (name, route.deadline, keeps)
        if known not in self._found:
            self._found[known] = Group(len(self._found), model, route.deadline, keeps)
        return self._found[known]

    def rest(self, route: RoutePlan, name: str) -> tuple[Stop, ...]:
        """Who is asked after the model `name`, none of them twice, nobody after a constant."""
        stops: dict[str | Constant, Stop] = {}
        named = self._models[name].fallback if route.fallback is None else route.fallback
        for stop in named:
            if stop == name or stop in stops:
                continue
            stops[stop] = stop if isinstance(stop, Constant) else self._models[stop]
            if isinstance(stop, Constant):
                break
        return tuple(stops.values())


class Lanes(dict[int, Lane]):
    """The lanes of one route and reason, by the identity of the choice; each is prepared when first taken."""

    def __init__(self, route: RoutePlan, reason: str, groups: Groups, version: str) -> None:
        super().__init__()
        self._given = (route, reason, groups, version)

    def add(self, choice: Choice) -> Lane:
        """The lane of `choice`, which is kept alive so that its identity stays its own."""
        route, reason, groups, version = self._given
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
        group, rest = groups.of(route, choice.model), groups.rest(route, choice.model)
        lane = Lane(route, group.model, group, rest, choice, reason, whole, whole[:-1])
        self[id(choice)] = lane
        return lane


class Instead(dict[int, Lane]):
    """The lanes while `model` answers whatever was picked, by the lane that an event would have taken.

    Args:
        groups: They get the model's groups, with every route's deadline.
    """

    def __init__(self, model: str, routes: Sequence[RoutePlan], groups: Groups, version: str) -> None:
        super().__init__()
        for route in routes:
            groups.of(route, model)
        self._choice = Choice(model, 1.0)
        self._given = (groups, version)

    def add(self, lane: Lane) -> Lane:
        """What stands for `lane`: itself where it always picks the model."""
        if (lane.choice.model, lane.choice.propensity) == (self._choice.model, 1.0):
            found = lane
        else:
            groups, version = self._given
            found = Lanes(lane.route, "overload", groups, version).add(self._choice)
        self[id(lane)] = found
        return found


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the routing policy, compiled.

    Attributes:
        version: Revision number and content hash, as in the records.
        decide: The generated function over a batch; see `engine.codegen`.
        overloaded: The same while the model of `limits.max_lag` answers; None where there is none.
        source: The generated Python, for people who debug it.
        enrichers: The metadata fields in order.
        dedupe: Which events repeat others; None: nobody looks.
        headers: The headers of decision records, mostly none.
        hide: What dead letters keep of a value; None: all of it.
        stores: What every partition of the source needs for fields that remember.
        stages: The same in parts, where events go on by another key between two fields: each knows its own
            fields and stores. `decide` does all in one go, for whoever has every event.
        onward: Of a stage, the field before which its events go on; None: the last one decides.
    """

    version: str
    pipeline: str
    models: tuple[ModelPlan, ...]
    groups: tuple[Group, ...]
    routes: tuple[RoutePlan, ...]
    enrichers: tuple[tuple[str, Enricher], ...]
    dedupe: Dedupe | None
    tables: tuple[str, ...]
    unmatched: str | None
    headers: tuple[str, ...]
    decide: Callable[..., None]
    overloaded: Callable[..., None] | None
    source: str
    decoder: EventDecoder
    hide: Callable[[bytes | None], bytes | None] | None
    id: Program | None
    key: Program | None
    time: Program | None
    stores: tuple[StoreSpec, ...] = ()
    stages: tuple[Policy, ...] = ()
    onward: str | None = None
