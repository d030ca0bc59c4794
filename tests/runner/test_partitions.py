"""The finished prefix of a partition against a model that remembers everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pointsman.runner.partitions import Partition


@given(st.data())
def test_the_prefix_is_the_first_unfinished_offset(data: st.DataObject) -> None:
    """Whatever finishes in whatever order, all below the prefix is finished, and the prefix itself is not."""
    partition = Partition("t", 0)
    unfinished: set[int] = set()
    position, committed = data.draw(st.integers(0, 50)), -1
    for _ in range(data.draw(st.integers(1, 30))):
        if unfinished and data.draw(st.booleans()):
            offset = data.draw(st.sampled_from(sorted(unfinished)))
            unfinished.remove(offset)
            partition.finish(offset, offset)
        else:
            taken = data.draw(st.lists(st.booleans(), min_size=1, max_size=6))
            for waits in taken:
                if waits:
                    unfinished.add(position)
                    partition.wait(position, position)
                position += data.draw(st.integers(1, 3))
                last = position - 1
            partition.took(last)
        assert partition.prefix() == min(unfinished, default=partition.position)
        assert partition.prefix() >= committed
        committed = partition.prefix()
        assert partition.waiting == len(unfinished)
        assert partition.waiting_bytes == sum(unfinished)


def test_a_partition_without_events_has_nothing_to_commit() -> None:
    """Before its first event a partition leaves the committed offset as it is."""
    assert Partition("t", 0).prefix() is None


def test_a_partition_given_up_says_what_it_leaves() -> None:
    """The next owner gets the events that were taken and not finished."""
    partition = Partition("t", 0)
    partition.wait(4, 10)
    partition.wait(5, 10)
    partition.took(5)
    partition.finish(5, 10)
    assert partition.prefix() == 4
    assert partition.release() == 1
    assert not partition.owned
