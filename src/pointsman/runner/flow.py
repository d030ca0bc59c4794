"""From a batch to what is written: decided at once, models called, effects released in order per key.

A batch whose models answer within a few milliseconds goes through whole; nothing is remembered of its events.
Otherwise what is done is written at once, and only events that wait, for their model or for an earlier event
of their key, are remembered one by one until they are written or their partition goes to another worker.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pointsman.base.records import Batch, DeadLetter
from pointsman.engine.decide import Call, Decided
from pointsman.engine.hops import Moved
from pointsman.model.pool import Ticket
from pointsman.runner.headers import HeadersFor
from pointsman.runner.order import Key, KeyOrder, Waiting
from pointsman.runner.partitions import Partition

__all__ = ["Engine", "Flow", "Sink", "ends"]


_WHOLE = slice(None)
_AHEAD = 2
"""Calls of a model that is late, one that it works on and one ready behind it."""


class Engine(Protocol):
    """Who decides and calls models: `Host`, or a fake."""

    def decide(self, batch: Batch) -> Decided:
        """Everything that can be said of a batch before models answer. Does not block."""

    def remote(self, model: str) -> bool:
        """Whether a model is called over a wire: each request of it comes back by itself."""

    def submit(self, calls: Sequence[Call], size: int, deadline: float) -> Ticket:
        """Hands the rows of these calls, all of one model and `size` bytes, to it as one. Does not block."""

    def send(self, decided: Decided, call: Call, size: int) -> Sequence[tuple[Call, Ticket]]:
        """Hands a call to its remote model, in parts that come back one by one. Does not block."""

    def refuse(self, call: Call, why: str) -> Ticket:
        """The ticket of a call that its model is not given: every row is overloaded."""

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> None:
        """Returns once all tickets are done, or after `seconds`."""

    def serve(self, seconds: float) -> None:
        """Returns once some ticket is done, or after `seconds`."""

    def finish(self, decided: Decided, call: Call, ticket: Ticket, part: slice) -> Sequence[Call]:
        """Fills in what `call` was about; its replies are `part` of those of `ticket`, which is done.

        Returns:
            Calls to those who stand in, with the events that are not finished yet.
        """


class Sink(Protocol):
    """Where effects go, in the order they are handed over."""

    def write(
        self, keys: Sequence[Key], values: Sequence[bytes], headers: Sequence[Any] | None
    ) -> Sequence[int]:
        """Writes decision records; returns the places of those that are larger than the target takes."""

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Writes dead letters."""


class _Flight:
    """A batch of which some events wait.

    What waits does not know its flight: a circle would be left to Python's collector, with all that it holds,
    and one that finds a few seconds' worth of batches stops the whole process for 50 ms and more.

    Attributes:
        entries: What waits, by its place in the batch.
    """

    __slots__ = ("decided", "entries")

    def __init__(self, decided: Decided) -> None:
        self.decided = decided
        self.entries: dict[int, Waiting] = {}

    def attach(self, dead: Sequence[tuple[int, DeadLetter]]) -> None:
        """Keeps the dead letters of what waits, until it is its turn."""
        for i, letter in dead:
            if (entry := self.entries.get(i)) is not None:
                entry.letter = letter

    def held(self, call: Call) -> list[Waiting]:
        """What waits of a call; nothing yet while its batch is being taken."""
        return [self.entries[i] for i in call.indices if i in self.entries]


class _Line:
    """The calls of one model that are late.

    Attributes:
        events: How many events they are about.
        under_way: Tickets with the calls that each one carries.
        behind: Calls that wait for one of those, to go together.
    """

    __slots__ = ("behind", "events", "under_way")

    def __init__(self) -> None:
        self.events = 0
        self.under_way: dict[Ticket, list[tuple[_Flight, Call]]] = {}
        self.behind: deque[tuple[_Flight, Call]] = deque()


