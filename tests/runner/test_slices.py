"""From batches to what is published in transactions, with models that answer when the test says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.runner.partitions import Partition
from pointsman.runner.slices import Effects, Slices
from runner.test_flow import EVENTS, FakeDecided, FakeEngine, batch_of

DECIDED = FakeEngine.decide


class Remembering(FakeEngine):
    """Each batch changes the state of each of its partitions."""

    def decide(self, batch: Any) -> Any:
        decided: FakeDecided = DECIDED(self, batch)
        for n in sorted(set(batch.partitions)):
            last = max(o for p, o in zip(batch.partitions, batch.offsets, strict=True) if p == n)
            decided.changes["t", n] = [("store", [(b"key", b"%d" % last)])]
        return decided


class Publisher:
    """Remembers what was published, in order."""

    def __init__(self) -> None:
        self.events = self.bytes = 0
        self.published: list[Effects] = []

    def publish(self, effects: Effects) -> None:
        self.published.append(effects)

    def wait(self, seconds: float) -> None:
        """Time does not pass here."""


def answer(engine: FakeEngine, flow: Slices, which: int) -> None:
    engine.open.pop(which).land()
    flow.step(0.0)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_slices_are_published_whole_and_in_order(data: st.DataObject) -> None:
    """Whatever answers when, each partition's events come once, in order, with their changes and offset."""
    engine, publisher = Remembering(["prompt"]), Publisher()
    flow = Slices(engine, publisher, patience=0.0)
    owned = {("t", n): Partition("t", n) for n in (0, 1)}
    next_offset = [0, 0]
    batches: defaultdict[int, list[int]] = defaultdict(list)

    for _ in range(data.draw(st.integers(1, 8))):
        places = []
        for event in data.draw(st.lists(EVENTS, min_size=1, max_size=8)):
            place = (event.partition, next_offset[event.partition])
            next_offset[event.partition] += 1
            engine.script[place] = event
            places.append(place)
        for n in {n for n, _ in places}:
            batches[n].append(next_offset[n])
        flow.take(batch_of(places), 10 * len(places), owned)
        for _ in range(data.draw(st.integers(0, 2))):
            if engine.open:
                answer(engine, flow, data.draw(st.integers(0, len(engine.open) - 1)))
        check(publisher.published, batches)

    while engine.open:
        answer(engine, flow, -1)
    check(publisher.published, batches)
    ends = {p.number: end for effects in publisher.published for p, end in effects.ends}
    assert ends == {n: offsets[-1] for n, offsets in batches.items()}
    assert flow.events == flow.bytes == 0
    assert sum(effects.events for effects in publisher.published) == sum(next_offset)


def check(published: Sequence[Effects], batches: dict[int, list[int]]) -> None:
    """What was published so far is a whole number of slices of each partition, in order."""
    ends: defaultdict[int, list[int]] = defaultdict(list)
    changed: defaultdict[int, list[int]] = defaultdict(list)
    told: defaultdict[int, list[int]] = defaultdict(list)
    for effects in published:
        for partition, end in effects.ends:
            ends[partition.number].append(end)
        for number, _, ((_, value),) in effects.changes:
            changed[number].append(int(value or b"") + 1)
        names = [value[7:-2].decode() for value in effects.values]
        names += [letter.id for letter in effects.letters if letter.id not in names]
        for number, offset in sorted(tuple(map(int, name.split("-"))) for name in names):
            told[number].append(offset)
    for number, found in ends.items():
        assert found == batches[number][: len(found)]
        assert changed[number] == found
        assert told[number] == list(range(found[-1]))


def test_what_was_given_up_is_not_published() -> None:
    """A slice of a partition that went is forgotten, whenever its model answers; others are not held up."""
    engine, publisher = Remembering([]), Publisher()
    flow = Slices(engine, publisher, patience=0.0)
    owned = {("t", n): Partition("t", n) for n in (0, 1)}
    for n in (0, 1):
        engine.script[n, 0] = EVENTS_OF[n]
    flow.take(batch_of([(0, 0), (1, 0)]), 20, owned)
    assert flow.drop(owned["t", 0]) == 1
    assert flow.events == 1
    answer(engine, flow, 0)
    (effects,) = publisher.published
    assert [(p.number, end) for p, end in effects.ends] == [(1, 1)]
    assert flow.events == flow.bytes == 0


EVENTS_OF = [
    type("Event", (), {"partition": n, "key": "a", "model": "slow", "dead": False})() for n in (0, 1)
]


def test_topics_that_share_their_state_are_published_in_one_order() -> None:
    """Where an event of one topic waits for its model, later events of the other, which saw it, wait, too."""
    engine, publisher = Remembering([]), Publisher()
    flow = Slices(engine, publisher, patience=0.0, together=("t", "u"))
    owned = {(topic, 0): Partition(topic, 0) for topic in ("t", "u")}
    engine.script[0, 0] = EVENTS_OF[0]
    engine.script[0, 1] = engine.script[0, 2] = AT_ONCE
    batch = batch_of([(0, 0), (0, 1)])
    batch.topics[1] = "u"
    flow.take(batch, 20, owned)
    later = batch_of([(0, 2)])
    later.topics[0] = "u"
    flow.take(later, 10, owned)
    assert publisher.published == []
    assert [owned[topic, 0].waiting for topic in ("t", "u")] == [1, 2]
    answer(engine, flow, 0)
    first, second = publisher.published
    assert [(p.topic, end) for p, end in first.ends] == [("t", 1), ("u", 2)]
    assert [(p.topic, end) for p, end in second.ends] == [("u", 3)]
    assert flow.events == flow.bytes == owned["t", 0].waiting == owned["u", 0].waiting == 0


AT_ONCE = type("Event", (), {"partition": 0, "key": "a", "model": None, "dead": False})()
