"""From a batch to what is published in transactions: whole slices, in each partition's order.

A slice is what a batch has of one partition: its effects, the changes of state that its events made, and
the offset behind it. State was changed in order when the batch was decided, so a slice is published as one,
and not before the earlier ones of its partition. A batch whose models answer at once goes out whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pointsman.base.records import Batch, DeadLetter
from pointsman.engine.decide import Call, Decided
from pointsman.runner.changes import Changes, changes_of
from pointsman.runner.flow import Engine, Flow, ends
from pointsman.runner.headers import HeadersFor
from pointsman.runner.order import Key
from pointsman.runner.partitions import Partition

__all__ = ["Effects", "Publisher", "Slices"]

Place = tuple[str, int]
Lane = Partition | int
"""What is published in order: a partition, or all of one number."""


@dataclass(slots=True)
class Effects:
    """What is published together: decision records, dead letters, changes of state, and offsets.

    Attributes:
        unwritable: The dead letter in place of record `n` of `values`, which its topic does not take.
        ends: The offset behind what this finishes of each partition.
        events: Events of the source.
        size: Bytes of the records, about.
        onward: What was decided of events that go on by another key; None: there are none.
    """

    keys: Sequence[Key]
    values: Sequence[bytes]
    headers: Sequence[Any] | None
    letters: Sequence[DeadLetter]
    unwritable: Callable[[int], DeadLetter]
    changes: Changes
    ends: Sequence[tuple[Partition, int]]
    events: int
    size: int
    onward: Decided | None = None


class Publisher(Protocol):
    """Where effects go, in the order they are handed over.

    Attributes:
        events: Events whose effects wait until the transaction before them is committed.
        bytes: Bytes of those effects.
    """

    events: int
    bytes: int

    def publish(self, effects: Effects) -> None:
        """Puts effects into the open transaction, or keeps them for the next one. Does not block."""

    def wait(self, seconds: float) -> None:
        """Returns once what waits may go on, or after `seconds`."""


class _Nowhere:
    """A flow writes at once; slices do not."""

    def write(self, *_: Any) -> Sequence[int]:
        raise AssertionError("slices are published")

    def bury(self, _: Any) -> None:
        raise AssertionError("slices are published")


@dataclass(slots=True)
class _Share:
    """What a slice has of one partition.

    Attributes:
        last: The offset of its last event.
        events: How many.
        size: Bytes of their values.
    """

    last: int = -1
    events: int = 0
    size: int = 0


class _Slice:
    """Events of one batch and lane that wait, for their models or for an earlier slice.

    Attributes:
        places: Theirs in the batch.
        letters: Dead letters of the batch, by place.
        left: How many are not answered.
        shares: What it has of each partition: of one, but where several share their state.
        size: Bytes of the events' values.
    """

    __slots__ = ("changes", "decided", "left", "letters", "places", "shares", "size")

    def __init__(self, flight: _Flight) -> None:
        self.decided = flight.decided
        self.letters = flight.letters
        self.places: list[int] = []
        self.left = 0
        self.shares: dict[Partition, _Share] = {}
        self.size = 0
        self.changes: Changes = []

    @property
    def owned(self) -> bool:
        """Whether it is of an assignment that still is; partitions that share their state go together."""
        return all(partition.owned for partition in self.shares)

    def take(self, place: int, partition: Partition, offset: int, size: int, *, answered: bool) -> None:
        """The event at `place` of the batch is in it."""
        share = self.shares.setdefault(partition, _Share())
        share.last, share.events, share.size = offset, share.events + 1, share.size + size
        partition.waiting += 1
        partition.waiting_bytes += size
        self.places.append(place)
        self.size += size
        self.left += not answered

    def release(self) -> list[tuple[Partition, int]]:
        """It waits no longer; returns the offset behind it of each partition."""
        for partition, share in self.shares.items():
            partition.waiting -= share.events
            partition.waiting_bytes -= share.size
        return [(partition, share.last + 1) for partition, share in self.shares.items()]


@dataclass(slots=True)
class _Load:
    size: int


class _Flight:
    """A batch of which something waits.

    Attributes:
        slices: The slice of each event, by its place in the batch.
        letters: Dead letters by place.
    """

    __slots__ = ("decided", "letters", "slices")

    def __init__(self, decided: Decided) -> None:
        self.decided = decided
        self.slices: dict[int, _Slice] = {}
        self.letters: dict[int, DeadLetter] = {}

    def attach(self, dead: Sequence[tuple[int, DeadLetter]]) -> None:
        """Keeps dead letters until it is their slice's turn."""
        self.letters.update(dead)

    def held(self, call: Call) -> list[_Load]:
        """How large the events of a call are."""
        values = self.decided.batch.values
        return [_Load(len(values[i] or b"")) for i in call.indices] if self.slices else []


