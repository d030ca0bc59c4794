"""Tables derived from another topic: each row is a window over the records of its key, as it stands now.

Records come as those of any followed topic do (see `state.topic_table`): `prepare` reads what the window
needs of them, `apply` counts them. Rows are computed when they are looked at, once for each batch. Nothing
is kept beyond the process: reading begins as far back as the window needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from pointsman.base.errors import EvalError, RecordError, StateError
from pointsman.base.keys import key_text
from pointsman.cel.values import MISSING
from pointsman.state import tables
from pointsman.state.base import Backing, Store
from pointsman.state.topic_table import Record
from pointsman.state.window import NEVER, See

__all__ = ["DerivedTable"]

_MARGIN_MS: Final = 5_000
"""Records are read from so long before the window: clocks differ."""

_TIDY_RECORDS: Final = 20_000
"""After so many records what changed is written to the backing, from where keys used long ago are read."""

_SWEPT: Final = 2000
"""Keys that are then looked at for being idle."""

Counted = tuple[int, str, tuple[Any, ...]]
"""The time of a record, its key, and what else the window is given of it."""


class DerivedTable:
    """The rows of a window over a topic.

    Attributes:
        name: The table's name.
        topic: The topic's.
        records: How many records were counted.
        unusable: How many could not be: no JSON object, no key, or too late.
    """

    def __init__(
        self,
        name: str,
        topic: str,
        read: Callable[[Record], tuple[Any, ...]],
        store: Store,
        backing: Backing,
        recall: Callable[[], See],
        over: int,
        values: int,
        stale_after: int | None = None,
    ) -> None:
        """Args:
        name: The table's name.
        topic: The topic's.
        read: The key and what else the window is given of a record; it raises where there is none.
        store: What the window remembers.
        backing: What the store stands on.
        recall: Gives what counts a record or shows the window, until the store is drained.
        over: The window's length in milliseconds.
        values: How many values the window is given besides the key.
        stale_after: After so many milliseconds without a record a row is absent; None: after `over`.
        """
        self.name = name
        self.topic = topic
        self.records = 0
        self.unusable = 0
        self._read = read
        self._store = store
        self._backing = backing
        self._recall = recall
        self._see = recall()
        self._over = over
        self._stale_after = over if stale_after is None else stale_after
        self._last: dict[str, int] = {}
        self._tidy_at = _TIDY_RECORDS
        self._values = values
        self._notes: list[str] = []

    def since(self, now_ms: int) -> int | None:
        """The timestamp from which records matter."""
        return now_ms - max(self._over, self._stale_after) - _MARGIN_MS

    def prepare(self, records: Sequence[Record]) -> list[Counted]:
        """What the window is given of records; those that cannot be used are counted and left out."""
        found: list[Counted] = []
        for record in records:
            try:
                key, *values = self._read(record)
                name = None if key is MISSING else key_text(key)
                if name is None:
                    raise EvalError("its key has no value")
            except (EvalError, RecordError) as error:
                self._pass_over(f"{self.topic}-{record.partition}-{record.offset}", error)
                continue
            found.append((record.time, name, tuple(values)))
        return found

    def apply(self, counted: Sequence[Counted]) -> None:
        """Counts records.

        Raises:
            StateError: There are more keys than a table may have rows.
        """
        see, last = self._see, self._last
        for when, name, values in counted:
            try:
                see(when, 1, name, *values)
            except EvalError as error:
                self._pass_over(f"a record of '{name}'", error)
                continue
            if when > last.get(name, -1):
                last.pop(name, None)  # the keys stand in the order in which they were last heard of
                last[name] = when
        self.records += len(counted)
        if counted:
            self._tidy(counted[-1][0])

    def at(self, now_ms: int, lock: AbstractContextManager[Any]) -> Mapping[str, Any]:
        """The rows as they stand at `now_ms`; each is computed when it is first read, within `lock`."""
        return _Rows(self, now_ms, lock)

    def fresh(self, key: str, now_ms: int) -> bool:
        """Whether a record of `key` came lately enough."""
        return now_ms - self._last.get(key, NEVER) <= self._stale_after

    def names(self, now_ms: int) -> list[str]:
        """The rows that there are at `now_ms`."""
        return [name for name in self._last if self.fresh(name, now_ms)]

    def row(self, key: str, now_ms: int) -> Any:
        """A row as it stands at `now_ms`, or at its newest record where that is dated later."""
        return self._see(max(now_ms, self._last[key]), 0, key, *(MISSING,) * self._values)

    def drop(self, partition: int) -> None:
        """Nothing: every worker reads all partitions."""

    def notes(self) -> list[str]:
        """What people should be told since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _pass_over(self, what: str, error: Exception) -> None:
        self.unusable += 1
        if self.unusable == 1:
            self._notes.append(
                f"{what} is not counted in the table '{self.name}': {error}; such records are passed over"
            )

    def _tidy(self, now_ms: int) -> None:
        """Lets go of what no row needs any more, and keeps the rest as what was committed."""
        stale = now_ms - 2 * max(self._over, self._stale_after)
        while self._last:
            name = next(iter(self._last))
            if self._last[name] >= stale:
                break
            del self._last[name]
        if self.records >= self._tidy_at:
            self._tidy_at = self.records + _TIDY_RECORDS
            self._store.sweep(now_ms, _SWEPT)
            self._backing.apply(self._store.drain())
            self._see = self._recall()
        if len(self._last) > tables.MAX_ROWS:
            raise StateError(
                f"the table '{self.name}' grows too large: {self.topic} has {len(self._last):,} keys within "
                f"its window, where a table may have {tables.MAX_ROWS:,} rows: take a shorter window or "
                "another key"
            )


class _Rows(Mapping[str, Any]):
    """The rows as they stand at one moment."""

    def __init__(self, table: DerivedTable, now_ms: int, lock: AbstractContextManager[Any]) -> None:
        self._table = table
        self._now_ms = now_ms
        self._lock = lock
        self._known: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        row = self._known.get(key)
        if row is None:
            with self._lock:
                if not self._table.fresh(key, self._now_ms):
                    raise KeyError(key)
                row = self._known[key] = self._table.row(key, self._now_ms)
        return row

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(self._table.names(self._now_ms))

    def __len__(self) -> int:
        with self._lock:
            return len(self._table.names(self._now_ms))
