"""The event path inside a stream engine: a frame of records in, a frame of effects out.

The engine has consumer, producer, state, transactions and scaling; here is what it asks for each batch. One
call decides a whole frame, models included, and says all that is to be written, so that whoever hosts it
publishes that together with the offsets behind it, or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.records import Batch
from pointsman.bus.topics import Topics
from pointsman.engine.decide import Decided
from pointsman.runner.changes import Changes, changes_of
from pointsman.runner.fetched import Fetch, Fetched
from pointsman.runner.flow import Flow
from pointsman.runner.frames import Effects, records_of
from pointsman.runner.headers import headers_for
from pointsman.runner.host import Host
from pointsman.runner.logs import Say, quiet
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.runner.partitions import Partition
from pointsman.runner.plans import asked, picked
from pointsman.runner.records import ANY, Records
from pointsman.runner.remotes import is_remote
from pointsman.runner.router import Router
from pointsman.runner.stages import Stages
from pointsman.runner.start import Ground, prepare
from pointsman.runner.state import SWEEP_SECONDS, SWEPT, times_of
from pointsman.runner.tracing import open_tracing
from pointsman.spec.document import Document
from pointsman.state.base import Store, StoreSpec

__all__ = ["Framed", "away", "ground_of"]

_PATIENCE_SECONDS = 0.01
_SLICE_SECONDS = 0.05


def away(document: Document, role: str) -> tuple[str, ...]:
    """The models whose plans dispatchers run: those with a model behind a wire, unless the role is `all`."""
    if role == "all":
        return ()
    return tuple(
        model
        for model in picked(document)
        if any(is_remote(document.models[name]) for name in asked(document, model))
    )


def ground_of(document: Document, cluster: Topics, role: str) -> Ground:
    """What a pipeline stands on inside an engine: its topics, those of requests where dispatchers run plans.

    Raises:
        PointsmanError: As `prepare`.
    """
    gone = away(document, role)
    return prepare(document, cluster, "route" if gone else "all", gone)


class _Frames(Records):
    """Puts records into the frame of effects.

    Attributes:
        effects: The frame that is being made.
    """

    effects = Effects()

    def _produce_batch(
        self,
        topic: str,
        keys: Sequence[Key],
        values: Sequence[bytes],
        size: int,  # noqa: ARG002  nothing is full here
        partitions: Sequence[int] | None = None,
    ) -> None:
        if partitions is None:
            self.effects.add(topic, keys, values)
            return
        for key, value, partition in zip(keys, values, partitions, strict=True):
            self.effects.put(topic, key, value, None, partition)

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: Key,
        headers: Sequence[Any],
        timestamp: int,
        partition: int = ANY,
    ) -> None:
        self.effects.put(topic, key, value, headers, partition, timestamp or -1)


class _Stores:
    """What is remembered of the partitions of this task; all topics' partitions of one number are one."""

    def __init__(self, specs: Sequence[StoreSpec], fetch: Fetch) -> None:
        self._specs = specs
        self._fetch = fetch
        self._held: dict[int, tuple[dict[str, Fetched], dict[str, Store]]] = {}

    def of(self, topic: str, partition: int) -> Mapping[str, Store]:  # noqa: ARG002  all topics have one
        """The stores of a partition by field."""
        return self._held_of(partition)[1]

    def settle(self) -> None:
        """What the last frame changed is with the engine now."""
        for backings, _ in self._held.values():
            for backing in backings.values():
                backing.settle()

    def expect(self, partition: int, keys: Callable[[], Sequence[str]], specs: Collection[StoreSpec]) -> None:
        """Events of a partition come that likely need what is stored under these keys."""
        backings, _ = self._held_of(partition)
        for spec in specs:
            backings[spec.name].expect(keys)

    def sweep(self, partition: int, now_ms: int) -> Changes:
        """Drops keys that have been idle too long; returns what that changes."""
        _, stores = self._held_of(partition)
        for store in stores.values():
            store.sweep(now_ms, SWEPT)
        drained = [(partition, spec.name, stores[spec.field].drain()) for spec in self._specs]
        return [one for one in drained if one[2]]

    def drop(self, partitions: Collection[int]) -> None:
        """Partitions went, or what was said of them was not kept."""
        for number in partitions:
            self._held.pop(number, None)

    def drop_all(self) -> None:
        """As `drop`, for all."""
        self._held.clear()

    def _held_of(self, partition: int) -> tuple[dict[str, Fetched], dict[str, Store]]:
        held = self._held.get(partition)
        if held is None:
            backings = {spec.name: Fetched(spec.name, partition, self._fetch) for spec in self._specs}
            stores = {spec.field: spec.make(backings[spec.name]) for spec in self._specs}
            held = self._held[partition] = (backings, stores)
        return held


