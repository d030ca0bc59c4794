"""`source.dedupe`: an event whose key was seen shortly before is decided, and no model is called for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.hashing import content_hash
from pointsman.base.keys import key_text
from pointsman.cel.program import Program
from pointsman.enrich.base import COUNTS
from pointsman.state.base import Backing, Store, StoreSpec
from pointsman.state.shelf import Shelf

__all__ = ["Dedupe"]

FIELD: Final = "source.dedupe"


@dataclass(frozen=True, slots=True)
class Dedupe:
    """Which events repeat others.

    Attributes:
        key: What repeats; an event for which it has no value repeats none.
        within_ms: How far the event times of a repeat and of the first of its kind lie apart at most.
    """

    key: Program
    within_ms: int

    @property
    def spec(self) -> StoreSpec:
        """What is remembered: the time of the first event of each key."""
        digest = content_hash(f"dedupe\n{self.key.text}".encode("utf-8", "surrogatepass"))
        return StoreSpec(FIELD, f"dedupe-{digest[:8]}", self._store)

    def _store(self, backing: Backing) -> Shelf:
        def idle(values: dict[int, Any], now_ms: int) -> bool:
            return all(value is None or value + self.within_ms < now_ms for value in values.values())

        return Shelf(backing, idle, lambda values: {"first seen": values.get(0)})

    def recall(self, store: Store) -> Callable[[int, int, Any], bool]:
        """From an event's time, whether it counts, and its key to whether it is a repeat.

        A redriven event is none: its first attempt is what was seen.
        """
        assert isinstance(store, Shelf)
        within = self.within_ms

        def repeats(when: int, counts: int, key: Any) -> bool:
            name = key if key.__class__ is str else key_text(key)
            if name is None or counts != COUNTS:
                return False
            seen = store.get(name)
            if seen is not None and abs(when - seen) < within:
                return True
            if seen is None or when > seen:
                store.put(name, 0, when)
            return False

        return repeats
