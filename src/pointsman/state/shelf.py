"""A store of small values by key and slot, for what remembers one thing about each key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from pointsman.state.base import Backing, Change, joined

__all__ = ["Shelf"]

_LIVE_KEYS: Final = 100_000
"""Keys whose values are held decoded; beyond them all are let go and read again when they are asked for."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Shelf:
    """Plain values, such as a time or a list of numbers, kept by key and slot.

    A value is replaced, never changed in place.

    Args:
        idle: Whether a key with these values by slot can be dropped at an event time.
        shown: What people are shown of a key's values.
        dropped: Told the values by slot of each key that is dropped.
    """

    def __init__(
        self,
        backing: Backing,
        idle: Callable[[dict[int, Any], int], bool],
        shown: Callable[[dict[int, Any]], Any],
        dropped: Callable[[Shelf, dict[int, Any]], None] = lambda *_: None,
    ) -> None:
        self._backing = backing
        self._idle = idle
        self._shown = shown
        self._dropped = dropped
        self._live: dict[str, dict[int, Any]] = {}
        self._changed: set[tuple[str, int]] = set()
        self._swept: Iterator[str] = iter(())

    def get(self, key: str, slot: int = 0) -> Any:
        """The value, or None."""
        return self._of(key).get(slot)

    def put(self, key: str, slot: int, value: Any) -> None:
        """Sets the value; None deletes it."""
        self._of(key)[slot] = value
        self._changed.add((key, slot))

    def drain(self) -> list[Change]:
        """What changed since the last drain."""
        changes: list[Change] = []
        for key, slot in sorted(self._changed):
            value = self._live[key][slot]
            changes.append((joined(key, slot), None if value is None else _encode(value)))
        self._changed.clear()
        if changes:
            self._backing.stage(changes)
        if len(self._live) > _LIVE_KEYS:
            self._live.clear()
        return changes

    def forget(self) -> None:
        """Drops what is held decoded, and what changed since the last drain."""
        self._live.clear()
        self._changed.clear()

    def show(self, key: str, now_ms: int | None = None) -> Any:  # noqa: ARG002  nothing here ages by itself
        """A key's values for people."""
        values = {slot: value for slot, value in self._of(key).items() if value is not None}
        return self._shown(values) if values else None

    def sweep(self, now_ms: int, most: int) -> None:
        """Drops idle keys among the next `most`."""
        for _ in range(most):
            key = next(self._swept, None)
            if key is None:
                self._swept = self._backing.keys()
                return
            values = self._of(key)
            if self._idle(values, now_ms):
                self._dropped(self, dict(values))
                for slot in values:
                    self.put(key, slot, None)

    def _of(self, key: str) -> dict[int, Any]:
        values = self._live.get(key)
        if values is None:
            values = {slot: _decode(value) for slot, value in self._backing.read(key)}
            self._live[key] = values
        return values
