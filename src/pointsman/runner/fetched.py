"""A backing whose bytes are a stream engine's: it asks for what it does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pointsman.runner.frames import fetch, fetched, walk, walked
from pointsman.state.base import Change
from pointsman.state.overlay import Overlay

__all__ = ["Fetch", "Fetched"]

Fetch = Callable[[bytes], bytes]
"""From a frame that asks what is stored to the frame that says it."""

_KNOWN: Final = 100_000
"""So many keys read lately are not expected again, as a store keeps so many as objects."""
_WALKED: Final = 500
"""Keys of a walk that are asked for at once."""
_TRIES: Final = 2_000
"""Once so many keys were expected, it is looked at whether that was of use."""


class Fetched:
    """The records of one store of one partition.

    A crossing for each key would cost more than the reading, so keys that are likely needed are asked for
    together; where they turn out not to be, that is left be.
    """

    def __init__(self, store: str, partition: int, ask: Fetch) -> None:
        self._store = store
        self._partition = partition
        self._ask = ask
        self._over = Overlay()
        self._here: dict[bytes, list[tuple[int, bytes]]] = {}
        self._known: set[bytes] = set()
        self._expected = 0
        self._used = 0
        self.size = 0

    def settle(self) -> None:
        """What was staged is with the engine now."""
        self._over.clear()
        self._here.clear()

    def expect(self, keys: Callable[[], Sequence[str]]) -> None:
        """Asks for these keys at once, but for those that were read lately."""
        if self._expected > _TRIES and self._used < self._expected // 2:
            return
        new = [name for key in keys() if (name := _name(key)) not in self._known]
        if len(self._known) > _KNOWN:
            self._known.clear()
        self._known.update(new)
        if len(new) > 1:
            self._expected += len(new)
            found = fetched(self._ask(fetch(self._store, self._partition, new)))
            self._here.update(zip(new, found, strict=True))

    def read(self, key: str) -> list[tuple[int, bytes]]:
        """All slots of a key with their values, by slot; staged ones stand over stored ones."""
        name = _name(key)
        found = self._here.pop(name, None)
        if found is None:
            found = fetched(self._ask(fetch(self._store, self._partition, [name])))[0]
        else:
            self._used += 1
        if not self._over:
            return found
        both = dict(found)
        self._over.put(name, both)
        return sorted(both.items())

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes that the engine has not stored yet."""
        self._over.stage(changes)
        if self._here:  # what was stored of these keys is not all any more
            for record, _ in changes:
                self._here.pop(record[:-2], None)

    def apply(self, changes: Sequence[Change]) -> None:
        """Nothing: the engine stores what it is told."""

    def discard(self) -> None:
        """Drops everything staged."""
        self._over.clear()

    def load(self, changes: Sequence[Change]) -> None:
        """Nothing: the engine restores its own."""

    def keys(self) -> Iterator[str]:
        """Every key that the engine has, in portions that are read with it."""
        while names := walked(self._ask(walk(self._store, self._partition, _WALKED))):
            found = fetched(self._ask(fetch(self._store, self._partition, names)))
            self._here.update(zip(names, found, strict=True))
            for name in names:
                yield name[:-1].decode("utf-8", "surrogatepass")

    def __len__(self) -> int:
        """Nothing is kept here."""
        return 0

    def close(self) -> None:
        """Nothing to let go of."""


def _name(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass") + b"\0"
