"""What remembers between events: stores over backings, and the changes that whoever persists them is handed.

State belongs to a partition of the source. Each enricher that remembers has one *store* for each partition, a
live cache over a *backing* that keeps bytes. A store says what changed with `drain`; the changes go into the
changelog in the same transaction as the decisions that they belong to, and then into the backing for good.

    store.drain()      what changed; staged in the backing, where `read` sees it
    backing.apply()    it was committed
    backing.discard()  it was not; the store then forgets, too
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Backing", "Change", "State", "Store", "StoreSpec", "is_change", "joined", "parted"]

Change = tuple[bytes, bytes | None]
"""A changelog record: key and value; None deletes. See `joined` for the key."""

SLOTS = 1 << 16


def joined(key: str, slot: int) -> bytes:
    """A changelog record's key: the state's key, NUL, and the slot as two bytes, big-endian.

    Args:
        slot: Which of the key's records, in [0, 65536).
    """
    return b"%b\0%b" % (key.encode("utf-8", "surrogatepass"), slot.to_bytes(2, "big"))


def parted(record_key: bytes) -> tuple[str, int]:
    """The state's key and the slot that a changelog record's key names; ValueError where it is none."""
    if len(record_key) < 3 or record_key[-3] != 0:
        raise ValueError("a changelog record's key ends in NUL and two bytes of slot")
    return record_key[:-3].decode("utf-8", "surrogatepass"), int.from_bytes(record_key[-2:], "big")


def is_change(record_key: bytes | None) -> bool:
    """Whether a record with that key in a changelog is a change; what others wrote there is none."""
    return record_key is not None and len(record_key) > 2 and record_key[-3] == 0


class Backing(Protocol):
    """The bytes behind one store of one partition: what was committed, and over it what was not yet.

    None of it is called from two threads at once.
    """

    def read(self, key: str) -> list[tuple[int, bytes]]:
        """All slots of a key with their values, by slot; staged ones stand over committed ones."""

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes that are not committed yet."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Takes over changes that were staged and are now committed.

        A key that was staged again since, with another value, keeps that one staged.
        """

    def discard(self) -> None:
        """Drops everything staged."""

    def load(self, changes: Sequence[Change]) -> None:
        """Takes committed changes as the changelog has them, to restore."""

    def keys(self) -> Iterator[str]:
        """Every key that has a value, each once; nothing changes while they are walked."""

    def __len__(self) -> int:
        """How many records are committed or staged, as closely as is known without a walk."""

    @property
    def size(self) -> int:
        """Bytes of what is committed, keys included, as closely as is known without a walk."""

    def close(self) -> None:
        """Lets go of files."""


class Store(Protocol):
    """What an enricher remembers of one partition."""

    def drain(self) -> list[Change]:
        """What changed since the last drain; it is staged in the backing, too."""

    def forget(self) -> None:
        """Drops live objects and what changed since the last drain: they are read from the backing again."""

    def show(self, key: str, now_ms: int | None = None) -> Any:
        """What is remembered of a key, as plain values for people; None where that is nothing.

        Args:
            now_ms: The event time to look from; None: the newest event of the key.
        """

    def sweep(self, now_ms: int, most: int) -> None:
        """Drops keys that have been idle too long; each call looks at the next `most` keys.

        What it drops is among the changes of the next drain.

        Args:
            now_ms: The partition's event time.
        """


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A store that a policy needs for every partition of the source.

    Attributes:
        field: Whose it is: the metadata field, or `source.dedupe`.
        name: The store's own, of field and definition: another definition has another store, and
            the changelog is `<p>.state.<name>`.
        make: The store over what one partition's backing holds.
    """

    field: str
    name: str
    make: Callable[[Backing], Store]


class State(Protocol):
    """The stores of all partitions that a worker has."""

    def of(self, topic: str, partition: int) -> Mapping[str, Store]:
        """The stores of a partition by `StoreSpec.field`.

        The engine asks once for each run of a partition's events in a batch.
        """
