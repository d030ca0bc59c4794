"""What a worker remembers of its partitions: restored when they come, let go when they go.

assigned    the partition waits until its state is restored
committed   changes are taken over for good
aborted     changes are dropped, and live objects with them
gone        memory is freed; what is on disk stays for the next time
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition

from pointsman.base.errors import EnvironmentFault, PointsmanError
from pointsman.bus.read import Place
from pointsman.engine.decide import Decided
from pointsman.runner.changes import Changes
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.runner.restore import Restore, limits
from pointsman.state.base import Backing, Change, Store, StoreSpec
from pointsman.state.memory import Memory, Settled

__all__ = ["SWEEP_SECONDS", "SWEPT", "StateKeeper", "backing_in", "times_of", "widened"]

Opening = Callable[[str, int], Backing]
"""Opens the backing of a store and partition."""

_TELL_SECONDS = 5.0
_MARK_SECONDS = 10.0
_HANGS_SECONDS = 30.0
"""Longer than a transaction of a killed worker is open, by its time-out."""
SWEEP_SECONDS = 1.0
SWEPT = 500
"""Keys of a store and partition that are looked at each time."""

_TIME = re.compile(rb'","time":(-?\d+)')
"""In a decision record; within a text the quotes would be escaped."""


def backing_in(folder: Path | None, pipeline: str, *, settled: bool) -> Opening:
    """Backings in memory, or on disk under `folder`.

    Args:
        settled: Whether nothing is ever taken back.
    """
    if folder is None:
        return lambda _store, _number: Settled() if settled else Memory()
    from pointsman.state.disk import Disk

    return lambda store, number: Disk(folder / pipeline / store / str(number))


class _Held:
    """What is remembered of the source's partitions of one number.

    Attributes:
        places: Those of them that are this worker's.
        backings: By store.
        stores: By field; None while it is restored.
    """

    __slots__ = ("backings", "places", "stores")

    def __init__(self) -> None:
        self.places: set[Place] = set()
        self.backings: dict[str, Backing] = {}
        self.stores: dict[str, Store] | None = None


class StateKeeper:
    """The state of one worker's partitions; a partition of one number has the same state in all topics."""

    def __init__(
        self,
        specs: Sequence[StoreSpec],
        changelogs: Mapping[str, str],
        partitions: int,
        kafka: Mapping[str, Any],
        opening: Opening,
        say: Say,
        metrics: Metrics,
    ) -> None:
        """Args:
        specs: The stores of a partition.
        changelogs: The topic of each store.
        partitions: How many each changelog has.
        opening: Where state is kept.
        """
        self._specs = specs
        self._names = {spec.field: spec.name for spec in specs}
        self._changelogs = changelogs
        self._partitions = partitions
        self._kafka = kafka
        self._opening = opening
        self._say = say
        self._metrics = metrics
        self._held: dict[int, _Held] = {}
        self._restores: dict[Restore, dict[int, _Held]] = {}
        self._tell_at = 0.0
        self._hangs_at = 0.0
        self._read = 0
        self._sweep_at = time.monotonic() + SWEEP_SECONDS
        self._mark_at = time.monotonic() + _MARK_SECONDS
        self._marks: dict[Place, int] = {}

    def of(self, topic: str, partition: int) -> Mapping[str, Store]:  # noqa: ARG002  all topics have one
        """The stores of a partition by field."""
        stores = self._held[partition].stores
        assert stores is not None, "a partition waits until its state is there"
        return stores

    # Coming and going.

    def take_on(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Partitions came; returns those that have to wait for their state.

        Raises:
            EnvironmentFault: A partition has no changelog, as the source has more than when that was made.
        """
        new = []
        for place in places:
            number = place.partition
            if number >= self._partitions:
                raise widened(place.topic, number + 1, self._partitions, self._changelogs.values())
            if number not in self._held:
                self._held[number] = _Held()
                new.append(number)
            self._held[number].places.add((place.topic, number))
        if new:
            opening = {
                (topic, number): partial(self._opening, store, number)
                for store, topic in self._changelogs.items()
                for number in new
            }
            restore = Restore(self._kafka, new, opening, self._metrics)
            self._restores[restore] = {number: self._held[number] for number in new}
            self._tell_at = time.monotonic() + _TELL_SECONDS
        return [place for place in places if self._held[place.partition].stores is None]

    def turn(self, now: float) -> list[TopicPartition]:
        """Looks after restoring; returns partitions whose state is there now.

        Raises:
            PointsmanError: State cannot be read.
        """
        if not self._restores:
            return []
        ready: list[TopicPartition] = []
        for restore in list(self._restores):
            if restore.done:
                wanted = self._restores.pop(restore)
                if restore.error is not None:
                    raise restore.error
                ready += self._restored(restore, wanted)
        if self._restores and now >= self._tell_at:
            self._tell_at = now + _TELL_SECONDS
            self._look_for_hanging(now)
            for restore in self._restores:
                self._say(
                    "state_restoring",
                    partitions=list(restore.numbers),
                    records=restore.records,
                    total=restore.total,
                    rate=round(restore.rate),
                )
        return ready

    @property
    def restoring(self) -> bool:
        """Whether partitions wait for their state."""
        return bool(self._restores)

    def give_up(self, places: Sequence[TopicPartition]) -> None:
        """Partitions went."""
        for place in places:
            held = self._held.get(place.partition)
            if held is None:
                continue
            held.places.discard((place.topic, place.partition))
            if held.places:
                continue
            del self._held[place.partition]
            for backing in held.backings.values():
                backing.discard()
                backing.close()
        for restore, wanted in list(self._restores.items()):
            if all(self._held.get(number) is not held for number, held in wanted.items()):
                restore.cancel()
                del self._restores[restore]

    def close(self) -> None:
        """Lets go of everything."""
        for restore in self._restores:
            restore.cancel()
        for held in self._held.values():
            for backing in held.backings.values():
                backing.close()
        self._restores.clear()
        self._held.clear()

    # What is idle.

    def see(self, decided: Decided) -> None:
        """Now and then drops keys that have been idle too long, by the time of the events just decided.

        The oldest of them tells the time: one that is dated ahead does not make others old.
        """
        now = time.monotonic()
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_SECONDS
        for number, when in times_of(decided).items():
            held = self._held.get(number)
            for store in ((held and held.stores) or {}).values():
                store.sweep(when, SWEPT)

    # Committed or not.

    def apply(self, changes: Changes) -> None:
        """Changes were committed."""
        for number, store, found in changes:
            held = self._held.get(number)
            if held is not None and store in held.backings:
                held.backings[store].apply(found)

    def drain(self) -> Iterator[tuple[int, str, Sequence[Change]]]:
        """What changed in each store since the last time."""
        for number, held in self._held.items():
            for field, store in (held.stores or {}).items():
                found = store.drain()
                if found:
                    yield number, self._names[field], found

    def discard(self) -> None:
        """What is not committed never was."""
        for held in self._held.values():
            for backing in held.backings.values():
                backing.discard()
            for store in (held.stores or {}).values():
                store.forget()

    def settled(self) -> bool:
        """Whether no transaction is open in the changelogs of this worker's partitions; it has none itself.

        A broker that is killed while it aborts a transaction may take it for aborted and never tell the
        partitions (a hanging transaction, KIP-664). The next commit under the same transactional id would
        commit its records too, so a worker whose transaction failed must not go on before it is gone.
        """
        hanging = self._open({number for number, held in self._held.items() if held.stores is not None})
        now = time.monotonic()
        if not hanging:
            self._hangs_at = 0.0
        elif self._hangs_at == 0.0:
            self._hangs_at = now + _HANGS_SECONDS
        elif now >= self._hangs_at:
            self._tell_hanging(hanging)
        return hanging == []

    def _look_for_hanging(self, now: float) -> None:
        """Says, where restoring has come no further for long, that a transaction holds it up."""
        read = sum(restore.records for restore in self._restores)
        if self._hangs_at == 0.0 or read != self._read:
            self._hangs_at, self._read = now + _HANGS_SECONDS, read
        elif now >= self._hangs_at:
            hanging = self._open({number for restore in self._restores for number in restore.numbers})
            if hanging:
                self._tell_hanging(hanging)

    def _open(self, numbers: Collection[int]) -> list[Place] | None:
        """Partitions of changelogs that have an open transaction; None where nobody tells."""
        places = [(topic, number) for topic in self._changelogs.values() for number in numbers]
        try:
            ends, stable = limits(self._kafka, places)[1], limits(self._kafka, places, stable=True)[1]
        except PointsmanError:
            return None
        return [place for place in places if stable[place] < ends[place]]

    def _tell_hanging(self, places: Sequence[Place]) -> None:
        self._hangs_at = time.monotonic() + _HANGS_SECONDS
        told = [f"{topic}-{number}" for topic, number in places]
        self._say("transaction_hangs", partitions=told, do="kafka-transactions.sh find-hanging, then abort")

    def checkpoint(self, *, last: bool = False) -> None:
        """All that was written is committed and applied: remembers that on disk, now and then.

        Args:
            last: Whether the worker ends, or partitions go.
        """
        if last:
            self._mark_at = 0.0
        self.measure()
        self.marked()

    def measure(self) -> None:
        """Finds up to where the changelogs are in the backings on disk, now and then.

        May run in a thread. All that was committed is applied, and nothing else is committed until `marked`.
        """
        now = time.monotonic()
        if now < self._mark_at:
            return
        self._mark_at = now + _MARK_SECONDS
        places = [
            (self._changelogs[store], number)
            for number, held in list(self._held.items())
            for store, backing in list(held.backings.items())
            if held.stores is not None and hasattr(backing, "mark")
        ]
        if places:
            with suppress(PointsmanError):  # the next time will do
                _, self._marks = limits(self._kafka, places, stable=True)

    def marked(self) -> None:
        """Remembers beside the state what was measured."""
        marks, self._marks = self._marks, {}
        for (topic, number), offset in marks.items():
            for store, backing in self._backings(number):
                if self._changelogs[store] == topic and hasattr(backing, "mark"):
                    backing.mark(offset)

    # How much.

    def count(self) -> None:
        """Sets the gauges."""
        for store in self._changelogs:
            there = [held.backings[store] for held in self._held.values() if held.stores is not None]
            self._metrics.set("pointsman_state_entries", sum(map(len, there)), store)
            self._metrics.set("pointsman_state_held_bytes", sum(backing.size for backing in there), store)
        left = sum(max(0, restore.total - restore.records) for restore in self._restores)
        self._metrics.set("pointsman_restoring_records", left)
        waiting = sum(len(h.places) for h in self._held.values() if h.stores is None)
        self._metrics.set("pointsman_restoring_partitions", waiting)

    def _restored(self, restore: Restore, wanted: Mapping[int, _Held]) -> list[TopicPartition]:
        """Takes over what was restored of partitions that are still here."""
        ready = []
        for number, held in wanted.items():
            backings = {store: restore.backings[topic, number] for store, topic in self._changelogs.items()}
            if self._held.get(number) is not held:  # it went meanwhile, and may have come again
                for backing in backings.values():
                    backing.close()
                continue
            held.backings = backings
            held.stores = {spec.field: spec.make(backings[spec.name]) for spec in self._specs}
            ready += [TopicPartition(*place) for place in held.places]
        if restore.foreign:
            self._say("state_foreign", topics=sorted(self._changelogs.values()), records=restore.foreign)
        seconds = time.monotonic() - restore.began
        self._metrics.observe("pointsman_restore_seconds", seconds)
        self._say(
            "state_restored",
            partitions=list(restore.numbers),
            records=restore.records,
            rate=round(restore.rate),
            seconds=round(seconds, 3),
        )
        return ready

    def _backings(self, number: int) -> list[tuple[str, Backing]]:
        held = self._held.get(number)
        return [] if held is None else list(held.backings.items())


def times_of(decided: Decided) -> dict[int, int]:
    """The time of the oldest event that was just decided of each partition, milliseconds since 1970."""
    times: dict[int, int] = {}
    for call in decided.calls:
        for index, head in zip(call.indices, call.heads, strict=True):
            found = _TIME.search(head)
            if found is not None:
                number, when = decided.batch.partitions[index], int(found[1])
                times[number] = min(when, times.get(number, when))
    return times


def widened(what: str, partitions: int, known: int, changelogs: Any) -> EnvironmentFault:
    """The source has another number of partitions than the changelogs of its state."""
    topics = ", ".join(sorted(changelogs))
    return EnvironmentFault(
        f"{what} has {partitions} partitions and the state of this pipeline {known}: keys have moved between "
        f"partitions, and what is remembered of them has not. Stop the pipeline, then either delete {topics} "
        "and run with --from earliest to remember anew, or give it another name under pipeline:"
    )