class Framed:
    """Decides frames for one task of an engine, or for several of one process, one frame at a time.

    Attributes:
        metrics: What is counted.
    """

    def __init__(self, document: Document, ground: Ground, host: Host, sink: _Frames, fetch: Fetch) -> None:
        self.metrics = host.metrics
        self._host = host
        self._sink = sink
        self._clock: Clock = SystemClock()
        self._most = max(1, document.limits.in_flight // 2)
        sink.onward = ground.onward
        self._stages = host.stages = Stages(document, host.policy) if ground.onward else None
        self._stores = host.state = _Stores(host.policy.stores, fetch)
        host.tracing = open_tracing(document.pipeline, os.environ)
        headers = headers_for(document.write.headers)
        if host.tracing is not None:
            headers = host.tracing.around(headers)
        self._headers = headers
        self._flow = self._make_flow()
        host.after = self._after
        self._changes: Changes = []
        self._swept_at: dict[int, float] = {}

    @classmethod
    def open(
        cls,
        document: Document,
        ground: Ground,
        fetch: Fetch,
        *,
        role: str = "engine",
        metrics: Metrics | None = None,
        say: Say = quiet,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Opens models and tables.

        Args:
            ground: As `ground_of` finds it for this role.
            fetch: Asks the engine what is stored: a frame `F` in, a frame `S` out.
            role: `all` calls models behind a wire too; `engine` leaves their plans to dispatchers.

        Raises:
            PointsmanError: As for a native run.
        """
        metrics = metrics or Metrics()
        gone = away(document, role)
        sink = _Frames(ground.decisions, ground.dead_letters, metrics, ground.extracts, ground.requests)
        host = Router.onto(sink, document, metrics, away=gone) if gone else Host.open(document, metrics)
        host.follow_tables(say, stopping)
        host.keep_tables_fresh(say)
        return cls(document, ground, host, sink, fetch)

    def handle(self, frame: bytes) -> bytes:
        """Decides the records of a frame `R`, waits for their models, and returns the frame `E`.

        Raises:
            EnvironmentFault: The events cannot be decided now; nothing of them may be published.
            StateError: The same.
        """
        effects = self._sink.effects = Effects()
        batch = records_of(frame)
        batch.polled = self._clock.monotonic()
        self._sink.bytes = 0
        self._stores.settle()
        try:
            for part in self._parts(batch):
                self._decide(part)
        except BaseException:
            self._start_over()
            raise
        effects.events = len(batch)
        return effects.frame()

    def own(self, partitions: Collection[int]) -> None:
        """These are the partitions of this process now: tables of `scope: partition` follow."""
        self._host.own(partitions)

    def drop(self, partitions: Collection[int]) -> None:
        """Partitions went, or a frame of theirs was not published: what is remembered is read again."""
        self._stores.drop(partitions)

    def count(self) -> None:
        """Takes what is counted elsewhere into the metrics; before they are shown."""
        self._host.count_requests()

    def close(self) -> None:
        """Lets go of models and tables."""
        self._host.close()
        if self._host.tracing is not None:
            self._host.tracing.close()

    def _after(self, decided: Decided) -> None:
        """Takes what a batch changed, and now and then drops what has been idle too long."""
        self._changes += changes_of(decided)
        if not self._host.policy.stores:
            return
        now, swept_at = self._clock.monotonic(), self._swept_at
        due = {n for n in set(decided.batch.partitions) if now >= swept_at.setdefault(n, now) + SWEEP_SECONDS}
        if due:
            for number, when in times_of(decided).items():
                if number in due:
                    swept_at[number] = now
                    self._changes += self._stores.sweep(number, when)

    def _make_flow(self) -> Flow:
        sink = self._sink
        return Flow(self._host, sink, patience=_PATIENCE_SECONDS, headers=self._headers, onward=sink.send_on)

    def _start_over(self) -> None:
        """Forgets a frame of which only a part was decided, and what it changed."""
        self._flow = self._make_flow()
        self._changes.clear()
        self._stores.drop_all()

    def _decide(self, batch: Batch) -> None:
        policy = self._host.policy
        if self._stages is not None:
            policy = self._stages.part(batch.topics[0])
        new = self._stages is None or self._stages.begins(batch.topics[0])
        if new:
            count, size = self.metrics.count, sum(map(len, filter(None, batch.values)))
            count("pointsman_event_bytes_total", size)
            if batch.timestamps[-1] >= 0:
                delay = max(0, batch.now_ms - batch.timestamps[-1]) / 1000
                self.metrics.set("pointsman_delay_seconds", delay)
        places = set(zip(batch.topics, batch.partitions, strict=True))
        if policy.stores:
            for number in {number for _, number in places}:
                self._stores.expect(number, partial(_keys, batch, number), policy.stores)
        flow, owned = self._flow, {place: Partition(*place) for place in places}
        flow.take(batch, 0, owned)
        while flow.events:
            flow.step(_SLICE_SECONDS)
        changes, self._changes = self._changes, []
        for number, store, found in changes:
            self._sink.effects.keep(store, number, found)
            self.metrics.count("pointsman_state_records_total", len(found))
            size = sum(len(key) + len(value or b"") for key, value in found)
            self.metrics.count("pointsman_state_bytes_total", size)

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch in parts, each of one stage and no larger than the limits allow."""
        stages = self._stages
        places: dict[str, Sequence[int]] = {"": range(len(batch))}
        if stages is not None:
            found: dict[str, list[int]] = {}
            for place, topic in enumerate(batch.topics):
                found.setdefault("" if stages.begins(topic) else topic, []).append(place)
            places = {topic: found[topic] for topic in (*reversed(stages.topics), "") if topic in found}
        for chosen in places.values():
            if len(chosen) == len(batch) <= self._most:
                yield batch
            else:
                for start in range(0, len(chosen), self._most):
                    yield _part(batch, chosen[start : start + self._most])


_COLUMNS = ("values", "keys", "topics", "partitions", "offsets", "timestamps", "headers")


def _part(batch: Batch, places: Sequence[int]) -> Batch:
    columns = {name: [getattr(batch, name)[n] for n in places] for name in _COLUMNS}
    return Batch(**columns, now_ms=batch.now_ms, polled=batch.polled)


def _keys(batch: Batch, partition: int) -> list[str]:
    """The keys of the records of a partition: most likely what is remembered goes by them."""
    found = dict.fromkeys(
        key
        for key, number in zip(batch.keys, batch.partitions, strict=True)
        if number == partition and key is not None
    )
    texts = []
    for key in found:
        try:
            texts.append(key.decode())
        except UnicodeDecodeError:
            continue
    return texts
