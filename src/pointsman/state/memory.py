"""A backing in memory: a dict of bytes. The changelog is what makes it last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from pointsman.state.base import Backing, Change, Store, StoreSpec
from pointsman.state.overlay import Overlay

__all__ = ["Memory", "Settled", "Stores"]

_SAMPLE: Final = 100
"""So many records of those that come together tell how long they are."""


class Memory:
    """Keeps the records of one store of one partition, each under its own key.

    So changes are taken as fast as a dict takes them. Which records a key of the state has is found out when
    somebody asks, which is seldom: what changes is a live object of the store.
    """

    def __init__(self) -> None:
        self._records: dict[bytes, bytes | None] = {}
        self._slots: dict[bytes, bytes] = {}
        self._fresh: list[bytes] = []
        self._mean = 0.0
        self._over = Overlay()

    def read(self, key: str) -> list[tuple[int, bytes]]:
        """All slots of a key with their values, by slot; staged ones stand over committed ones."""
        return self._read(key.encode("utf-8", "surrogatepass") + b"\0")

    def _read(self, name: bytes) -> list[tuple[int, bytes]]:
        self._index()
        slots, found = self._slots.get(name, b""), {}
        for n in range(0, len(slots), 2):
            value = self._records[name + slots[n : n + 2]]
            if value is not None:
                found[slots[n] << 8 | slots[n + 1]] = value
        if self._over:
            self._over.put(name, found)
        return sorted(found.items())

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
        records = self._records
        known = len(records)
        records.update(changes)
        if len(records) > known:
            self._fresh += islice(reversed(records), len(records) - known)
            sizes = [len(key) + len(value) for key, value in changes[:_SAMPLE] if value is not None]
            self._mean = sum(sizes) / len(sizes) if sizes else self._mean
        gone = [key for key, value in changes if value is None]
        if gone:
            self._delete(gone)

    def _delete(self, gone: Sequence[bytes]) -> None:
        self._index()
        for record in gone:
            if self._records.get(record, b"") is not None:  # deleted twice, or written again since
                continue
            del self._records[record]
            name, slots = record[:-2], self._slots[record[:-2]]
            left = b"".join(s for n in range(0, len(slots), 2) if (s := slots[n : n + 2]) != record[-2:])
            if left:
                self._slots[name] = left
            else:
                del self._slots[name]

    def _index(self) -> None:
        """Brings the slots of each key up to date."""
        if self._fresh:
            slots = self._slots
            for record in self._fresh:
                name = record[:-2]
                slots[name] = slots.get(name, b"") + record[-2:]
            self._fresh = []

    def keys(self) -> Iterator[str]:
        """Every key that has a value, each once."""
        self._index()
        over = set(self._over.names())
        for name in [*self._slots, *(name for name in over if name not in self._slots)]:
            if name not in over or self._read(name):
                yield name[:-1].decode("utf-8", "surrogatepass")

    def __len__(self) -> int:
        """How many records are committed or staged."""
        return len(self._records) + len(self._over)

    @property
    def size(self) -> int:
        """Bytes of what is committed, keys included: as if all were as long as those that came last."""
        return round(len(self._records) * self._mean)

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
