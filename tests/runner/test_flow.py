"""From batches to effects, with models that answer when the test says so."""

from __future__ import annotations

import gc
import json
import weakref
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.base.records import Batch, DeadLetter
from pointsman.runner.flow import Flow
from pointsman.runner.partitions import Partition

KEYS = ["a", "b", "c", None]


@dataclass
class Event:
    """What shall become of one event."""

    partition: int
    key: str | None
    model: str | None  # None: decided without one
    dead: bool


class FakeTicket:
    def __init__(self, calls: Sequence[FakeCall]) -> None:
        self.calls = calls
        self.model = calls[0].model
        self.done = False
        self.landing: list[FakeTicket] = []

    def land(self) -> None:
        self.done = True
        self.landing.append(self)


@dataclass
class FakeCall:
    model: str
    indices: list[int] = field(default_factory=list)
    kept: tuple[()] = ()
    deadline: float | None = None

    def ready(self) -> list[int]:
        return self.indices


class FakeDecided:
    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.keys: list[str | None] = []
        self.values: list[bytes | None] = []
        self.dead: list[tuple[int, DeadLetter]] = []
        self.calls: list[FakeCall] = []
        self.changes: dict[Any, Any] = {}
        self.moved = None

    def due(self, _: Any) -> float:
        return inf

    def unwritable(self, index: int) -> DeadLetter:
        ident = json.loads(self.values[index] or b"{}")["id"]
        return DeadLetter(self.batch.record(index), ident, "unwritable", "too large")


class FakeEngine:
    """Decides by a script; `prompt` models answer at once, the others when `answer` is called."""

    def __init__(self, prompt: Sequence[str]) -> None:
        self.prompt = prompt
        self.script: dict[tuple[int, int], Event] = {}
        self.open: list[FakeTicket] = []
        self.decided: list[weakref.ref[FakeDecided]] = []

    def decide(self, batch: Batch) -> Any:
        decided = FakeDecided(batch)
        self.decided.append(weakref.ref(decided))
        calls: dict[str, FakeCall] = {}
        for i in range(len(batch)):
            event = self.script[batch.partitions[i], batch.offsets[i]]
            decided.keys.append(event.key)
            decided.values.append(None)
            if event.model is not None:
                calls.setdefault(event.model, FakeCall(event.model)).indices.append(i)
            elif event.dead:
                decided.dead.append((i, letter(batch, i)))
            else:
                decided.values[i] = told(batch, i)
        decided.calls = list(calls.values())
        return decided

    def remote(self, _: str) -> bool:
        return False

    def serve(self, seconds: float) -> None:
        """Time does not pass here."""

    def submit(self, calls: Sequence[Any], *_: Any) -> Any:
        ticket = FakeTicket(list(calls))
        ticket.done = calls[0].model in self.prompt
        if not ticket.done:
            self.open.append(ticket)
        return ticket

    def answer_all(self, flow: Flow) -> None:
        while self.open:
            self.open.pop().land()
            flow.step(0.0)

    def wait(self, tickets: Sequence[Any], seconds: float) -> None:
        """Time does not pass here."""

    def finish(self, decided: Any, call: Any, ticket: Any, part: slice) -> Sequence[Any]:
        rows = [i for one in ticket.calls for i in one.indices]
        assert rows[part] == call.indices, "these are not the replies to this call"
        for i in call.indices:
            decided.values[i] = told(decided.batch, i)
            if self.script[decided.batch.partitions[i], decided.batch.offsets[i]].dead:
                decided.dead.append((i, letter(decided.batch, i)))
        return ()


def told(batch: Batch, i: int) -> bytes:
    assert batch.values[i] is not None, "the event's bytes were let go too early"
    return b'{"id":"%d-%d"}' % (batch.partitions[i], batch.offsets[i])


def letter(batch: Batch, i: int) -> DeadLetter:
    return DeadLetter(batch.record(i), f"{batch.partitions[i]}-{batch.offsets[i]}", "model_failed", "")


