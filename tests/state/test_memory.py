"""A backing in memory: what was committed, and over it what was not yet."""

from __future__ import annotations

import pytest

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
