"""A backing in memory: dicts of bytes. The changelog is what makes it last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pointsman.state.base import Backing, Change, Store, StoreSpec

__all__ = ["Memory", "Settled", "Stores"]


class Memory:
    """Keeps the records of one store of one partition.

    Records stand by their own keys, so that a batch of changes is taken quickly, with an index of each key's
    slots beside them. What is staged is another such dict, in which None deletes; it is indexed when somebody
    reads.

    Attributes:
        size: Bytes of what is committed, keys included.
    """

    def __init__(self) -> None:
        self._base: dict[bytes, bytes] = {}
        self._slots: dict[bytes, bytes] = {}
        self._staged: dict[bytes, bytes | None] = {}
        self._over: dict[bytes, bytes] = {}
        self._unindexed: list[Sequence[Change]] = []
        self.size = 0

    def read(self, key: str) -> list[tuple[int, bytes]]:
        """All slots of a key with their values, by slot; staged ones stand over committed ones."""
        name = key.encode("utf-8", "surrogatepass") + b"\0"
        slots = self._slots.get(name, b"")
        if self._staged:
            self._index()
            slots += self._over.get(name, b"")
        found: dict[int, bytes] = {}
        for at in range(0, len(slots), 2):
            record = name + slots[at : at + 2]
            value = self._staged[record] if record in self._staged else self._base.get(record)
            if value is not None:
                found[int.from_bytes(slots[at : at + 2], "big")] = value
        return sorted(found.items())

    def _index(self) -> None:
        """Notes the slots of what was staged."""
        for changes in self._unindexed:
            for record, _ in changes:
                name, slot = record[:-2], record[-2:]
                slots = self._over.get(name, b"")
                if slot not in (slots[at : at + 2] for at in range(0, len(slots), 2)):
                    self._over[name] = slots + slot
        self._unindexed.clear()

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes that are not committed yet."""
        if changes:
            self._staged.update(changes)
            self._unindexed.append(list(changes))

    def apply(self, changes: Sequence[Change]) -> None:
        """Takes over changes that were staged and are now committed."""
        self.load(changes)
        staged = self._staged
        for record, value in changes:
            if record in staged and staged[record] is value:
                del staged[record]
        if not staged:
            self.discard()

    def discard(self) -> None:
        """Drops everything staged."""
        self._staged.clear()
        self._over.clear()
        self._unindexed.clear()

    def load(self, changes: Sequence[Change]) -> None:
        """Takes committed changes as the changelog has them."""
        base, slots = self._base, self._slots
        for record, value in changes:
            if value is None:
                self._delete(record)
            elif (old := base.get(record)) is not None:
                base[record] = value
                self.size += len(value) - len(old)
            else:
                base[record] = value
                self.size += len(record) + len(value)
                name = record[:-2]
                slots[name] = slots.get(name, b"") + record[-2:]

    def _delete(self, record: bytes) -> None:
        old = self._base.pop(record, None)
        if old is None:
            return
        self.size -= len(record) + len(old)
        name, slots = record[:-2], self._slots[record[:-2]]
        left = b"".join(slot for at in range(0, len(slots), 2) if (slot := slots[at : at + 2]) != record[-2:])
        if left:
            self._slots[name] = left
        else:
            del self._slots[name]

    def keys(self) -> Iterator[str]:
        """Every key that has a value, each once."""
        self._index()
        for name in [*self._slots, *(name for name in self._over if name not in self._slots)]:
            key = name[:-1].decode("utf-8", "surrogatepass")
            if name not in self._over or self.read(key):
                yield key

    def __len__(self) -> int:
        """How many records are committed or staged."""
        return len(self._base) + len(self._staged)

    def close(self) -> None:
        """Nothing to let go of."""


class Settled(Memory):
    """Takes what is staged as committed, for those who never abort: a file of events, `explain`, tests."""

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes for good."""
        self.load(changes)


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