class Sink:
    """Remembers what was written, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.letters: list[DeadLetter] = []
        self.too_large: set[bytes] = set()

    def write(self, _keys: Any, values: Sequence[bytes], _headers: Any) -> Sequence[int]:
        refused = [n for n, value in enumerate(values) if value in self.too_large]
        self.told += [value[7:-2].decode() for value in values if value not in self.too_large]
        return refused

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters


def batch_of(places: Sequence[tuple[int, int]]) -> Batch:
    n = len(places)
    return Batch(
        values=[b"x" * 10] * n,
        keys=[b"kafka"] * n,
        topics=["t"] * n,
        partitions=[partition for partition, _ in places],
        offsets=[offset for _, offset in places],
        timestamps=[7] * n,
        headers=[[("h", b"%d" % i)] for i in range(n)],
        now_ms=8,
    )


EVENTS = st.builds(
    Event,
    st.integers(0, 1),
    st.sampled_from(KEYS),
    st.sampled_from([None, "prompt", "slow", "slower"]),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_event_is_written_once_in_order_per_key(data: st.DataObject) -> None:
    """Whatever answers when, effects keep their key's order; the prefix covers just what is written."""
    engine, sink = FakeEngine(["prompt"]), Sink()
    flow = Flow(engine, sink, patience=0.0)
    owned = {("t", n): Partition("t", n) for n in (0, 1)}
    next_offset = [0, 0]
    order: defaultdict[str | None, list[str]] = defaultdict(list)
    taken: dict[str, Event] = {}

    for _ in range(data.draw(st.integers(1, 8))):
        events = data.draw(st.lists(EVENTS, min_size=1, max_size=8))
        places = []
        for event in events:
            place = (event.partition, next_offset[event.partition])
            next_offset[event.partition] += 1
            engine.script[place] = event
            places.append(place)
            name = f"{place[0]}-{place[1]}"
            taken[name] = event
            order[event.key].append(name)
        flow.take(batch_of(places), 10 * len(places), owned)
        check_prefixes(owned, sink)
        for _ in range(data.draw(st.integers(0, 2))):
            if engine.open:
                engine.open.pop(data.draw(st.integers(0, len(engine.open) - 1))).land()
                flow.step(0.0)
                check_prefixes(owned, sink)

    engine.answer_all(flow)
    finished = finished_of(sink)
    assert finished == set(taken)
    assert len(sink.told) == len(set(sink.told))
    assert flow.events == flow.bytes == 0
    for key, names in order.items():
        if key is not None:
            assert [name for name in sink.told if name in names] == [n for n in names if n in sink.told]
    for n in (0, 1):
        assert owned["t", n].prefix() == (next_offset[n] or None)
    for dead in sink.letters:
        assert dead.record.value == b"x" * 10
        assert dead.record.headers is not None


def finished_of(sink: Sink) -> set[str]:
    return set(sink.told) | {dead.id for dead in sink.letters}


def check_prefixes(owned: dict[Any, Partition], sink: Sink) -> None:
    """Everything below a prefix is written; the event at the prefix is not."""
    finished = finished_of(sink)
    for (_, number), partition in owned.items():
        prefix = partition.prefix()
        if prefix is not None:
            assert {f"{number}-{offset}" for offset in range(prefix)} <= finished
            assert f"{number}-{prefix}" not in finished


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_partition_that_goes_takes_only_its_own_with_it(data: st.DataObject) -> None:
    """Results of a revoked partition are discarded; what waited behind its events is written."""
    engine, sink = FakeEngine([]), Sink()
    flow = Flow(engine, sink, patience=0.0)
    gone, stays = Partition("t", 0), Partition("t", 1)
    owned = {("t", 0): gone, ("t", 1): stays}
    events = data.draw(st.lists(EVENTS, min_size=1, max_size=12))
    offsets = [0, 0]
    places = []
    for event in events:
        place = (event.partition, offsets[event.partition])
        offsets[event.partition] += 1
        engine.script[place] = event
        places.append(place)
    cut = data.draw(st.integers(1, len(places)))
    for part in (places[:cut], places[cut:]):
        if part:
            flow.take(batch_of(part), 10, owned)

    waiting = gone.waiting
    before = set(finished_of(sink))
    assert flow.drop(gone) == waiting
    engine.answer_all(flow)

    assert not {name for name in finished_of(sink) - before if name.startswith("0-")}
    assert {name for name in finished_of(sink) if name.startswith("1-")} == {
        f"1-{n}" for n in range(offsets[1])
    }
    assert flow.events == flow.bytes == 0


