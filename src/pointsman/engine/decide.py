"""The pure middle: a batch of records in, decisions out, with the calls that models still have to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import msgspec

from pointsman.base.errors import InvalidInput, RecordError
from pointsman.base.records import Batch, DeadLetter
from pointsman.cel.program import describe
from pointsman.engine.hops import Moved
from pointsman.engine.policy import Lane, ModelPlan, Policy, encode
from pointsman.engine.support import Errors, known, unpacked
from pointsman.enrich.base import Remembers, Tables
from pointsman.model.base import Row
from pointsman.state.base import Change, State

__all__ = ["Call", "Decided", "Kept", "decide", "identify"]


class Kept:
    """What is remembered of an event whose outputs read it, or that another model may have to answer.

    Attributes:
        lane: Its route and choice; `lane.rest` is who may still be asked.
        names: What expressions see.
        next: Who of `lane.rest` is asked next.
        history: The attempts made so far, as in `result.attempts`.
    """

    __slots__ = ("history", "lane", "names", "next")

    def __init__(self, lane: Lane, names: dict[str, Any]) -> None:
        self.lane = lane
        self.names = names
        self.next = 0
        self.history: list[dict[str, Any]] = []


class Call:
    """Events of a batch that one model has to answer, as columns of equal length.

    Attributes:
        plan: The model's part of the policy.
        deadline: Seconds from the moment the batch was polled; None: no bound.
        first: Whether the model is the chosen one; else it stands in for one that did not answer.
        indices: Which events of the batch.
        rows: Their inputs; `ready` leaves out those that are an InvalidInput already.
        heads: Their decision records up to the result.
        kept: What is remembered of each event; empty where that is not needed.
    """

    __slots__ = ("deadline", "first", "heads", "indices", "kept", "plan", "rows")

    def __init__(self, plan: ModelPlan, deadline: float | None = None, *, first: bool = True) -> None:
        self.plan = plan
        self.deadline = deadline
        self.first = first
        self.indices: list[int] = []
        self.rows: list[Row | InvalidInput] = []
        self.heads: list[bytes] = []
        self.kept: list[Kept] = []

    def part(self, places: Sequence[int]) -> Call:
        """The events at `places` as a call of their own."""
        part = Call(self.plan, self.deadline, first=self.first)
        part.indices = [self.indices[place] for place in places]
        part.rows = [self.rows[place] for place in places]
        part.heads = [self.heads[place] for place in places]
        part.kept = [self.kept[place] for place in places] if self.kept else []
        return part

    @property
    def model(self) -> str:
        """The model's name."""
        return self.plan.name

    def ready(self) -> list[Row]:
        """The rows to send; the others have no usable inputs."""
        return [row for row in self.rows if row.__class__ is not InvalidInput]  # type: ignore[misc]  # just left out

    def spread(self, replies: Sequence[Any]) -> Sequence[Any]:
        """The replies to `ready` put back beside the rows that were not sent."""
        if len(replies) == len(self.rows):
            return replies
        answers = iter(replies)
        return [row if row.__class__ is InvalidInput else next(answers) for row in self.rows]


class _Identified(msgspec.Struct):
    id: str


_identified = msgspec.json.Decoder(_Identified).decode


def identify(record: bytes) -> str:
    """The id that a decision record says."""
    return _identified(record).id


