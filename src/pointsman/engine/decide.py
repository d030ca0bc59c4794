"""The pure middle: a batch of records in, decisions out, with the calls that models still have to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any

import msgspec

from pointsman.base.errors import InvalidInput, RecordError
from pointsman.base.records import Batch, DeadLetter
from pointsman.cel.program import describe
from pointsman.engine.policy import Lane, ModelPlan, Policy
from pointsman.engine.support import Errors, known, unpacked
from pointsman.enrich.base import Tables
from pointsman.model.base import Row

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
        defaulted: Counts of events whose `id`, `key` or `time` fell back to the record's own, or whose
            `enrich.<field>` fell back to its default because an input had no value.
    """

    __slots__ = (
        "_calls", "_policy", "batch", "calls", "dead", "defaulted", "errors", "failures", "keys", "lanes",
        "skipped", "statuses", "values",
    )  # fmt: skip

    def __init__(self, batch: Batch, policy: Policy) -> None:
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
        self.defaulted: Counter[str] = Counter()
        self._policy = policy
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
            place = f"{batch.topics[index]}-{batch.partitions[index]}-{batch.offsets[index]}"
            ident = known(batch.headers[index]) or place
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


def decide(batch: Batch, tables: Tables, policy: Policy, *, overload: bool = False) -> Decided:
    """Decodes, enriches and routes `batch` in order and chooses models; nothing here waits.

    Args:
        batch: Records in partition order.
        tables: The rows of every table as they stand now.
        policy: The version in force.
        overload: Whether the model of `limits.max_lag` answers, whatever was picked; the policy has one.

    Returns:
        What became of each event, with one call for each chosen model. An event ends in `values` (after
        `finish`), in `dead`, or is counted in `skipped`.
    """
    out = Decided(batch, policy)
    (policy.overloaded if overload and policy.overloaded else policy.decide)(batch, out, tables)
    out.calls = [call for call in out._calls if call.indices]
    return out