class Flow:
    """Takes batches, writes effects.

    Attributes:
        events: Events that wait.
        bytes: Bytes of their values.
    """

    def __init__(
        self,
        engine: Engine,
        sink: Sink,
        *,
        patience: float,
        most: int = 2000,
        share: int = 5000,
        headers: HeadersFor | None = None,
        gather: float = 0.0,
        onward: Callable[[Batch, Moved], Sequence[int]] = lambda *_: (),
    ) -> None:
        """Args:
        patience: Seconds a batch waits for its models before the next one is taken.
        most: Rows up to which calls that wait for a busy model are put together.
        share: Events that may wait for one model before those that have a fallback go there at once.
        headers: Makes the headers of decision records; None makes none.
        gather: Seconds between two looks for answers while they come one after the other.
        onward: Writes events that go on by another key; returns the places of those that are too large.
        """
        self._onward = onward
        self._make_headers = headers
        self._gather = gather
        self._coming = False
        self._engine = engine
        self._sink = sink
        self._patience = patience
        self._most = most
        self._share = share
        self._order = KeyOrder()
        self._lines: defaultdict[str, _Line] = defaultdict(_Line)
        self._landed: list[Ticket] = []
        self.events = 0
        self.bytes = 0

    def take(self, batch: Batch, size: int, owned: Mapping[tuple[str, int], Partition]) -> None:
        """Decides `batch` and writes what is done.

        Args:
            size: Bytes of the batch's values.
            owned: The assignment of each of its partitions.
        """
        decided = self._engine.decide(batch)
        if decided.moved is not None:
            self._send_on(decided, decided.moved)
            for place, last in ends(batch):
                owned[place].took(last)
            return
        flight = _Flight(decided)
        late = self._call(flight, size / len(batch)) if decided.calls else ()
        if late or not self._order.disjoint(decided.keys):
            places: Sequence[int] = self._hold(flight, late, owned)
            self._write_at_once(decided, places)
            waits: Any = {i: batch.headers[i] for i in flight.entries}
            batch.headers = waits  # nobody walks it any more
            _forget(decided, places)
        else:
            self._write_at_once(decided, range(len(batch)))
        for place, last in ends(batch):
            owned[place].took(last)

    def step(self, seconds: float) -> None:
        """Waits up to `seconds` for models that are late, and writes what became free."""
        if not self._lines:
            return
        if self._coming and seconds:
            time.sleep(self._gather)  # to be woken by each would cost more than the answer itself
        self._engine.serve(0.0 if self._landed else seconds)
        landed = self._landed[:]
        self._landed.clear()
        self._coming = self._gather > 0.0 and bool(landed)
        free: list[Any] = []
        for ticket in landed:  # only those: thousands may be under way
            free += self._land(ticket)
        self._release(free)
        for model in {ticket.model for ticket in landed}:
            line = self._lines[model]
            self._go_on(line)
            if not line.under_way:
                del self._lines[model]

    def drop(self, partition: Partition) -> int:
        """Forgets what waits of a partition that was given up; returns how many events that were."""
        self.events -= partition.waiting
        self.bytes -= partition.waiting_bytes
        left = partition.release()
        self._release(self._order.drop(partition))
        return left

    def _call(self, flight: _Flight, share: float) -> list[Call]:
        """Submits the calls of a batch and gives them a moment; returns those that are not done."""
        asked: list[tuple[Call, Ticket]] = []
        late: list[Call] = []
        for whole in flight.decided.calls:
            call, over = self._within(whole)
            if over is not None:
                asked.append((over, self._engine.refuse(over, f"{self._share:,} events wait for it")))
            if not call.indices:
                continue
            if call.model not in self._lines and not self._engine.remote(call.model):
                size = int(share * len(call.indices))
                asked.append((call, self._engine.submit((call,), size, flight.decided.due(call))))
            else:
                # A busy model, or one behind a wire: waiting for it would use up the patience for nothing.
                late += self._pass_on(flight, call, share)
        self._engine.wait([ticket for _, ticket in asked], self._patience)
        for call, ticket in asked:
            if ticket.done:
                for follow in self._engine.finish(flight.decided, call, ticket, _WHOLE):
                    late += self._pass_on(flight, follow, share)
            else:
                self._await(flight, call, ticket)
                late.append(call)
        return late

    def _within(self, call: Call) -> tuple[Call, Call | None]:
        """A call without the events that go to their fallback, as too many wait for its model; and those."""
        line = self._lines.get(call.model)
        if line is None or line.events + len(call.indices) <= self._share or not call.kept:
            return call, None
        over = [n for n, kept in enumerate(call.kept) if kept.next < len(kept.lane.rest)]
        if not over:
            return call, None
        return call.part(sorted(set(range(len(call.indices))).difference(over))), call.part(over)

    def _pass_on(self, flight: _Flight, call: Call, share: float) -> Sequence[Call]:
        """Gives a call to its model without waiting for it; returns what is late now."""
        if self._engine.remote(call.model):
            sent = self._engine.send(flight.decided, call, int(share * len(call.indices)))
            for part, ticket in sent:
                self._await(flight, part, ticket)
            return [part for part, _ in sent]
        line = self._lines[call.model]
        line.behind.append((flight, call))
        line.events += len(call.indices)
        self._go_on(line)
        return (call,)

    def _await(self, flight: _Flight, call: Call, ticket: Ticket) -> None:
        line = self._lines[call.model]
        self._send_off(line, ticket, [(flight, call)])
        line.events += len(call.indices)

    def _send_off(self, line: _Line, ticket: Ticket, parts: list[tuple[_Flight, Call]]) -> None:
        """Remembers what a ticket is about until it lands."""
        line.under_way[ticket] = parts
        if ticket.done:
            self._landed.append(ticket)
        else:
            ticket.landing = self._landed

    def _go_on(self, line: _Line) -> None:
        """Submits calls that waited for a busy model, as few and as large as may be.

        Small calls would otherwise stay small for ever: each frees room for as many events as it had. Calls
        with a deadline go by themselves.
        """
        while line.behind and len(line.under_way) < _AHEAD:
            flight, first = line.behind.popleft()
            parts, rows = [(flight, first)], len(first.indices)
            while first.deadline is None and line.behind and line.behind[0][1].deadline is None:
                if rows + len(line.behind[0][1].indices) > self._most:
                    break
                parts.append(line.behind.popleft())
                rows += len(parts[-1][1].indices)
            size = sum(held.size for flight, call in parts for held in flight.held(call))
            deadline = flight.decided.due(first)
            self._send_off(line, self._engine.submit([call for _, call in parts], size, deadline), parts)

    def _hold(
        self, flight: _Flight, late: Sequence[Call], owned: Mapping[tuple[str, int], Partition]
    ) -> list[int]:
        """Remembers what has to wait; returns the places of what may be written at once."""
        decided, batch = flight.decided, flight.decided.batch
        unanswered = {i for call in late for i in call.indices}
        holds, ready = self._order.holds, []
        for i, key in enumerate(decided.keys):
            waits = i in unanswered
            if not waits and not holds(key):
                ready.append(i)
                continue
            partition = owned[batch.topics[i], batch.partitions[i]]
            size = len(batch.values[i] or b"")
            entry = Waiting(
                key, partition, batch.offsets[i], size=size, decided=decided, index=i, done=not waits
            )
            flight.entries[i] = entry
            self._order.add(entry)
            partition.wait(entry.offset, size)
            self.events += 1
            self.bytes += size
        if decided.dead:
            told = decided.dead[:]
            decided.dead[:] = [(i, letter) for i, letter in told if i not in flight.entries]
            flight.attach(told)
        return ready

    def _write_at_once(self, decided: Decided, places: Sequence[int]) -> None:
        """Writes those events of a batch that wait for nothing, in the batch's order."""
        values: Sequence[Any] = decided.values
        keys: Sequence[Key] = decided.keys
        if len(places) < len(values) or not all(values):
            places = [i for i in places if values[i] is not None]
            keys = [keys[i] for i in places]
            values = [values[i] for i in places]
        make, headers = self._make_headers, None
        if make is not None:
            came = decided.batch.headers
            headers = [make(value, came[i]) for value, i in zip(values, places, strict=True)]
        refused = self._sink.write(keys, values, headers) if places else ()
        if refused or decided.dead:
            letters = [letter for _, letter in decided.dead]
            letters += [decided.unwritable(places[n]) for n in refused]
            self._sink.bury(letters)

    def _send_on(self, decided: Decided, moved: Moved) -> None:
        """Writes events that go on by another key: nothing of them waits here."""
        refused = self._onward(decided.batch, moved)
        letters = [letter for _, letter in decided.dead] + [decided.unmovable(n) for n in refused]
        if letters:
            self._sink.bury(letters)

    def _land(self, ticket: Ticket) -> Sequence[Any]:
        """Takes over what is done; returns what that frees."""
        line = self._lines[ticket.model]
        free: list[Any] = []
        start = 0
        for flight, call in line.under_way.pop(ticket):
            decided, end = flight.decided, start + len(call.ready())
            decided.dead.clear()
            follow = self._engine.finish(decided, call, ticket, slice(start, end))
            flight.attach(decided.dead)
            start = end
            line.events -= len(call.indices)
            passed = {i for stand_in in follow for i in stand_in.indices}
            free += self._answered(flight, [i for i in call.indices if i not in passed])
            for stand_in in follow:
                self._pass_on(flight, stand_in, 0.0)
        return free

    def _answered(self, flight: _Flight, places: Sequence[int]) -> list[Any]:
        """Events of a batch are done; returns what that frees."""
        free: list[Waiting] = []
        for i in places:
            entry = flight.entries[i]
            if entry.partition.owned:  # an earlier assignment's is stale
                free += self._order.finish(entry)
        return free

    def _release(self, free: Sequence[Any]) -> None:
        """Writes events that waited, in their order."""
        if not free:
            return
        told = [entry for entry in free if _value(entry) is not None]
        letters = [entry.letter for entry in free if entry.letter is not None]
        if told:
            values = [_value(entry) for entry in told]
            make, headers = self._make_headers, None
            if make is not None:
                headers = [
                    make(value, e.decided.batch.headers[e.index])
                    for value, e in zip(values, told, strict=True)
                ]
            refused = self._sink.write([entry.key for entry in told], values, headers)
            letters += [told[n].decided.unwritable(told[n].index) for n in refused]
        if letters:
            self._sink.bury(letters)
        for entry in free:
            entry.partition.finish(entry.offset, entry.size)
            self.events -= 1
            self.bytes -= entry.size
            _forget(entry.decided, (entry.index,))


def _value(entry: Waiting) -> Any:
    return entry.decided.values[entry.index]


def _forget(decided: Decided, places: Sequence[int]) -> None:
    """Lets go of the bytes of what was written while the rest of its batch waits for a slow model."""
    sources, values = decided.batch.values, decided.values
    for i in places:
        sources[i] = values[i] = None


def ends(batch: Batch) -> list[tuple[tuple[str, int], int]]:
    """The last offset of each partition of a batch."""
    topics, partitions, offsets = batch.topics, batch.partitions, batch.offsets
    if topics.count(topics[0]) == len(topics):
        return [
            ((topics[0], number), last)
            for number, last in dict(zip(partitions, offsets, strict=True)).items()
        ]
    return list(dict(zip(zip(topics, partitions, strict=True), offsets, strict=True)).items())
