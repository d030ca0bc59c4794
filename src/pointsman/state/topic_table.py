"""Tables kept in a compacted topic: rows are JSON objects, named by their record's Kafka key.

Whoever reads the topic hands records over in two steps, so that rows change only where nobody looks at them:
`prepare` decodes and touches no row, `apply` changes the rows and decodes nothing.

    E424  the topic holds more than a table may
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pointsman.base.errors import StateError
from pointsman.base.keys import key_text
from pointsman.state import tables

__all__ = ["Record", "RowChange", "TopicTable"]

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a followed topic.

    Attributes:
        time: Its timestamp, milliseconds since 1970.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    time: int


@dataclass(frozen=True, slots=True)
class RowChange:
    """What a record does to a table.

    Attributes:
        key: The Kafka key, which a later record of the same row repeats.
        name: The row's name.
        row: Its columns; None deletes it.
        size: Bytes of the value.
    """

    partition: int
    key: str
    name: str
    row: Mapping[str, Any] | None
    size: int


class TopicTable:
    """The rows of a compacted topic as far as it was read.

    Attributes:
        name: The table's name.
        topic: The topic's.
        rows: The rows by name; changed in place by `apply` and `drop`.
        records: How many records were applied.
        unusable: How many could not be used.
    """

    def __init__(self, name: str, topic: str, key: str | None = None, *, by_partition: bool = False) -> None:
        """Args:
        name: The table's name.
        topic: The topic's.
        key: The column that names a row; None: the Kafka key does.
        by_partition: Whether rows are dropped partition by partition, which takes memory for each key.
        """
        self.name = name
        self.topic = topic
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.records = 0
        self.unusable = 0
        self._column = key
        self._named: dict[str, str] = {}
        self._of: dict[int, set[str]] | None = {} if by_partition else None
        self._sizes = [0, 0]
        self._notes: list[str] = []

    def since(self, now_ms: int) -> int | None:  # noqa: ARG002  # as whoever follows topics asks every table
        """The timestamp from which records matter: all of them do."""
        return None

    def prepare(self, records: Sequence[Record]) -> list[RowChange]:
        """The changes that records make; those that cannot be used are counted and left out."""
        changes: list[RowChange] = []
        for record in records:
            try:
                changes.append(self._change(record))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
                self.unusable += 1
                if self.unusable == 1:
                    place = f"{self.topic}-{record.partition}-{record.offset}"
                    self._notes.append(
                        f"{place} is no row of the table '{self.name}': {error}; such records are passed over"
                    )
        return changes

    def apply(self, changes: Sequence[RowChange]) -> None:
        """Changes the rows.

        Raises:
            StateError: There are more rows or bytes than a table may have.
        """
        rows, named, of = self.rows, self._named, self._of
        for change in changes:
            name = change.name
            if self._column is not None:
                before = named.pop(change.key, None)
                if before is not None and before != name:
                    rows.pop(before, None)
                if change.row is None:
                    name = before if before is not None else name
                else:
                    named[change.key] = name
            if change.row is None:
                rows.pop(name, None)
            else:
                rows[name] = change.row
                self._sizes[0] += 1
                self._sizes[1] += change.size
            if of is not None:
                keys = of.setdefault(change.partition, set())
                (keys.discard if change.row is None else keys.add)(name)
        self.records += len(changes)
        self._bounded()

    def drop(self, partition: int) -> None:
        """Forgets the rows of a partition that is another worker's now."""
        for name in (self._of or {}).pop(partition, ()):
            self.rows.pop(name, None)

    def notes(self) -> list[str]:
        """What people should be told since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _change(self, record: Record) -> RowChange:
        key = None if record.key is None else record.key.decode()
        if record.value is None:
            if key is None:
                raise ValueError("it has neither key nor value")
            return RowChange(record.partition, key, key, None, 0)
        if not record.value.isascii():
            record.value.decode()
        row = _decode(record.value)
        if self._column is None:
            name = key
        else:
            name = key_text(row.get(self._column))
            if name is None:
                raise ValueError(f"its column '{self._column}' is absent or not a scalar")
        if name is None:
            raise ValueError("it has no key, and so no name")
        return RowChange(record.partition, name if key is None else key, name, row, len(record.value))

    def _bounded(self) -> None:
        """Sizes are those of the values that came, on average: what a row replaces is not kept."""
        count, size = self._sizes
        held = len(self.rows) * size // count if count else 0
        if len(self.rows) > tables.MAX_ROWS or held > tables.MAX_BYTES:
            raise StateError(
                f"the table '{self.name}' grows too large: {self.topic} holds {len(self.rows):,} rows of "
                f"about {held:,} bytes in all, and a table may have {tables.MAX_ROWS:,} rows and "
                f"{tables.MAX_BYTES:,} bytes; keep only the keys and columns that rules use"
            )
