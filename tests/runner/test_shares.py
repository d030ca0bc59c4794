"""Which partitions may have more events taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.runner.partitions import Partition
from pointsman.runner.shares import Shares

LIMIT = 400


def message(partition: int, offset: int, size: int = 10) -> Any:
    return SimpleNamespace(
        topic=lambda: "t", partition=lambda: partition, offset=lambda: offset, value=lambda: b"x" * size
    )


def owned_of(count: int) -> dict[tuple[str, int], Partition]:
    return {("t", n): Partition("t", n) for n in range(count)}


def look(shares: Shares, owned: dict[tuple[str, int], Partition]) -> None:
    events = sum(p.waiting for p in owned.values())
    shares.look(owned.values(), events, sum(p.waiting_bytes for p in owned.values()))


@given(st.data())
def test_a_partition_below_its_share_always_has_room(data: st.DataObject) -> None:
    """However the others wait, a partition that holds less than its part of a quarter may have more taken.

    And what was not taken of a partition is never followed by something that was.
    """
    count = data.draw(st.integers(1, 8))
    owned, shares = owned_of(count), Shares(LIMIT, 10**9, lambda p: p)
    left: dict[int, list[Any]] = {n: [] for n in range(count)}
    offset = 0
    for _ in range(data.draw(st.integers(1, 12))):
        look(shares, owned)
        fetched = []
        for n in data.draw(st.lists(st.integers(0, count - 1), max_size=200)):
            if not left[n]:
                fetched.append(message(n, offset))
                offset += 1
        for n in range(count):
            if owned["t", n] not in shares.full:
                fetched, left[n] = left[n] + fetched, []
        taken, kept = shares.admit(fetched, owned)
        kept_places = {m.partition() for m in kept}
        for m in taken:
            owned["t", m.partition()].waiting += 1
        for m in kept:
            left[m.partition()].append(m)
        for n in range(count):
            mine = [m.offset() for m in fetched if m.partition() == n and m in taken]
            rest = [m.offset() for m in fetched if m.partition() == n and m in kept]
            assert not mine or not rest or mine[-1] < rest[0]
            if n in kept_places:
                assert owned["t", n].waiting >= LIMIT // 4 // count
        assert sum(p.waiting for p in owned.values()) <= LIMIT + 200
        for p in owned.values():
            p.waiting -= data.draw(st.integers(0, p.waiting))


def test_large_events_count_by_their_bytes() -> None:
    """A partition of large events reaches the limit of bytes long before that of events."""
    owned, shares = owned_of(2), Shares(LIMIT, 1000, lambda p: p)
    owned["t", 0].waiting, owned["t", 0].waiting_bytes = 2, 600
    look(shares, owned)
    taken, left = shares.admit([message(0, n, 100) for n in range(4)] + [message(1, 0, 100)], owned)
    assert [(m.partition(), m.offset()) for m in taken] == [(0, 0), (0, 1), (1, 0)]
    assert [m.offset() for m in left] == [2, 3]
    assert shares.room


def test_a_partition_goes_on_when_it_has_finished_half_of_its_share() -> None:
    """And one alone has all the room there is."""
    owned, shares = owned_of(2), Shares(LIMIT, 10**9, lambda p: p)
    owned["t", 0].waiting = 300
    look(shares, owned)
    assert shares.full == {owned["t", 0]}
    owned["t", 0].waiting = 260
    look(shares, owned)
    assert shares.full
    owned["t", 0].waiting = 250
    look(shares, owned)
    assert not shares.full
    alone = owned_of(1)
    taken, left = shares.admit([], alone)
    look(shares, alone)
    taken, left = shares.admit([message(0, n) for n in range(LIMIT)], alone)
    assert (len(taken), len(left)) == (LIMIT, 0)
