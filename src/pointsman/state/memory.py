"""A backing in memory: dicts of bytes. The changelog is what makes it last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pointsman.state.base import Backing, Change, Store, StoreSpec
from pointsman.state.overlay import Overlay

__all__ = ["Memory", "Settled", "Stores"]


class Memory:
    """Keeps the records of one store of one partition, by the state's key and the slot.

    Attributes:
        size: Bytes of what is committed, keys included.
    """

    def __init__(self) -> None:
        self._base: dict[bytes, dict[int, bytes]] = {}
        self._count = 0
        self._over = Overlay()
        self.size = 0

    def read(self, key: str) -> list[tuple[int, bytes]]:
        """All slots of a key with their values, by slot; staged ones stand over committed ones."""
        return self._read(key.encode("utf-8", "surrogatepass") + b"\0")

    def _read(self, name: bytes) -> list[tuple[int, bytes]]:
        found = self._base.get(name)
        if not self._over:
            return sorted(found.items()) if found else []
        both = dict(found or ())
        self._over.put(name, both)
        return sorted(both.items())

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes that are not committed yet."""
        self._over.stage(changes)

    def apply(self, changes: Sequence[Change]) -> None:
        """Takes over changes that were staged and are now committed."""
        self.load(changes)
        self._over.settle(changes)

    def discard(self) -> None:
        """Drops everything staged."""
        self._over.clear()

    def load(self, changes: Sequence[Change]) -> None:
        """Takes committed changes as the changelog has them."""
        base, count, size = self._base, self._count, self.size
        for record, value in changes:
            name, slot = record[:-2], record[-2] << 8 | record[-1]
            slots = base.get(name)
            if value is None:
                old = None if slots is None else slots.pop(slot, None)
                if slots is not None and old is not None:
                    count -= 1
                    size -= len(record) + len(old)
                    if not slots:
                        del base[name]
            elif slots is None:
                base[name] = {slot: value}
                count += 1
                size += len(record) + len(value)
            else:
                if (old := slots.get(slot)) is None:
                    count += 1
                    size += len(record)
                else:
                    size -= len(old)
                slots[slot] = value
                size += len(value)
        self._count, self.size = count, size

    def keys(self) -> Iterator[str]:
        """Every key that has a value, each once."""
        over = set(self._over.names())
        for name in [*self._base, *(name for name in over if name not in self._base)]:
            if name not in over or self._read(name):
                yield name[:-1].decode("utf-8", "surrogatepass")

    def __len__(self) -> int:
        """How many records are committed or staged."""
        return self._count + len(self._over)

    def close(self) -> None:
        """Nothing to let go of."""


class Settled(Memory):
    """Takes what is staged as committed, for those who never abort: a file of events, `explain`, tests, and a
    worker that commits at least once."""

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes for good."""
        self.load(changes)

    def apply(self, changes: Sequence[Change]) -> None:
        """Nothing: they were taken."""


class Stores:
    """The stores of all partitions, made over backings as partitions are first asked for."""

    def __init__(
        self, specs: Sequence[StoreSpec], backing: Callable[[str, int, str], Backing] | None = None
    ) -> None:
        """Args:
        specs: What stores there are, as the policy says.
        backing: Opens the backing of (topic, partition, store name); None: one in memory that takes
            everything for good.
        """
        self._specs = specs
        self._backing = backing or (lambda topic, partition, name: Settled())  # noqa: ARG005  one kind for all
        self._made: dict[tuple[str, int], dict[str, Store]] = {}

    def of(self, topic: str, partition: int) -> Mapping[str, Store]:
        """The stores of a partition by `StoreSpec.field`."""
        found = self._made.get((topic, partition))
        if found is None:
            found = self._made[topic, partition] = {
                spec.field: spec.make(self._backing(topic, partition, spec.name)) for spec in self._specs
            }
        return found