class Decided:
    """What became of a batch.

    Attributes:
        batch: The records.
        keys: Each event's key: that of its decision record, and what order is kept by.
        values: Each event's decision record, once it is finished; None where there is none (yet).
        dead: Dead letters, by index in the batch.
        calls: What models have to answer.
        skipped: Events that no route took, where `unmatched` is `skip`.
        routes, models, statuses: Counts by route, by chosen model, by (model, status).
        failures: Counts by (model, failure class).
        errors: Counts by the part that erred, such as `routes.ios`.
        late: Counts of events that a window was past, by field.
        defaulted: Counts of events whose `id`, `key` or `time` fell back to the record's own, or whose
            `enrich.<field>` fell back to its default because an input had no value.
        changes: What changed in the stores of each (topic, partition): store name and changelog records.
        moved: Of a stage, the events that go on by another key; None: this is where all is decided.
        watch: Told of each event's place, metadata and errors, where the policy has fields that cannot be
            computed again; None: nobody.
    """

    __slots__ = (
        "_calls", "_policy", "_recalled", "_state", "_tables", "batch", "calls", "changes", "dead",
        "defaulted", "errors", "failures", "keys", "lanes", "late", "moved", "skipped", "statuses", "values",
        "watch",
    )  # fmt: skip

    def __init__(
        self, batch: Batch, policy: Policy, state: State | None = None, tables: Tables | None = None
    ) -> None:
        self.batch = batch
        self.keys: list[str | bytes | None] = list(batch.keys)
        self.values: list[bytes | None] = [None] * len(batch)
        self.dead: list[tuple[int, DeadLetter]] = []
        self.calls: list[Call] = []
        self.lanes: list[Lane] = []
        self.skipped = 0
        self.statuses: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[tuple[str, str]] = Counter()
        self.errors: Counter[str] = Counter()
        self.late: Counter[str] = Counter()
        self.defaulted: Counter[str] = Counter()
        self.changes: dict[tuple[str, int], list[tuple[str, list[Change]]]] = {}
        self.moved = None if policy.onward is None else Moved(policy.onward)
        self.watch: Callable[[int, dict[str, Any], Errors | None], None] | None = None
        self._policy = policy
        self._state = state
        self._tables = tables or {}
        self._recalled: dict[tuple[str, int], tuple[Callable[..., Any], ...]] = {}
        self._calls = [Call(group.model, group.deadline) for group in policy.groups]

    @property
    def routes(self) -> Counter[str]:
        """How many events each route took."""
        found: Counter[str] = Counter()
        for lane, count in Counter(self.lanes).items():
            found[lane.route.name] += count
        return found

    @property
    def chosen(self) -> Counter[tuple[str, str]]:
        """How many events went by each (route, model)."""
        found: Counter[tuple[str, str]] = Counter()
        for lane, count in Counter(self.lanes).items():
            found[lane.route.name, lane.choice.model] += count
        return found

    def due(self, call: Call) -> float:
        """The moment by which the events of a call must be answered, by the clock of `Batch.polled`."""
        return inf if call.deadline is None else self.batch.polled + call.deadline

    # What generated code calls; each returns None so that it can stand for "no lane".

    def call(self, number: int) -> Call:
        """The call of group `number`."""
        return self._calls[number]

    def recall(self, topic: str, partition: int) -> tuple[Callable[..., Any], ...]:
        """The functions of the fields that remember, in order, over the stores of a partition."""
        found = self._recalled.get((topic, partition))
        if found is None:
            if self._state is None:
                raise ValueError("a policy with stores needs state")
            stores = self._state.of(topic, partition)
            functions: list[Callable[..., Any]] = [
                enricher.recall(stores[field], self._tables)
                for field, enricher in self._policy.enrichers
                if isinstance(enricher, Remembers)
            ]
            if (dedupe := self._policy.dedupe) is not None:
                functions.append(dedupe.recall(stores[dedupe.spec.field]))
            found = self._recalled[topic, partition] = tuple(functions)
        return found

    def repeated(self, index: int, head: bytes, lane: Lane) -> None:
        """An event is a repeat: its decision is told, and no model called."""
        model = lane.choice.model
        self.values[index] = head + encode({"status": "duplicate", "model": model}) + b"}"
        self.statuses[model, "duplicate"] += 1

    def drain(self) -> None:
        """Gathers what changed in the stores of the batch's partitions."""
        if self._state is not None:
            for place in self._recalled:
                stores = self._state.of(*place)
                drained = [(spec.name, stores[spec.field].drain()) for spec in self._policy.stores]
                self.changes[place] = [(name, changes) for name, changes in drained if changes]

    def reject(self, batch: Batch, index: int, error: RecordError) -> None:
        """The record cannot be used."""
        self._letter(batch, index, None, error.reason, str(error))

    def broke(self, batch: Batch, index: int, error: Exception) -> None:
        """Something that should never raise did; the event is kept and the next one goes on."""
        self._letter(batch, index, None, "internal", f"{type(error).__name__}: {describe(error)}")

    def unmatched(self, batch: Batch, index: int, ident: str, errors: Errors | None) -> None:
        """No route's condition was true."""
        if errors is not None:
            self.erred(errors)
        if self._policy.unmatched == "skip":
            self.skipped += 1
            return
        told = "" if errors is None else "; " + "; ".join(f"{e['at']}: {e['error']}" for e in errors.first)
        self._letter(batch, index, ident, "unmatched", "no route's condition was true" + told)

    def rule_error(self, batch: Batch, index: int, ident: str, route: str, error: BaseException) -> None:
        """A condition erred and its route says that the event is then dead."""
        self.errors[f"routes.{route}"] += 1
        self._letter(batch, index, ident, "rule_error", f"route {route}: {describe(error)}")

    def erred(self, errors: Errors) -> None:
        """Counts what erred for one event."""
        self.errors.update(errors.names)

    def _letter(self, batch: Batch, index: int, ident: str | None, reason: str, message: str) -> None:
        if ident is None:
            record = batch.record(index)
            ident = known(record.headers) or f"{record.topic}-{record.partition}-{record.offset}"
        self.bury(index, ident, reason, message)

    def bury(
        self, index: int, ident: str, reason: str, message: str, attempts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Makes a dead letter of an event, with what `write.redact` hides hidden."""
        hide, record = self._policy.hide, self.batch.record(index)
        if hide is not None:
            try:
                value, _ = unpacked(self._policy.decoder, record)
            except RecordError:
                value = None
            record = replace(record, value=hide(value))
        self.dead.append((index, DeadLetter(record, ident, reason, message, attempts, hide is not None)))

    def unwritable(self, index: int) -> DeadLetter:
        """The dead letter of an event whose decision record is larger than its topic takes."""
        value = self.values[index] or b""
        said = f"the decision record has {len(value):,} bytes, more than its topic takes"
        self.bury(index, identify(value), "unwritable", f"{said}: raise max.message.bytes")
        return self.dead.pop()[1]

    def unmovable(self, place: int) -> DeadLetter:
        """The dead letter of an event that is larger, with what it takes along, than its next topic takes."""
        assert self.moved is not None
        said = f"with its metadata it is larger than the topic on the way to {self.moved.name} takes"
        ident = self.moved.ident(place)
        self.bury(self.moved.indices[place], ident, "unwritable", f"{said}: raise max.message.bytes")
        return self.dead.pop()[1]


def decide(
    batch: Batch,
    tables: Tables,
    policy: Policy,
    state: State | None = None,
    *,
    overload: bool = False,
    drain: bool = True,
    watch: Callable[[int, dict[str, Any], Errors | None], None] | None = None,
) -> Decided:
    """Decodes, enriches and routes `batch` in order and chooses models; nothing here waits.

    Args:
        batch: Records in partition order.
        tables: The rows of every table as they stand now.
        policy: The version in force.
        state: The stores of the batch's partitions; needed where the policy has any.
        overload: Whether the model of `limits.max_lag` answers, whatever was picked; the policy has one.
        drain: Whether to gather what changed in the stores; else whoever has them does so later.
        watch: See `Decided.watch`.

    Returns:
        What became of each event, with one call for each chosen model. An event ends in `values` (after
        `finish`), in `dead`, or is counted in `skipped`.

    Raises:
        StateError: A store failed; nothing of the batch may be written.
        EnvironmentFault: It has no space left, or the like; the same.
    """
    if state is None and policy.stores:
        raise ValueError("a policy with stores needs state")
    out = Decided(batch, policy, state, tables)
    out.watch = watch
    (policy.overloaded if overload and policy.overloaded else policy.decide)(batch, out, tables)
    out.calls = [call for call in out._calls if call.indices]
    if drain:
        out.drain()
    return out