class Slices(Flow):
    """Takes batches, publishes slices. It has the face of a `Flow`."""

    def __init__(
        self,
        engine: Engine,
        publisher: Publisher,
        *,
        patience: float,
        most: int = 2000,
        share: int = 5000,
        headers: HeadersFor | None = None,
        together: Collection[str] = (),
    ) -> None:
        """Args: as those of a `Flow`, and these.

        together: Topics whose partitions of one number have one state: what changed it is published in the
            order of all their events.
        """
        super().__init__(engine, _Nowhere(), patience=patience, most=most, share=share, headers=headers)
        self._publisher = publisher
        self._together = together
        self._queues: dict[Lane, deque[_Slice]] = {}
        self._waiting = 0
        self._waiting_bytes = 0

    @property
    def events(self) -> int:
        """Events that are not published."""
        return self._waiting + self._publisher.events

    @events.setter
    def events(self, _: int) -> None:
        """Nothing: they are counted here."""

    @property
    def bytes(self) -> int:
        """Bytes of what is not published."""
        return self._waiting_bytes + self._publisher.bytes

    @bytes.setter  # noqa: A003  as a flow calls it
    def bytes(self, _: int) -> None:
        """Nothing: they are counted here."""

    def take(self, batch: Batch, size: int, owned: Mapping[Place, Partition]) -> None:
        """Decides `batch` and publishes what is done.

        Args:
            size: Bytes of the batch's values.
            owned: The assignment of each of its partitions.
        """
        decided = self._engine.decide(batch)
        flight: Any = _Flight(decided)
        late = self._call(flight, size / len(batch)) if decided.calls else ()
        behind = ends(batch)
        if late or any(self.lane(owned[place]) in self._queues for place, _ in behind):
            self._cut(flight, late, owned)
        else:
            offsets = [(owned[place], last + 1) for place, last in behind]
            letters = [letter for _, letter in decided.dead]
            self._publish(decided, range(len(batch)), letters, changes_of(decided), offsets)
        for place, last in behind:
            owned[place].took(last)

    def step(self, seconds: float) -> None:
        """Waits up to `seconds` for models that are late, or for room, and publishes what became free."""
        if self._lines:
            super().step(seconds)
        elif self._publisher.events:
            self._publisher.wait(seconds)

    def drop(self, partition: Partition) -> int:
        """Forgets what waits of a partition that was given up; returns how many events that were."""
        for piece in self._queues.pop(self.lane(partition), ()):
            self._waiting -= len(piece.places)
            self._waiting_bytes -= piece.size
        return partition.release()

    def lane(self, partition: Partition) -> Lane:
        """What is published in one order with a partition."""
        return partition.number if partition.topic in self._together else partition

    def _cut(self, flight: _Flight, late: Sequence[Call], owned: Mapping[Place, Partition]) -> None:
        """Makes slices of a batch; publishes those that wait for nothing."""
        decided, batch = flight.decided, flight.decided.batch
        unanswered = {i for call in late for i in call.indices}
        flight.attach(decided.dead)
        pieces: dict[Lane, _Slice] = {}
        for i, place in enumerate(zip(batch.topics, batch.partitions, strict=True)):
            partition = owned[place]
            lane = self.lane(partition)
            piece = pieces.get(lane)
            if piece is None:
                piece = pieces[lane] = _Slice(flight)
            size = len(batch.values[i] or b"")
            piece.take(i, partition, batch.offsets[i], size, answered=i not in unanswered)
            flight.slices[i] = piece
        for place, changes in decided.changes.items():
            piece = pieces[self.lane(owned[place])]
            piece.changes += [(place[1], name, found) for name, found in changes]
        free = []
        for lane, piece in pieces.items():
            self._waiting += len(piece.places)
            self._waiting_bytes += piece.size
            queue = self._queues.setdefault(lane, deque())
            queue.append(piece)
            if piece.left == 0 and queue[0] is piece:
                free += self._ready(lane, queue)
        self._release(free)

    def _answered(self, flight: Any, places: Sequence[int]) -> list[Any]:
        """Events of a batch are done; returns the slices that this frees."""
        touched: dict[Lane, None] = {}
        for i in places:
            piece = flight.slices[i]
            piece.left -= 1
            if piece.left == 0 and piece.owned:  # an earlier assignment's is stale
                touched[self.lane(next(iter(piece.shares)))] = None
        free: list[Any] = []
        for lane in touched:
            queue = self._queues.get(lane)
            if queue is not None:
                free += self._ready(lane, queue)
        return free

    def _ready(self, lane: Lane, queue: deque[_Slice]) -> list[_Slice]:
        free = []
        while queue and queue[0].left == 0:
            free.append(queue.popleft())
        if not queue:
            del self._queues[lane]
        return free

    def _release(self, free: Sequence[Any]) -> None:
        """Publishes slices that waited, in their order."""
        for piece in free:
            letters = [piece.letters[i] for i in piece.places if i in piece.letters]
            offsets = piece.release()
            self._waiting -= len(piece.places)
            self._waiting_bytes -= piece.size
            self._publish(piece.decided, piece.places, letters, piece.changes, offsets)

    def _publish(
        self,
        decided: Decided,
        places: Sequence[int],
        letters: Sequence[DeadLetter],
        changes: Changes,
        offsets: Sequence[tuple[Partition, int]],
    ) -> None:
        if decided.moved is not None:
            sent = sum(map(len, filter(None, decided.batch.values)))
            self._publisher.publish(
                Effects(
                    (), (), None, letters, decided.unwritable, changes, offsets, len(places), sent, decided
                )
            )
            return
        values: Sequence[Any] = decided.values
        keys: Sequence[Key] = decided.keys
        events = len(places)
        if events < len(values) or not all(values):
            places = [i for i in places if values[i] is not None]
            keys = [keys[i] for i in places]
            values = [values[i] for i in places]
        make, headers = self._make_headers, None
        if make is not None:
            came = decided.batch.headers
            headers = [make(value, came[i]) for value, i in zip(values, places, strict=True)]
        size = sum(map(len, values))

        def unwritable(n: int) -> DeadLetter:
            return decided.unwritable(places[n])

        self._publisher.publish(
            Effects(keys, values, headers, letters, unwritable, changes, offsets, events, size)
        )
