"""Files of events as people have them, one Kafka value at a time: lines, CSV, Parquet, or standard input."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

from pointsman.base.errors import EnvironmentFault, MissingExtra, UsageError

__all__ = ["FORMATS", "count", "field_text", "format_of", "require", "values"]

FORMATS = ("lines", "csv", "parquet")

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_ROWS = 10_000


def format_of(path: Path, source: str = "json") -> str:
    """How `path` is read, by its name: CSV, Parquet, and anything else line by line.

    A pipeline whose `source.format` is not JSON gets a CSV file's lines as they stand.
    """
    if source != "json" and path.suffix.lower() == ".csv":
        return "lines"
    return {".csv": "csv", ".parquet": "parquet"}.get(path.suffix.lower(), "lines")


def values(path: Path, form: str) -> Iterator[bytes]:
    """The values of `path` in order; `-` is standard input.

    `lines` yields every line that is not blank as it stands, valid or not: this is how bad input is tried.
    `csv` and `parquet` yield a JSON object per row; in CSV what looks like a number or one of `true`, `false`
    and `null` becomes that, and an empty cell is left out. NaN and infinities become null.

    Raises:
        UsageError: `path` is no file, or is not what `form` says.
        EnvironmentFault: it cannot be read.
        MissingExtra: Parquet without pyarrow.
    """
    if form == "parquet":
        yield from _parquet(path)
        return
    with _opened(path) as stream:
        if form == "csv":
            yield from _csv(stream)
            return
        for line in stream:
            text = line.rstrip(b"\n").removesuffix(b"\r")
            if text.strip():
                yield text


def require(path: Path) -> None:
    """Raises UsageError where `path` is no file."""
    if str(path) != "-" and not path.is_file():
        what = "is a folder: name a file of events in it" if path.is_dir() else _MISSING
        raise UsageError(f"{path} {what}")


_MISSING = "does not exist: name a file of events, or '-' for standard input"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    require(path)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise EnvironmentFault(f"cannot read {path}: {error.strerror}") from error
    with stream:
        yield stream


def _csv(stream: IO[bytes]) -> Iterator[bytes]:
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        yield from _csv_rows(csv.DictReader(text))
    except UnicodeDecodeError as error:
        raise UsageError(f"the CSV file is not UTF-8: {error.reason}; convert it first") from error
    finally:
        text.detach()


def _csv_rows(reader: csv.DictReader[str]) -> Iterator[bytes]:
    for row in reader:
        if None in row:
            raise UsageError(
                f"line {reader.line_num} has more cells than the header: quote the cell that holds a comma"
            )
        yield _encode({name: _cell(cell) for name, cell in row.items() if cell not in ("", None)})


def _cell(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return json.loads(text)
    return text


def _parquet(path: Path) -> Iterator[bytes]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("Reading Parquet", "parquet") from None
    require(path)
    try:
        source = io.BytesIO(sys.stdin.buffer.read()) if str(path) == "-" else str(path)
        for batch in parquet.ParquetFile(source).iter_batches(_ROWS):
            for row in batch.to_pylist():
                yield _encode(row)
    except pyarrow.ArrowException as error:
        raise UsageError(f"{path} is not a Parquet file that can be read: {error}") from error


def _encode(row: dict[str, Any]) -> bytes:
    def encode(value: object) -> bytes:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain_value
        ).encode()

    try:
        return encode(row)
    except ValueError:
        return encode(_finite(row))


def _finite(value: Any) -> Any:
    """`value` with null for what JSON cannot write: NaN, by which pandas marks a gap, and infinities."""
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain_value(value: object) -> object:
    """What JSON has no type for: times in ISO 8601, bytes in base64, the rest as text."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def field_text(value: bytes, field: str) -> bytes | None:
    """The top-level field of a JSON value as a Kafka key; None where there is none or `value` is not JSON."""
    try:
        event = json.loads(value)
    except ValueError:
        return None
    found = event.get(field) if isinstance(event, dict) else None
    if found is None:
        return None
    return (found if isinstance(found, str) else json.dumps(found)).encode("utf-8", "replace")


def count(path: Path, form: str) -> int | None:
    """How many values `path` holds where that is quickly told, for a progress bar."""
    if str(path) == "-" or form == "parquet" or not path.is_file():
        return None
    with path.open("rb") as stream:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))
    return max(0, lines - (form == "csv"))
