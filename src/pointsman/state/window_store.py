"""The store of a window: what is known of each key, over the sub-buckets that its backing holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from pointsman.cel.values import MISSING
from pointsman.state.base import Backing, Change
from pointsman.state.ddsketch import DDSketch
from pointsman.state.hyperloglog import Distinct
from pointsman.state.window import NEVER, Window
from pointsman.state.window_cells import cells_of
from pointsman.state.window_code import functions
from pointsman.state.window_text import VERSION

__all__ = ["WindowStore"]

LIVE: Final = 100_000
"""So many entries, used since the last so many, are kept as objects; and so many of those before."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class WindowStore:
    """The sub-buckets of each key, those used lately as objects.

    Each event leaves the record of its sub-bucket in `changed`, where the next one replaces it: that is done
    while the entry is in the processor's caches, and costs a tenth of finding it there again later. Sketches
    are too large for that; they are noted in `sketched`.

    A record is `[version, number, newest, cell…]`, where `newest` is the time of the key's newest event when
    it was written; that of a sketch is `[version, number, bytes]`. Sub-bucket k stands in slots
    `k % ring * parts` and following: its cells first, then each sketch.
    """

    def __init__(self, window: Window, backing: Backing) -> None:
        self.window = window
        self._backing = backing
        self.functions = functions(window)
        self._slots = [slot.to_bytes(2, "big") for slot in range(window.ring * window.parts)]
        self._kinds = [
            Distinct if cell.kind == "distinct" else DDSketch for cell in cells_of(window) if cell.sketch
        ]
        self.live: dict[str, Any] = {}
        self._old: dict[str, Any] = {}
        self.changed: dict[bytes, bytes] = {}
        self.sketched: dict[bytes, tuple[int, tuple[Any, ...]]] = {}
        self._made: list[Change] = []
        self._walk: Iterator[str] | None = None

    def see(self) -> Callable[..., Any]:
        """The function from events to values, until the next drain; see `window.See`."""
        return self.functions.bind(self)

    def find(self, key: str) -> Any:
        """The entry of a key that is not among the live ones."""
        found = self._old.pop(key, None)
        if found is None:
            found = self.functions.new(key.encode("utf-8", "surrogatepass") + b"\0")
            records = self._backing.read(key)
            if records:
                self._restore(found, records)
        self.live[key] = found
        return found

    def touch(self, entry: Any, when: int) -> None:
        """Notes that an entry's current sub-bucket was changed at `when`."""
        entry.newest = max(entry.newest, when)
        self.functions.keep(entry, self.changed, self.sketched)

    def drain(self) -> list[Change]:
        """What changed since the last drain; it is staged in the backing, too."""
        self._stage()
        made, self._made = self._made, []
        if len(self.live) > LIVE:
            self._old, self.live = self.live, {}
        return made

    def _stage(self) -> None:
        """Stages what events changed, before the backing is looked at."""
        for at, (k, sketches) in self.sketched.items():
            slot = int.from_bytes(at[-2:], "big")
            for number, sketch in enumerate(sketches, 1):
                if sketch is not None and sketch.changed:
                    sketch.changed = False
                    self.changed[at[:-2] + self._slots[slot + number]] = _encode((VERSION, k, sketch.data()))
        found: list[Change] = list(self.changed.items())
        self.sketched.clear()
        self.changed.clear()
        self._backing.stage(found)
        self._made = self._made + found if self._made else found

    def _restore(self, entry: Any, records: list[tuple[int, bytes]]) -> None:
        """Fills an entry with what was stored."""
        cells: dict[int, list[Any]] = {}
        sketches: dict[tuple[int, int], bytes] = {}
        for slot, value in records:
            record = _decode(value)
            number = slot % self.window.parts
            if number:
                sketches[record[1], number] = record[2]
            else:
                cells[record[1]] = record
        entry.newest = max(record[2] for record in cells.values())
        last = entry.newest // self.window.bucket
        for k in sorted(k for k in cells if last - self.window.kept < k <= last):
            found = [
                None if (data := sketches.get((k, number))) is None else kind.of(data)
                for number, kind in enumerate(self._kinds, 1)
            ]
            put = self.functions.current if k == last else self.functions.close
            put(entry, k, cells[k][3:], found)

    def forget(self) -> None:
        """Drops live objects and what changed since the last drain."""
        self.live.clear()
        self._old.clear()
        self.changed.clear()
        self.sketched.clear()
        self._made = []

    def show(self, key: str, now_ms: int | None = None) -> Any:
        """The value of a key, and each sub-bucket with its own value and whether it counts."""
        entry, window, made = self.live.get(key) or self.find(key), self.window, self.functions
        if entry.newest == NEVER:
            return None
        now = entry.newest if now_ms is None else now_ms
        at = now // window.bucket
        if at > entry.k:
            made.roll(entry, at)
        last = entry.newest // window.bucket
        numbers = [k for k in made.numbers(entry) if k > last - window.kept]
        numbers += [last] if last == entry.k else []
        buckets = []
        for k in numbers:
            alone = made.new(b"")
            there = made.at(entry, k)
            made.current(alone, k, made.cells(there), made.sketches(there))
            value = made.look(alone, min(entry.newest, (k + 1) * window.bucket - 1))
            buckets.append(
                {"from": k * window.bucket, "counts": at - window.buckets < k <= at, "value": _plain(value)}
            )
        return {
            "newest": entry.newest,
            "bucket_ms": window.bucket,
            "value": _plain(made.look(made.at(entry, at), now)),
            "buckets": buckets,
        }

    def sweep(self, now_ms: int, most: int) -> None:
        """Drops keys without an event for twice `over` and an hour; looks at the next `most` keys."""
        self._stage()
        gone: list[Change] = []
        for key in self._next(most):
            entry = self.live.get(key) or self._old.get(key)
            if entry is not None and entry.newest >= now_ms - self.window.idle:
                continue
            records = self._backing.read(key)
            if entry is None and self._newest(records) >= now_ms - self.window.idle:
                continue
            self.live.pop(key, None)
            self._old.pop(key, None)
            name = key.encode("utf-8", "surrogatepass") + b"\0"
            gone += [(name + self._slots[slot], None) for slot, _ in records]
        if gone:
            self._backing.stage(gone)
            self._made = self._made + gone

    def _next(self, most: int) -> Iterator[str]:
        """The next `most` keys; once all had their turn, none."""
        for _ in range(most):
            if self._walk is None:
                self._walk = iter(self._backing.keys())
            key = next(self._walk, None)
            if key is None:
                self._walk = None
                return
            yield key

    def _newest(self, records: list[tuple[int, bytes]]) -> int:
        """The time of the newest event of a key, as its records say."""
        parts = self.window.parts
        return max((_decode(value)[2] for slot, value in records if slot % parts == 0), default=0)


def _plain(value: Any) -> Any:
    return None if value is MISSING else value
