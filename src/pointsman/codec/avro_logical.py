"""Logical types of Avro: what a value is that stands on a number or bytes.

They are converted here and not by fastavro, whose `datetime` has neither nanoseconds nor the years that a bad
record may bring, and costs more.

    decimal                                   a double; the exact text where declared string
    timestamp-*, local-timestamp-*            a timestamp; milliseconds since 1970 where declared int
    date                                      a timestamp, midnight in UTC; 2026-01-31 where declared string
    uuid                                      a string
    time-*, duration and others               as the type beneath

References:
    Apache Avro specification 1.12, "Logical Types", "Binary Encoding".
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.values import Mistyped, Timestamp

__all__ = ["MOMENTS", "Converters", "Parsed", "kind_of", "logical_type", "resolved"]

Convert = Callable[[Any], Any]
Parsed = Any
"""A schema as fastavro parses it: full names, each named type written out once."""


def kind_of(schema: Parsed) -> str:
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, dict) else schema)


def resolved(schema: Parsed, named: Mapping[str, Parsed]) -> Parsed:
    """The schema that a name stands for."""
    if isinstance(schema, str) and schema in named:
        return named[schema]
    if isinstance(schema, dict) and isinstance(schema["type"], (dict, list)):
        return resolved(schema["type"], named)
    return schema


MOMENTS: Final[Mapping[str, int]] = {
    f"{local}timestamp-{unit}": ns
    for local in ("", "local-")
    for unit, ns in (("millis", 1_000_000), ("micros", 1_000), ("nanos", 1))
}
"""Logical type → nanoseconds of its unit."""

_BENEATH: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(MOMENTS, ("long",)),
    "date": ("int",),
    "decimal": ("bytes", "fixed"),
    "uuid": ("string", "fixed"),
}
_DAY_NS: Final = 86_400 * 1_000_000_000
_EPOCH: Final = datetime.date(1970, 1, 1)


def logical_type(schema: Parsed) -> str:
    """The logical type; empty where there is none, or one that stands on a wrong type and so is ignored."""
    if not isinstance(schema, dict):
        return ""
    logical = str(schema.get("logicalType", ""))
    if schema["type"] not in _BENEATH.get(logical, ()):
        return ""
    return "" if logical == "uuid" and schema["type"] == "fixed" and schema["size"] != 16 else logical


class Converters:
    """Makes the functions that convert the logical types within values."""

    def __init__(self, named: Mapping[str, Parsed], several: bool) -> None:
        """Args:
        named: Named types.
        several: Whether records in unions of several come as (name, record).
        """
        self._named = named
        self._several = several
        self._records: dict[str, Convert | None] = {}
        self._open: set[str] = set()

    def of(self, schema: Parsed, declared: str | None = None) -> Convert | None:
        """What converts a value of the schema; None where it stays as it is.

        Args:
            declared: The type that the document declares for it.
        """
        schema = resolved(schema, self._named)
        if isinstance(schema, list):
            return self._union(schema, declared)
        if not isinstance(schema, dict):
            return None
        match schema["type"]:
            case "record" | "error":
                return self._record(schema)
            case "array":
                return _each(self.of(schema["items"]), lambda item, value: list(map(item, value)))
            case "map":
                item = self.of(schema["values"])
                return _each(item, lambda item, value: {n: item(member) for n, member in value.items()})
        return _logical_converter(schema, declared)

    def _record(self, schema: Parsed) -> Convert | None:
        """A record's; one that holds itself is converted through its name."""
        name = schema["name"]
        if name in self._open:
            return lambda value: value if (found := self._records[name]) is None else found(value)
        if name in self._records:
            return self._records[name]
        self._open.add(name)
        parts = [
            (field["name"], convert)
            for field in schema["fields"]
            if (convert := self.of(field["type"])) is not None
        ]
        self._open.discard(name)

        def convert_record(value: dict[str, Any]) -> dict[str, Any]:
            for member, convert in parts:
                value[member] = convert(value[member])
            return value

        self._records[name] = convert_record if parts else None
        return self._records[name]

    def _union(self, branches: Sequence[Parsed], declared: str | None) -> Convert | None:
        """A union's: by the Python class of the value, or by the name that comes with a record."""
        by_class: dict[type, Convert] = {}
        by_name: dict[str, Convert | None] = {}
        for branch in branches:
            branch = resolved(branch, self._named)
            convert = self.of(branch, declared)
            if self._several and kind_of(branch) == "record":
                by_name[branch["name"]] = convert
            if convert is not None:
                by_class.setdefault(_CLASSES[kind_of(branch)], convert)
        if len(by_name) > 1:

            def convert_record(pair: tuple[str, Any]) -> Any:
                convert = by_name[pair[0]]
                return pair[1] if convert is None else convert(pair[1])

            by_class[tuple] = convert_record
        if not by_class:
            return None

        def convert_branch(value: Any) -> Any:
            convert = by_class.get(value.__class__)
            return value if convert is None else convert(value)

        return convert_branch


def _each(item: Convert | None, walk: Callable[[Convert, Any], Any]) -> Convert | None:
    """What converts the members of a value; None where they stay as they are."""
    return None if item is None else partial(walk, item)


_CLASSES: Final[Mapping[str, type]] = {
    "int": int,
    "long": int,
    "string": str,
    "bytes": bytes,
    "fixed": bytes,
    "array": list,
    "map": dict,
    "record": dict,
    "error": dict,
}


def _logical_converter(schema: Parsed, declared: str | None) -> Convert | None:
    logical = logical_type(schema)
    if logical in MOMENTS:
        unit = MOMENTS[logical]
        if declared == "int":
            return None if unit == 1_000_000 else lambda value: value * unit // 1_000_000
        return lambda value: _moment(value * unit)
    if logical == "date":
        return _date_text if declared == "string" else lambda value: _moment(value * _DAY_NS)
    if logical == "decimal":
        scale = int(schema.get("scale", 0))
        if declared == "string":
            return lambda value: _decimal_text(int.from_bytes(value, signed=True), scale)
        return lambda value: _decimal(int.from_bytes(value, signed=True), scale)
    if logical == "uuid" and schema["type"] == "fixed":
        return lambda value: str(uuid.UUID(bytes=value))
    return None


def _moment(ns: int) -> Any:
    """A timestamp; the number of milliseconds, marked, where it is of no year from 1 to 9999."""
    try:
        return Timestamp.checked(ns)
    except EvalError:
        return Mistyped(ns // 1_000_000, "", "timestamp")


def _date_text(days: int) -> Any:
    try:
        return str(_EPOCH + datetime.timedelta(days=days))
    except OverflowError:
        return Mistyped(days, "", "string")


def _decimal(unscaled: int, scale: int) -> float:
    try:
        return float(unscaled / 10**scale)
    except OverflowError:
        return math.inf if unscaled > 0 else -math.inf


def _decimal_text(unscaled: int, scale: int) -> str:
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    whole, fraction = (digits[:-scale], f".{digits[-scale:]}") if scale else (digits, "")
    return f"{'-' if unscaled < 0 else ''}{whole}{fraction}"
