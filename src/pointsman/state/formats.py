"""Readers of table files: each gives rows as dicts of values that CEL knows."""

from __future__ import annotations

import csv
import datetime
import decimal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from pointsman.base.errors import EvalError, MissingExtra
from pointsman.cel.values import INT_MAX, INT_MIN, Duration, Timestamp

__all__ = ["Unreadable", "cel_value", "read_csv", "read_json", "read_jsonl", "read_parquet"]


csv.field_size_limit(2**31 - 1)  # a cell may be as long as the file


class Unreadable(Exception):
    """The file's content is not what its suffix says; the message says where and why."""


def read_csv(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a CSV file whose first line names the columns, in UTF-8, with or without a byte-order
    mark."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if not header:
                raise Unreadable("the first line names no columns")
            if len(set(header)) != len(header):
                twice = next(name for name in header if header.count(name) > 1)
                raise Unreadable(f"two columns are called '{twice}'")
            lines = []
            for line in reader:
                if len(line) == len(header):
                    lines.append(line)
                elif line:
                    raise Unreadable(
                        f"line {reader.line_num} has {len(line)} cells, the header {len(header)}"
                    )
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {error.start} is not UTF-8") from None
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num}: {error}") from None
    columns = [_typed([line[i] for line in lines]) for i in range(len(header))]
    del lines
    for values in zip(*columns, strict=True):
        yield dict(zip(header, values, strict=True))


def _typed(cells: Sequence[str]) -> Sequence[Any]:
    """A column's cells as ints, floats or bools where every cell that is not empty is one; else as
    strings."""
    readers: tuple[Callable[[str], Any], ...] = (_whole, _number, _bool)
    for read in readers:
        try:
            typed = [read(cell) if cell else None for cell in cells]
        except (ValueError, KeyError, msgspec.DecodeError):
            continue
        if any(value is not None for value in typed):
            return typed
    same: dict[str, str] = {}  # few values, as a rule: they need not be there more than once
    return [same.setdefault(cell, cell) if cell else None for cell in cells]


_bools = {"true": True, "false": False}
_decode_int = msgspec.json.Decoder(int).decode
_decode_float = msgspec.json.Decoder(float).decode


def _whole(cell: str) -> int:
    value = _decode_int(_bare(cell))
    if not INT_MIN <= value <= INT_MAX:
        raise ValueError("beyond 64 bits")
    return value


def _number(cell: str) -> float:
    return _decode_float(_bare(cell))


def _bare(cell: str) -> str:
    """The cell, if JSON would not skip spaces in it."""
    if cell != cell.strip():
        raise ValueError
    return cell


def _bool(cell: str) -> bool:
    return _bools[cell]


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file with one JSON object a line; empty lines are passed over."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with path.open("rb") as file:
        for n, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                line.isascii() or line.decode()
                yield decode(line)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                raise Unreadable(f"line {n}: {error}") from None


def read_json(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file that holds one JSON array of objects."""
    try:
        yield from msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file; dates and times become timestamps, spans durations, decimals doubles."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtra("a Parquet table", "parquet") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                columns = [_column(column) for column in batch.columns]
                for values in zip(*columns, strict=True):
                    yield dict(zip(batch.schema.names, values, strict=True))
    except (pyarrow.ArrowException, ValueError, OverflowError, EvalError) as error:
        raise Unreadable(str(error)) from None


_NANOSECONDS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}


def _column(column: Any) -> list[Any]:
    """A column's values; moments and spans by their counts, which Python's own types would round."""
    import pyarrow

    for holds, kind in ((pyarrow.types.is_timestamp, Timestamp), (pyarrow.types.is_duration, Duration)):
        if holds(column.type):
            unit = _NANOSECONDS[column.type.unit]
            counts = column.cast(pyarrow.int64()).to_pylist()
            return [None if count is None else kind.checked(count * unit) for count in counts]
    return [cel_value(value) for value in column.to_pylist()]


def cel_value(value: Any) -> Any:
    """A Python or Arrow value as one that CEL knows."""
    if value is None or value.__class__ in (str, int, float, bool, bytes):
        return value
    if isinstance(value, dict):
        return {str(name): cel_value(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [cel_value(member) for member in value]
    if isinstance(value, datetime.datetime):
        return Timestamp(_epoch_ns(value))
    if isinstance(value, datetime.date):
        return Timestamp(_epoch_ns(datetime.datetime(value.year, value.month, value.day)))
    if isinstance(value, decimal.Decimal):
        return float(value)
    return str(value)


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def _epoch_ns(moment: datetime.datetime) -> int:
    """Nanoseconds since the epoch; a time without zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (aware - _EPOCH) // _MICROSECOND * 1000
