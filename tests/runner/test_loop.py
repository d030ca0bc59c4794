"""The loop's turns, against a client and a producer that do as told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from confluent_kafka import TopicPartition

from pointsman.runner import loop
from pointsman.runner.link import LocalLink
from pointsman.runner.loop import Pace, Worker
from pointsman.runner.metrics import Metrics
from pointsman.runner.worker import PACES

TURNS = 200


class Clock:
    """Goes on by a hundredth of a second with each turn."""

    seconds = 0.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class Intake:
    """Has nothing for `TURNS` turns, then asks for the end; early on it calls what `meanwhile` names."""

    meanwhile = ""

    paused = exhausted = holds = False

    consumer = SimpleNamespace(commit=lambda **_: [])

    def __init__(self, *given: Any) -> None:
        self._link = given[3]
        self.turns = 0

    def join(self, **called: Any) -> None:
        self._called = called

    def fetch(self, *_: Any) -> list[Any]:
        self.turns += 1
        if self.turns == 1:
            self._called["assigned"](None, [])
        if self.turns == TURNS // 4 and self.meanwhile:
            self._called[self.meanwhile](None, [])
        Clock.seconds += 0.01
        if self.turns == TURNS:
            self._link.stop()
        return []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Writer:
    """Has always something in flight, or never; remembers how long it was waited for."""

    bytes = 0

    def __init__(self, busy: bool) -> None:
        self.busy = busy
        self.waited: list[float] = []

    def __len__(self) -> int:
        return int(self.busy)

    def purge(self) -> None:
        pass

    def flush(self, seconds: float) -> bool:
        if seconds:
            self.waited.append(Clock.seconds)
        return bool(seconds) or not self.busy

    def close(self) -> None:
        pass


@pytest.mark.parametrize("profile", ["latency", "throughput"])
@pytest.mark.parametrize("busy", [False, True])
def test_a_commit_waits_for_acknowledgements_only_when_it_is_overdue(
    profile: str, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is in flight it is made at once; else it stops the worker only after its grace."""
    monkeypatch.setattr(loop, "Intake", Intake)
    monkeypatch.setattr(Clock, "seconds", 0.0)
    pace: Pace = PACES[profile]
    writer: Any = Writer(busy)
    engine: Any = None
    link = LocalLink(lambda *_, **__: None, clock=Clock())

    Worker(engine, writer, ["t"], {}, pace, link, Metrics(), clock=Clock()).run()

    drained = writer.waited.pop()
    assert drained == pytest.approx(TURNS * 0.01)
    if not busy:
        assert writer.waited == []
        return
    assert profile == "throughput" or pace.grace >= 0.5
    apart = [after - before for before, after in zip(writer.waited, writer.waited[1:], strict=False)]
    assert apart
    assert min(apart) >= pace.commit + pace.grace - 0.011


@pytest.mark.parametrize(("meanwhile", "why"), [("lost", "asked to"), ("assigned", "idle")])
def test_a_worker_outside_its_group_is_not_idle(
    meanwhile: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partitions lost in an outage come back with the group: nobody knows before whether events wait."""
    monkeypatch.setattr(loop, "Intake", Intake)
    monkeypatch.setattr(Intake, "meanwhile", meanwhile)
    monkeypatch.setattr(Clock, "seconds", 0.0)
    pace = Pace(until_idle=TURNS * 0.01 * 0.4)
    said: list[Any] = []
    link = LocalLink(lambda name, **fields: said.append((name, fields.get("why"))), clock=Clock())
    engine: Any = None
    writer: Any = Writer(busy=False)

    Worker(engine, writer, ["t"], {}, pace, link, Metrics(), clock=Clock()).run()

    assert ("draining", why) in said


class LeavesWork(Intake):
    """Has a partition of which an event still waits at the end."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._partitions = given[2]

    def close(self) -> None:
        self._called["assigned"](None, [TopicPartition("t", 0)])
        self._partitions.owned["t", 0].wait(0, 10)
        self._called["revoked"](self.consumer, [TopicPartition("t", 0)])


def test_events_that_a_drain_did_not_finish_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that hangs outlasts the drain; the log says how many events are left to the next run."""
    monkeypatch.setattr(loop, "Intake", LeavesWork)
    monkeypatch.setattr(Clock, "seconds", 0.0)
    said: dict[str, Any] = {}
    link = LocalLink(lambda name, **fields: said.update({name: fields}), clock=Clock())
    engine: Any = None
    writer: Any = Writer(busy=False)

    Worker(engine, writer, ["t"], {}, Pace(), link, Metrics(), clock=Clock()).run()

    assert said["partitions_revoked"] == {"partitions": ["t-0"], "discarded": 1}


class HandsOut(Intake):
    """Hands out what it is given, turn by turn; remembers what is given back."""

    batches: ClassVar[list[list[Any]]] = []

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.back: list[Any] = []

    def fetch(self, *_: Any) -> list[Any]:
        return self.batches.pop(0)

    def give_back(self, events: Any) -> None:
        self.back.append(events)


def message(partition: int, offset: int) -> Any:
    return SimpleNamespace(topic=lambda: "t", partition=lambda: partition, offset=lambda: offset)


def test_what_the_client_hands_out_twice_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a batch and behind it; but all is taken again where the partition begins anew."""
    monkeypatch.setattr(loop, "Intake", HandsOut)
    said: list[str] = []
    link = LocalLink(lambda name, **_: said.append(name), clock=Clock())
    engine: Any = None
    writer: Any = Writer(busy=False)
    state: Any = SimpleNamespace()
    worker = Worker(engine, writer, ["t"], {}, Pace(), link, Metrics(), clock=Clock(), state=state)
    worker._partitions.add([TopicPartition("t", 0), TopicPartition("t", 1)])

    def fetched(*places: tuple[int, int]) -> list[tuple[int, int]]:
        HandsOut.batches.append([message(*place) for place in places])
        found = [(m.partition(), m.offset()) for m in worker._fetch(0.0)]
        for number, offset in found:
            worker._partitions.owned["t", number].took(offset)
        return found

    assert fetched((0, 5), (0, 6), (1, 0), (0, 5), (0, 6), (0, 9)) == [(0, 5), (0, 6), (1, 0), (0, 9)]
    assert fetched((0, 6), (0, 9), (1, 1), (0, 10)) == [(1, 1), (0, 10)]
    intake: Any = worker._intake
    assert intake.back == [{"t": 2}, {"t": 2}]
    assert said == ["broker_trouble"] * 2
    worker._partitions.renew({("t", 0): 6})
    assert fetched((0, 6), (0, 9), (1, 0)) == [(0, 6), (0, 9), (1, 0)]
