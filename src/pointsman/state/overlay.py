"""What is staged over a backing and not committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from pointsman.state.base import Change

__all__ = ["Overlay"]

_COMMITTED = b"committed"
"""Stands for a record that is not staged any more; known by its identity."""


class Overlay:
    """Staged records, each under its own key.

    So a batch of changes is taken quickly; that they are found by the state's key, too, is seen to once
    somebody reads, which is seldom: what was changed lately is still a live object of the store.
    """

    def __init__(self) -> None:
        self._records: dict[bytes, bytes | None] = {}
        self._index: dict[bytes, list[bytes]] = {}
        self._fresh: list[bytes] = []
        self._stale = 0

    def __len__(self) -> int:
        return len(self._records)

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes over those before them."""
        records = self._records
        known = len(records)
        records.update(changes)
        if len(records) > known:
            self._fresh += islice(reversed(records), len(records) - known)

    def settle(self, changes: Sequence[Change]) -> None:
        """Lets go of changes that are committed, but for records that have another value since."""
        records = self._records
        for record, value in changes:
            if records.get(record, records) is value:
                del records[record]
        self._stale += len(changes)

    def clear(self) -> None:
        """Drops everything."""
        self._records.clear()
        self._index.clear()
        self._fresh.clear()

    def names(self) -> Iterable[bytes]:
        """The state's keys of which something is or was staged, as their records' keys begin."""
        return self._indexed()

    def put(self, name: bytes, found: dict[int, bytes]) -> None:
        """Puts what is staged of a key over `found`, its values by slot."""
        for record in self._indexed().get(name, ()) if self._records else ():
            slot, value = record[-2] << 8 | record[-1], self._records.get(record, _COMMITTED)
            if value is None:
                found.pop(slot, None)
            elif value is not _COMMITTED:
                found[slot] = value

    def _indexed(self) -> dict[bytes, list[bytes]]:
        """The records of each key: those that are staged, and some that were."""
        if self._stale > len(self._records):
            self._index, self._stale, self._fresh = {}, 0, list(self._records)
        for record in self._fresh:
            self._index.setdefault(record[:-2], []).append(record)
        self._fresh = []
        return self._index
