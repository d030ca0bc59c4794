"""The store of an exact window: every event that can still be seen, by its own time.

It costs what it keeps: each value is computed over all events in (time - over, time]. Sub-buckets are but the
pieces that events are stored in; one with more events than a record of 1 KiB holds has several.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from typing import Any, Final

import msgspec

from pointsman.base.errors import EvalError
from pointsman.cel.values import MISSING
from pointsman.state.base import SLOTS, Backing, Change
from pointsman.state.hyperloglog import fingerprint
from pointsman.state.window import (
    NEVER,
    Aggregate,
    Window,
    ahead,
    has_value,
    late,
    name_of,
    number_of,
)
from pointsman.state.window_cells import total
from pointsman.state.window_store import LIVE
from pointsman.state.window_text import VERSION

__all__ = ["ExactStore"]

ROOM: Final = 980
"""Bytes of a record that are there for events; a value takes up to 10, and so does a time."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

Row = Sequence[Any]
"""One event: its time, then for each use of a value what is kept of it; None where that is nothing."""


class _Entry:
    """What is known of a key: its events by time, those of one time as they came, and the pieces stored."""

    __slots__ = ("changed", "name", "newest", "pieces", "rows", "times")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.newest = NEVER
        self.times: list[int] = []
        self.rows: list[Row] = []
        self.pieces: dict[int, list[Row]] = {}
        self.changed: set[tuple[int, int]] = set()


