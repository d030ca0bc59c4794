"""Order per key against a model that sorts."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from pointsman.runner.order import KeyOrder, Waiting
from pointsman.runner.partitions import Partition

KEYS = st.sampled_from(["a", "b", b"c", None])


class Naive:
    """Every event in one list; what is free is found by looking at all of them."""

    def __init__(self) -> None:
        self.events: list[Waiting] = []
        self.written: set[int] = set()

    def free(self) -> set[int]:
        found, blocked = set(), set()
        for event in self.events:
            if event.offset in self.written:
                continue
            if event.key is not None and (event.key in blocked or not event.done):
                blocked.add(event.key)
            elif event.done:
                found.add(event.offset)
        self.written |= found
        return found


@given(st.data())
def test_events_of_a_key_leave_in_the_order_they_came(data: st.DataObject) -> None:
    """What is handed out, and when, is what a naive model of the same events hands out."""
    order, naive = KeyOrder(), Naive()
    partitions = [Partition("t", 0), Partition("t", 1)]
    left: defaultdict[object, list[int]] = defaultdict(list)
    open_: list[Waiting] = []
    for offset in range(data.draw(st.integers(1, 40))):
        key = data.draw(KEYS)
        event = Waiting(key, data.draw(st.sampled_from(partitions)), offset)
        naive.events.append(event)
        order.add(event)
        open_.append(event)
        free: list[Waiting] = []
        for _ in range(data.draw(st.integers(0, 2))):
            if open_:
                free += order.finish(open_.pop(data.draw(st.integers(0, len(open_) - 1))))
        if data.draw(st.integers(0, 9)) == 0:
            gone = data.draw(st.sampled_from(partitions))
            naive.events = [e for e in naive.events if e.partition is not gone]
            open_ = [e for e in open_ if e.partition is not gone]
            free = [e for e in free if e.partition is not gone] + order.drop(gone)
            naive.written -= {e.offset for e in free}
            naive.free()
        else:
            assert {e.offset for e in free} == naive.free()
        for e in free:
            left[e.key].append(e.offset)
        waiting = {e.key for e in naive.events if e.offset not in naive.written and e.key is not None}
        for key in ("a", "b", b"c", None):
            assert order.holds(key) == (key in waiting)
        assert order.disjoint(["a", "b", b"c", None]) == (not waiting)
    for key, offsets in left.items():
        if key is not None:
            assert offsets == sorted(offsets)


def test_a_dropped_partition_frees_those_behind_it() -> None:
    """An event that waited only for an event of a revoked partition is written."""
    order, gone, stays = KeyOrder(), Partition("t", 0), Partition("t", 1)
    first, second = Waiting("k", gone, 7), Waiting("k", stays, 3)
    order.add(first)
    order.add(second)
    assert order.finish(second) == []
    assert order.drop(gone) == [second]
    assert order.finish(first) == []
    assert len(order) == 0
