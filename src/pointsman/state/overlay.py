"""What is staged over a backing and not committed yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pointsman.state.base import Change

__all__ = ["Overlay"]


class Overlay:
    """Staged changes as they came, one list after the other.

    So they are taken and let go of at once; that they are found by the state's key, too, is seen to when
    somebody reads, which is seldom: what was changed lately is still a live object of the store.
    """

    def __init__(self) -> None:
        self._staged: list[Sequence[Change]] = []
        self._records = 0
        self._index: dict[bytes, dict[int, bytes | None]] = {}
        self._indexed = 0
        self._stale = 0

    def __len__(self) -> int:
        """How many records are staged; one that was changed several times counts so often."""
        return self._records

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes over those before them; nobody changes the list any more."""
        if changes:
            self._staged.append(changes)
            self._records += len(changes)

    def settle(self, changes: Sequence[Change]) -> None:
        """Lets go of changes that are committed, but for records that have another value since."""
        if not changes:
            return
        for place, staged in enumerate(self._staged):
            if staged is changes:  # mostly the first
                del self._staged[place]
                self._indexed -= place < self._indexed
                self._records -= len(changes)
                self._stale += len(changes)
                return
        gone = dict(changes)
        left = [[one for one in staged if gone.get(one[0], gone) is not one[1]] for staged in self._staged]
        self.clear()
        for staged in left:
            self.stage(staged)

    def clear(self) -> None:
        """Drops everything."""
        self._staged.clear()
        self._index.clear()
        self._records = self._indexed = self._stale = 0

    def names(self) -> Iterable[bytes]:
        """The state's keys of which something is or was staged, as their records' keys begin."""
        return self._by_key()

    def put(self, name: bytes, found: dict[int, bytes]) -> None:
        """Puts what is staged of a key over `found`, its values by slot."""
        for slot, value in self._by_key().get(name, {}).items():
            if value is None:
                found.pop(slot, None)
            else:
                found[slot] = value

    def _by_key(self) -> dict[bytes, dict[int, bytes | None]]:
        """Values by the state's key and slot: those that are staged, and some that are committed since."""
        if self._stale > self._records:
            self._index, self._indexed, self._stale = {}, 0, 0
        index = self._index
        for changes in self._staged[self._indexed :]:
            for record, value in changes:
                index.setdefault(record[:-2], {})[record[-2] << 8 | record[-1]] = value
        self._indexed = len(self._staged)
        return index
