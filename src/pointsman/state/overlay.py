"""What is staged over a backing and not committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pointsman.state.base import Change

__all__ = ["Overlay"]


class Overlay:
    """Staged records, each under its own key.

    So a batch of changes is taken quickly; that they are found by the state's key, too, is seen to once
    somebody reads, which is seldom: what was changed lately is still a live object of the store.
    """

    def __init__(self) -> None:
        self._records: dict[bytes, bytes | None] = {}
        self._index: dict[bytes, list[bytes]] | None = None

    def __len__(self) -> int:
        return len(self._records)

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes over those before them."""
        self._records.update(changes)
        self._index = None

    def settle(self, changes: Sequence[Change]) -> None:
        """Lets go of changes that are committed, but for records that have another value since."""
        records = self._records
        for record, value in changes:
            if records.get(record, records) is value:
                del records[record]
        self._index = None

    def clear(self) -> None:
        """Drops everything."""
        self._records.clear()
        self._index = None

    def names(self) -> Iterable[bytes]:
        """The state's keys of which something is staged, as their records' keys begin."""
        return self._indexed()

    def put(self, name: bytes, found: dict[int, bytes]) -> None:
        """Puts what is staged of a key over `found`, its values by slot."""
        for record in self._indexed().get(name, ()) if self._records else ():
            slot, value = record[-2] << 8 | record[-1], self._records[record]
            if value is None:
                found.pop(slot, None)
            else:
                found[slot] = value

    def _indexed(self) -> dict[bytes, list[bytes]]:
        if self._index is None:
            self._index = {}
            for record in self._records:
                self._index.setdefault(record[:-2], []).append(record)
        return self._index