def test_a_slow_model_holds_only_its_own_keys() -> None:
    """While one model works, events of other keys are written and committed offsets wait below it."""
    engine, sink = FakeEngine(["prompt"]), Sink()
    flow = Flow(engine, sink, patience=0.0)
    owned = {("t", 0): Partition("t", 0)}
    script = [("a", "slow"), ("b", "prompt"), ("a", "prompt"), (None, "prompt"), ("b", "prompt")]
    for offset, (key, model) in enumerate(script):
        engine.script[0, offset] = Event(0, key, model, dead=False)
    flow.take(batch_of([(0, n) for n in range(5)]), 50, owned)
    assert sink.told == ["0-1", "0-3", "0-4"]
    assert owned["t", 0].prefix() == 0
    assert flow.events == 2

    engine.open[0].land()
    flow.step(0.0)
    assert sink.told == ["0-1", "0-3", "0-4", "0-0", "0-2"]
    assert owned["t", 0].prefix() == 5


def test_a_decision_too_large_for_its_topic_is_a_dead_letter() -> None:
    """The event is kept with its id, key, value and headers, whether it waited or not."""
    engine, sink = FakeEngine(["prompt"]), Sink()
    flow = Flow(engine, sink, patience=0.0)
    engine.script = {(0, 0): Event(0, "a", "prompt", dead=False), (0, 1): Event(0, "a", "slow", dead=False)}
    sink.too_large = {b'{"id":"0-0"}', b'{"id":"0-1"}'}
    owned = {("t", 0): Partition("t", 0)}
    flow.take(batch_of([(0, 0)]), 10, owned)
    flow.take(batch_of([(0, 1)]), 10, owned)
    engine.open[0].land()
    flow.step(0.0)
    assert sink.told == []
    assert [(dead.id, dead.reason) for dead in sink.letters] == [("0-0", "unwritable"), ("0-1", "unwritable")]
    assert [dead.record.headers for dead in sink.letters] == [[("h", b"0")], [("h", b"0")]]
    assert owned["t", 0].prefix() == 2


def test_calls_that_wait_for_a_busy_model_go_together() -> None:
    """A model that is late gets one call ahead; what comes meanwhile is put together up to a batch."""
    engine, sink = FakeEngine([]), Sink()
    flow = Flow(engine, sink, patience=0.0, most=3)
    owned = {("t", 0): Partition("t", 0)}
    for offset in range(7):
        engine.script[0, offset] = Event(0, None, "slow", dead=False)
        flow.take(batch_of([(0, offset)]), 10, owned)
    assert [len(ticket.calls) for ticket in engine.open] == [1, 1]
    engine.open.pop(0).land()
    flow.step(0.0)
    assert [len(ticket.calls) for ticket in engine.open] == [1, 3]
    engine.answer_all(flow)
    assert sorted(sink.told) == [f"0-{n}" for n in range(7)]
    assert flow.events == 0


def test_what_waited_is_freed_once_it_is_written() -> None:
    """No circle holds a batch: to find it, Python's collector would stop the process for all events."""
    engine, sink = FakeEngine([]), Sink()
    flow = Flow(engine, sink, patience=0.0)
    owned = {("t", 0): Partition("t", 0)}
    gc.disable()
    try:
        for offset, dead in enumerate((False, True)):
            engine.script[0, offset] = Event(0, "a", "slow", dead=dead)
            flow.take(batch_of([(0, offset)]), 10, owned)
        engine.answer_all(flow)
        assert [decided() for decided in engine.decided] == [None, None]
    finally:
        gc.enable()
    assert (sink.told, len(sink.letters)) == (["0-0", "0-1"], 1)


def test_headers_are_made_also_where_a_model_is_late() -> None:
    """What is written at once and what waits both get theirs from the headers that came."""
    engine, sink = FakeEngine(["prompt"]), Sink()
    made: list[Any] = []
    flow = Flow(engine, sink, patience=0.0, headers=lambda _, came: made.append(came) or [])
    engine.script = {
        (0, 0): Event(0, "a", "prompt", dead=False),
        (0, 1): Event(0, "b", "slow", dead=False),
    }
    owned = {("t", 0): Partition("t", 0)}
    flow.take(batch_of([(0, 0), (0, 1)]), 10, owned)
    engine.answer_all(flow)

    assert made == [[("h", b"0")], [("h", b"1")]]
