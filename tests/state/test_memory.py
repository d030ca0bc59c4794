"""A backing in memory: what was committed, and over it what was not yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.state.base import StoreSpec, joined, parted
from pointsman.state.memory import Memory, Stores


@pytest.mark.parametrize("key", ["U1", "", "ключ", "a\0b", "\ud800"])
def test_a_record_key_names_key_and_slot(key):
    """The key of a changelog record gives back the state's key and the slot."""
    assert parted(joined(key, 259)) == (key, 259)
    assert joined("U1", 259) == b"U1\0\x01\x03"


def test_foreign_record_keys_are_refused():
    """A key that no store wrote is told apart."""
    with pytest.raises(ValueError, match="two bytes of slot"):
        parted(b"U1")


def test_staged_changes_are_read_over_committed_ones():
    """A read sees what is staged; slots come in order, deleted ones not at all."""
    memory = Memory()
    memory.load([(joined("a", 2), b"two"), (joined("a", 0), b"zero"), (joined("b", 0), b"other")])
    memory.stage([(joined("a", 1), b"one"), (joined("a", 0), None), (joined("c", 0), b"new")])
    assert memory.read("a") == [(1, b"one"), (2, b"two")]
    assert sorted(memory.keys()) == ["a", "b", "c"]
    assert memory.read("nobody") == []


def test_discard_gives_back_what_was_committed():
    """After an abort nothing staged is left."""
    memory = Memory()
    memory.load([(joined("a", 0), b"old")])
    memory.stage([(joined("a", 0), b"new"), (joined("b", 0), b"new")])
    memory.discard()
    assert memory.read("a") == [(0, b"old")]
    assert list(memory.keys()) == ["a"]
    assert len(memory) == 1


def test_apply_keeps_what_was_staged_again():
    """A commit takes over its own changes; a later change of the same record stays staged."""
    memory = Memory()
    first, second = b"first" * 9, b"second" * 9
    memory.stage([(joined("a", 0), first), (joined("b", 0), b"b")])
    memory.stage([(joined("a", 0), second)])
    memory.apply([(joined("a", 0), first), (joined("b", 0), b"b")])
    assert memory.read("a") == [(0, second)]
    memory.discard()
    assert memory.read("a") == [(0, first)]
    assert memory.read("b") == [(0, b"b")]


def test_deletes_leave_nothing():
    """A key whose last slot is deleted is gone, committed or staged."""
    memory = Memory()
    memory.load([(joined("a", 0), b"a"), (joined("b", 0), b"b")])
    memory.load([(joined("a", 0), None), (joined("z", 0), None)])
    memory.stage([(joined("b", 0), None)])
    assert list(memory.keys()) == []
    memory.apply([(joined("b", 0), None)])
    assert len(memory) == 0


_changes = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "a\0b"]), st.integers(0, 3), st.sampled_from([None, b"1", b"2", b"3"])
    ),
    max_size=4,
)


@given(st.lists(st.tuples(st.sampled_from(["load", "stage", "apply", "discard", "look"]), _changes)))
def test_whatever_comes_it_holds_what_a_dict_would(steps):
    """Loaded, staged, committed and discarded in any order: records, keys and their number are right."""
    memory, base, over, waiting = Memory(), {}, {}, []

    def both():
        return {key: value for key, value in {**base, **over}.items() if value is not None}

    for what, found in steps:
        changes = [(joined(key, slot), value and value * 2) for key, slot, value in found]
        if what == "load" and not waiting:  # to restore
            memory.load(changes)
            base.update(changes)
        elif what == "stage":
            memory.stage(changes)
            over.update(changes)
            waiting.append(changes)
        elif what == "apply" and waiting:
            memory.apply(waiting[0])
            base.update(waiting[0])
            over = {key: v for one in waiting[1:] for key, v in one}
            del waiting[0]
        elif what == "discard":
            memory.discard()
            over.clear()
            waiting.clear()
        else:
            for key in ("a", "b", "a\0b", "c"):
                wanted = sorted((parted(r)[1], v) for r, v in both().items() if parted(r)[0] == key)
                assert memory.read(key) == wanted
            assert sorted(memory.keys()) == sorted({parted(record)[0] for record in both()})
    assert sorted(memory.keys()) == sorted({parted(record)[0] for record in both()})
    memory.discard()
    assert len(memory) == len([value for value in base.values() if value is not None])


def test_its_size_is_told_without_a_walk():
    """Bytes are those of its records where these are of one length."""
    memory = Memory()
    memory.load([(joined("a", n), b"12345") for n in range(1000)])
    memory.load([(joined("a", 1000), b"54321"), (joined("a", 3), None)])
    assert memory.size == 1000 * (len(joined("a", 0)) + 5)


def test_each_partition_has_stores_of_its_own():
    """Stores are made once for each partition, each over a backing of its own."""
    made = []

    def make(backing):
        made.append(backing)
        return f"store {len(made)}"

    stores = Stores([StoreSpec("spend", "spend-1", make), StoreSpec("n", "n-2", make)])
    assert stores.of("t", 0) == {"spend": "store 1", "n": "store 2"}
    assert stores.of("t", 1) == {"spend": "store 3", "n": "store 4"}
    assert stores.of("t", 0) is stores.of("t", 0)
    assert len(set(map(id, made))) == 4