class ExactStore:
    """The events of each key.

    A record is `[version, number, newest, [row…]]`; the events of sub-bucket k stand, as they came, in the
    slots from `k % ring * share` on.
    """

    def __init__(self, window: Window, backing: Backing) -> None:
        self.window = window
        self._backing = backing
        uses = [(_USES[one.kind], one.value) for one in window.aggregates if one.value is not None]
        self.uses = list(dict.fromkeys(uses))
        self._tallies = [_tally(one, self.uses, window) for one in window.aggregates]
        self._share = SLOTS // window.ring
        self._each = ROOM // (10 * (1 + len(self.uses)))
        self.live: dict[str, _Entry] = {}
        self._old: dict[str, _Entry] = {}
        self._changed: dict[str, _Entry] = {}
        self._swept: list[Change] = []
        self._walk: Iterator[str] | None = None

    def see(self) -> Callable[..., Any]:
        """The function from events to values, until the next drain; see `window.See`."""
        window = self.window

        def see(when: int, counts: int, key: Any, *values: Any) -> Any:
            name = name_of(key)
            entry = self.live.get(name) or self.find(name)
            if counts < 0:
                raise ahead()
            if when <= entry.newest - window.over:
                raise late(when, entry.newest, window.over)
            if window.where:
                counted, values = values[0] is True and counts == 1, values[1:]
            else:
                counted = counts == 1
            if not counted:
                return self._value(self._inside(entry, when), when, None)
            row = (when, *(_KEEPS[use](values[place]) for use, place in self.uses))
            inside = self._inside(entry, when)
            self._put(entry, name, row)
            return self._value([*inside, row] if window.include else inside, when, inside)

        return see

    def _inside(self, entry: _Entry, when: int) -> list[Row]:
        times = entry.times
        return entry.rows[bisect_right(times, when - self.window.over) : bisect_right(times, when)]

    def put(self, key: str, row: Row) -> None:
        """Counts an event whose uses of values are known."""
        self._put(self.live.get(key) or self.find(key), key, row)

    def _put(self, entry: _Entry, name: str, row: Row) -> None:
        when, window = row[0], self.window
        k = when // window.bucket
        piece = entry.pieces.setdefault(k, [])
        if len(piece) >= self._each * self._share:
            raise EvalError(f"full: {len(piece):,} events of one key within {window.bucket} ms")
        piece.append(row)
        entry.changed.add((k, (len(piece) - 1) // self._each))
        place = bisect_right(entry.times, when)
        entry.times.insert(place, when)
        entry.rows.insert(place, row)
        entry.newest = max(entry.newest, when)
        self._changed[name] = entry
        gone = bisect_right(entry.times, entry.newest - 2 * window.over)
        if gone:
            del entry.times[:gone], entry.rows[:gone]
            oldest = entry.newest // window.bucket - window.ring
            for number in [number for number in entry.pieces if number <= oldest]:
                del entry.pieces[number]

    def _value(self, rows: list[Row], when: int, before: list[Row] | None) -> Any:
        """The aggregates over `rows`; `before` is what `since_last` looks at, `rows` where that is None."""
        earlier = rows if before is None else before
        if self.window.aggregates[0].name is None:
            return self._tallies[0](rows, earlier, when)
        found = {
            one.name: tally(rows, earlier, when)
            for one, tally in zip(self.window.aggregates, self._tallies, strict=True)
        }
        return {name: value for name, value in found.items() if value is not MISSING}

    def find(self, key: str) -> _Entry:
        """The entry of a key that is not among the live ones."""
        found = self._old.pop(key, None)
        if found is None:
            found = _Entry(key.encode("utf-8", "surrogatepass") + b"\0")
            self._restore(found, self._backing.read(key))
        self.live[key] = found
        return found

    def _restore(self, entry: _Entry, records: list[tuple[int, bytes]]) -> None:
        window = self.window
        found = [(slot, _decode(value)) for slot, value in records]
        if not found:
            return
        entry.newest = max(record[2] for _, record in found)
        last = entry.newest // window.bucket
        pieces: dict[int, dict[int, list[Row]]] = {}
        for slot, (_, k, _, rows) in found:
            if last - window.ring < k <= last:
                pieces.setdefault(k, {})[slot % self._share] = rows
        entry.pieces = {
            k: [row for part in sorted(pieces[k]) for row in pieces[k][part]] for k in sorted(pieces)
        }
        rows = [row for piece in entry.pieces.values() for row in piece]
        entry.rows = sorted((row for row in rows if row[0] > entry.newest - 2 * window.over), key=_time)
        entry.times = [row[0] for row in entry.rows]

    def drain(self) -> list[Change]:
        """What changed since the last drain; it is staged in the backing, too."""
        swept, each, window = len(self._swept), self._each, self.window
        made, self._swept = self._swept, []
        for entry in self._changed.values():
            for k, part in sorted(entry.changed):
                if k in entry.pieces:
                    slot = k % window.ring * self._share + part
                    rows = entry.pieces[k][part * each : (part + 1) * each]
                    value = _encode((VERSION, k, entry.newest, rows))
                    made.append((entry.name + slot.to_bytes(2, "big"), value))
            entry.changed.clear()
        self._changed.clear()
        self._backing.stage(made[swept:] if swept else made)
        if len(self.live) > LIVE:
            self._old, self.live = self.live, {}
        return made

    def forget(self) -> None:
        """Drops live objects and what changed since the last drain."""
        self.live.clear()
        self._old.clear()
        self._changed.clear()
        self._swept = []

    def show(self, key: str, now_ms: int | None = None) -> Any:
        """The value of a key, and each event that is kept and whether it counts."""
        entry = self.live.get(key) or self.find(key)
        if not entry.times:
            return None
        now = entry.newest if now_ms is None else now_ms
        inside = self._inside(entry, now)
        value = self._value(inside, now, None)
        return {
            "newest": entry.newest,
            "value": None if value is MISSING else value,
            "events": [
                {"time": row[0], "counts": now - self.window.over < row[0] <= now, "values": list(row[1:])}
                for row in entry.rows
            ],
        }

    def sweep(self, now_ms: int, most: int) -> None:
        """Drops keys without an event for twice `over` and an hour; looks at the next `most` keys."""
        for _ in range(most):
            if self._walk is None:
                self._walk = iter(self._backing.keys())
            key = next(self._walk, None)
            if key is None:
                self._walk = None
                return
            records = self._backing.read(key)
            newest = max((_decode(value)[2] for _, value in records), default=now_ms)
            if key not in self._changed and newest < now_ms - self.window.idle:
                self.live.pop(key, None)
                self._old.pop(key, None)
                name = key.encode("utf-8", "surrogatepass") + b"\0"
                gone: list[Change] = [(name + slot.to_bytes(2, "big"), None) for slot, _ in records]
                self._backing.stage(gone)
                self._swept += gone


def _time(row: Row) -> int:
    found: int = row[0]
    return found


_USES = {
    "count": "has", "rate": "has", "since_last": "has", "distinct": "print",
    **dict.fromkeys(("sum", "mean", "min", "max", "std", "last", "quantile"), "number"),
}  # fmt: skip
_KEEPS: dict[str, Callable[[Any], Any]] = {
    "has": lambda value: True if has_value(value) else None,
    "number": number_of,
    "print": lambda value: fingerprint(value) if has_value(value) else None,
}

Tally = Callable[[list[Row], list[Row], int], Any]


def _tally(one: Aggregate, uses: list[tuple[str, int]], window: Window) -> Tally:
    """The function from the events of a window, and those before the event itself, to an aggregate."""
    place = 0 if one.value is None else 1 + uses.index((_USES[one.kind], one.value))
    compute = _COMPUTE.get(one.kind)
    if compute is not None:
        return lambda rows, earlier, when: compute(  # noqa: ARG005  one signature for all
            [row[place] for row in rows if row[place] is not None], one.q
        )
    if one.kind == "since_last":

        def since(rows: list[Row], earlier: list[Row], when: int) -> Any:  # noqa: ARG001  one signature for all
            last = next((row[0] for row in reversed(earlier) if row[place] is not None), None)
            return MISSING if last is None else (when - last) / 1000

        return since
    seconds = window.over / 1000
    return lambda rows, earlier, when: sum(row[place] is not None for row in rows) / seconds  # noqa: ARG005  as above


def _deviation(values: list[Any], _: float) -> Any:
    if len(values) < 2:
        return MISSING
    mean = total(values) / len(values)
    squares = total([(value - mean) * (value - mean) for value in values])
    return MISSING if squares - squares != 0.0 else sqrt(squares / (len(values) - 1))


def _quantile(values: list[Any], q: float) -> Any:
    return sorted(values)[int(q * (len(values) - 1))] if values else MISSING


_COMPUTE: dict[str, Callable[[list[Any], float], Any]] = {
    "count": lambda values, _: len(values),
    "sum": lambda values, _: total(values),
    "mean": lambda values, _: total(values) / len(values) if values else MISSING,
    "min": lambda values, _: min(values, default=MISSING),
    "max": lambda values, _: max(values, default=MISSING),
    "std": _deviation,
    "last": lambda values, _: values[-1] if values else MISSING,
    "distinct": lambda values, _: len(set(values)),
    "quantile": _quantile,
}
