"""Tables kept in files: CSV, JSONL (or a JSON array) and Parquet, read whole and read again when they change.

A row is a dict of column to value; rows are named by the text of their key column (`17`, `true`, `U8723`), so
that a key means the same row whatever the file's type. In CSV a column whose every cell is a JSON number (or
`true`, `false`) holds numbers (or bools), any other holds strings, so that `007` stays as it is; an empty
cell is null.

    E421  there is no such file          E423  there is no key column, or a row without key
    E422  the file cannot be read        E424  the file is too large
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import Misfit
from pointsman.base.keys import key_text
from pointsman.state import formats

__all__ = ["MAX_BYTES", "MAX_ROWS", "Rows", "TableFile"]

MAX_ROWS: Final = 5_000_000
MAX_BYTES: Final = 2 * 1024**3

Stamp = tuple[int, int, int]
"""Modification time in nanoseconds, size in bytes, inode: what differs when a file was changed or
replaced."""

_READERS: Final[dict[str, Callable[[Path], Iterable[dict[str, Any]]]]] = {
    ".csv": formats.read_csv,
    ".jsonl": formats.read_jsonl,
    ".ndjson": formats.read_jsonl,
    ".json": formats.read_json,
    ".parquet": formats.read_parquet,
}


class Rows(dict[str, Mapping[str, Any]]):
    """Rows that nobody changes once they are read, so that a column of them can be looked up in one step."""

    __slots__ = ("_columns",)

    def __init__(self) -> None:
        super().__init__()
        self._columns: dict[str, dict[str, Any]] = {}

    def column(self, name: str) -> Mapping[str, Any]:
        """The values of a column by the rows' keys, of those rows that have it; made when first asked for."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = {key: row[name] for key, row in self.items() if name in row}
        return found


class TableFile:
    """A file's rows by key.

    Attributes:
        name: The table's name.
        rows: The rows as last read; a new mapping after each change, never changed in place.
    """

    def __init__(self, name: str, path: Path, key: str) -> None:
        """Reads the file.

        Args:
            name: The table's name.
            path: The file; its suffix says how it is read.
            key: The column whose value names a row.

        Raises:
            Misfit: The file is missing, unreadable, too large or without key column.
            MissingExtra: It is a Parquet file and pyarrow is not installed.
        """
        self.name = name
        self.rows = Rows()
        self._path = path
        self._key = key
        self._stamp: Stamp | None = None
        self._problem = ""
        self._notes: list[str] = []
        self._read()

    def refresh(self) -> bool:
        """Reads the file again if it changed since it was last looked at; returns whether the rows are new.

        A file that is gone or cannot be read leaves the rows as they are; `notes` then says so, once.
        """
        try:
            stamp = _stamp(self._path)
        except OSError as error:
            self._stamp = None
            self._complain(f"{self._path.name} cannot be read: {error.strerror or error}")
            return False
        if stamp == self._stamp:
            return False
        try:
            self._read()
        except (Misfit, MemoryError) as error:
            self._stamp = stamp
            self._complain(str(error) or type(error).__name__)
            return False
        return True

    def notes(self) -> list[str]:
        """What people should be told since the last call: repeated keys, a reload that failed."""
        notes, self._notes = self._notes, []
        return notes

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._notes.append(f"table '{self.name}' keeps its rows as they were: {problem}")

    def _read(self) -> None:
        """Reads all rows, then takes them at once; a file that changes meanwhile is read again."""
        for _ in range(3):
            stamp = _look(self._path)
            repeated: list[str] = []
            rows = _by_key(_rows(self._path), self._key, self._path, repeated)
            if _look(self._path) == stamp:
                break
        else:
            raise Misfit("E422", f"{self._path.name} changes while it is read", "replace it by a rename")
        self.rows, self._stamp, self._problem = rows, stamp, ""
        if repeated:
            few = ", ".join(f"'{key}'" for key in repeated[:3])
            more = f" and {len(repeated) - 3} more" if len(repeated) > 3 else ""
            self._notes.append(
                f"table '{self.name}': {self._path.name} names {few}{more} repeatedly; the last row counts"
            )


def _stamp(path: Path) -> Stamp:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _look(path: Path) -> Stamp:
    try:
        stamp = _stamp(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        hint = f"looked for {path}" if missing else ""
        raise Misfit(
            "E421" if missing else "E422",
            f"there is no file {path.name}" if missing else f"{path.name}: {error.strerror}",
            hint,
        ) from None
    if stamp[1] > MAX_BYTES:
        raise Misfit(
            "E424", f"{path.name} has {stamp[1]:,} bytes; a table may have {MAX_BYTES:,}", _TOO_LARGE
        )
    return stamp


_TOO_LARGE = "every worker holds the whole table in memory: keep only the keys and columns that rules use"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The file's rows, with what goes wrong in reading put in our words."""
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise Misfit(
            "E422", f"{path.name}: '{path.suffix}' is not a table's format", "use .csv, .jsonl or .parquet"
        )
    try:
        yield from read(path)
    except formats.Unreadable as error:
        raise Misfit("E422", f"{path.name}: {error}") from None
    except OSError as error:
        raise Misfit("E422", f"{path.name}: {error.strerror or error}") from None


def _by_key(rows: Iterable[dict[str, Any]], key: str, path: Path, repeated: list[str]) -> Rows:
    found = Rows()
    for n, row in enumerate(rows, 1):
        if key not in row:
            names = ", ".join(list(row)[:10]) or "nothing"
            raise Misfit("E423", f"{path.name}: row {n} has no column '{key}' but {names}", path=("key",))
        name = key_text(row[key])
        if name is None:
            raise Misfit(
                "E423", f"{path.name}: the key '{key}' of row {n} is empty or not a scalar", path=("key",)
            )
        if name in found:
            repeated.append(name)
        found[name] = row
        if n > MAX_ROWS:
            raise Misfit("E424", f"{path.name} has more than {MAX_ROWS:,} rows", _TOO_LARGE)
    return found
