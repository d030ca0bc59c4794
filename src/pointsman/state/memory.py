"""A backing in memory: dicts of bytes. The changelog is what makes it last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pointsman.state.base import Backing, Change, Store, StoreSpec, joined, parted

__all__ = ["Memory", "Stores"]


class Memory:
    """Keeps the records of one store of one partition.

    What is committed stands by key and then by slot, so that reading a key costs nothing for the others; what
    is not is an overlay of the same shape, in which None deletes.
    """

    def __init__(self) -> None:
        self._base: dict[str, dict[int, bytes]] = {}
        self._staged: dict[bytes, bytes | None] = {}
        self._over: dict[str, set[int]] = {}
        self._size = 0

    def read(self, key: str) -> list[tuple[int, bytes]]:
        """All slots of a key with their values, by slot; staged ones stand over committed ones."""
        found: dict[int, bytes] = self._base.get(key, {})
        staged = self._over.get(key)
        if staged:
            found = dict(found)
            for slot in staged:
                value = self._staged[joined(key, slot)]
                if value is None:
                    found.pop(slot, None)
                else:
                    found[slot] = value
        return sorted(found.items())

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes that are not committed yet."""
        for name, value in changes:
            if name not in self._staged:
                key, slot = parted(name)
                self._over.setdefault(key, set()).add(slot)
            self._staged[name] = value

    def apply(self, changes: Sequence[Change]) -> None:
        """Takes over changes that were staged and are now committed."""
        self.load(changes)
        for name, value in changes:
            if name in self._staged and self._staged[name] is value:
                del self._staged[name]
                key, slot = parted(name)
                slots = self._over[key]
                slots.discard(slot)
                if not slots:
                    del self._over[key]

    def discard(self) -> None:
        """Drops everything staged."""
        self._staged.clear()
        self._over.clear()

    def load(self, changes: Sequence[Change]) -> None:
        """Takes committed changes as the changelog has them."""
        base, size = self._base, self._size
        for name, value in changes:
            key, slot = parted(name)
            slots = base.get(key)
            if value is not None:
                if slots is None:
                    base[key] = {slot: value}
                    size += 1
                else:
                    size += slot not in slots
                    slots[slot] = value
            elif slots is not None and slots.pop(slot, None) is not None:
                size -= 1
                if not slots:
                    del base[key]
        self._size = size

    def keys(self) -> Iterator[str]:
        """Every key that has a value, each once."""
        for key in list(self._base):
            if key not in self._over or self.read(key):
                yield key
        for key in list(self._over):
            if key not in self._base and self.read(key):
                yield key

    def __len__(self) -> int:
        """How many records are committed or staged."""
        return self._size + len(self._staged)

    def close(self) -> None:
        """Nothing to let go of."""


class Stores:
    """The stores of all partitions, made over backings as partitions are first asked for."""

    def __init__(
        self, specs: Sequence[StoreSpec], backing: Callable[[str, int, str], Backing] | None = None
    ) -> None:
        """Args:
        specs: What stores there are, as the policy says.
        backing: Opens the backing of (topic, partition, store name); None: one in memory.
        """
        self._specs = specs
        self._backing = backing or (lambda topic, partition, name: Memory())  # noqa: ARG005  one kind for all
        self._made: dict[tuple[str, int], dict[str, Store]] = {}

    def of(self, topic: str, partition: int) -> Mapping[str, Store]:
        """The stores of a partition by `StoreSpec.field`."""
        found = self._made.get((topic, partition))
        if found is None:
            found = self._made[topic, partition] = {
                spec.field: spec.make(self._backing(topic, partition, spec.name)) for spec in self._specs
            }
        return found
