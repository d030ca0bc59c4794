"""`format: avro`: records of Apache Avro whose schema a Schema Registry has.

Values are read by the schema that wrote them. Logical types are converted here and not by fastavro, whose
`datetime` has neither nanoseconds nor the years that a bad record may bring, and costs more.

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
import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import Any, ClassVar, Final

from pointsman.base.errors import EvalError, MissingExtra, RecordError
from pointsman.cel.fields import fit
from pointsman.cel.values import Mistyped, Timestamp
from pointsman.codec.avro_values import avro_value
from pointsman.codec.base import codecs
from pointsman.codec.readers import HEAD, Read, Readers, Unusable
from pointsman.codec.registry import Schema, SchemaRegistry
from pointsman.codec.registry_keys import needed
from pointsman.codec.shape import ANY, Shape, exact
from pointsman.codec.whole import WholeDecoder

__all__ = ["Avro"]

Convert = Callable[[Any], Any]
Parsed = Any
"""A schema as fastavro parses it: full names, each named type written out once."""


@codecs.add("avro")
class Avro:
    """Avro records behind a schema's id."""

    name: ClassVar[str] = "avro"

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None, registry: Any = None) -> WholeDecoder:
        """The decoder for a policy that uses the fields `names`.

        Raises:
            Misfit: No registry is named.
            MissingExtra: fastavro is not installed.
        """
        keys = needed("avro", registry)
        declared = fields or {}
        _fastavro()
        readers = Readers(SchemaRegistry(keys), "AVRO", lambda s: reader_of(s, declared), declared)
        return WholeDecoder(names, readers.read, readers.prepare)

    @staticmethod
    def shape(schema: Schema) -> Shape:
        """The fields of a schema; raises Unusable."""
        return _shape(*_parsed(schema))

    @staticmethod
    def encoder(schema: Schema) -> Callable[[dict[str, Any]], bytes]:
        """From an event, as JSON has it, to a value of this schema; the function raises ValueError."""
        fastavro = _fastavro()
        head = b"\0" + schema.id.to_bytes(4)
        parsed, named = _parsed(schema)
        plain = _without_logical_types(parsed)

        def encode(event: dict[str, Any]) -> bytes:
            stream = BytesIO()
            stream.write(head)
            try:
                fastavro.schemaless_writer(stream, plain, avro_value(event, parsed, named))
            except Exception as error:  # it raises what its types raise
                raise ValueError(f"the event does not fit the schema: {error}") from None
            return stream.getvalue()

        return encode


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError:
        raise MissingExtra("format avro", "avro") from None
    return fastavro


def reader_of(schema: Schema, fields: Mapping[str, str]) -> tuple[Shape, Read]:
    """The fields of a schema, and what reads its values; raises Unusable."""
    parsed, named = _parsed(schema)
    shape = _shape(parsed, named)
    several = _has_several_records(parsed, named, set())
    converters = _Converters(named, several)
    top = [
        (field["name"], convert)
        for field in parsed["fields"]
        if (convert := converters.of(field["type"], fields.get(field["name"]))) is not None
    ]
    checks = [
        (name, declared)
        for name, declared in fields.items()
        if name in shape and not exact(shape[name], declared)
    ]
    plain = _without_logical_types(parsed)
    schemaless_reader = _fastavro().schemaless_reader
    options = {"return_record_name": True, "return_record_name_override": True} if several else {}

    def read(value: bytes) -> dict[str, Any]:
        stream = BytesIO(value)
        stream.seek(HEAD)
        try:
            event: dict[str, Any] = schemaless_reader(stream, plain, **options)
        except Exception as error:  # fastavro raises whatever reading runs into
            raise _unreadable(schema, error) from None
        if stream.tell() != len(value):
            said = f"{len(value) - stream.tell()} bytes are left over (byte {stream.tell()})"
            raise _unreadable(schema, said)
        for name, convert in top:
            event[name] = convert(event[name])
        for name, declared in checks:
            event[name] = fit(event[name], declared, name)
        return event

    return shape, read


def _unreadable(schema: Schema, why: object) -> RecordError:
    said = str(why) or type(why).__name__
    return RecordError("undecodable", f"not a value of the Avro schema {schema.id}: {said}")


# Schemas.


def _parsed(schema: Schema) -> tuple[Parsed, dict[str, Parsed]]:
    """The schema, and every named type in it by its full name."""
    fastavro = _fastavro()
    named: dict[str, Parsed] = {}
    try:
        for reference in schema.references:
            fastavro.parse_schema(json.loads(reference.text), named_schemas=named)
        parsed = fastavro.parse_schema(json.loads(schema.text), named_schemas=named)
    except (ValueError, KeyError, TypeError, fastavro.schema.SchemaParseException) as error:
        raise Unusable(f"the schema cannot be parsed: {error}") from None
    if _kind(parsed) != "record":
        raise Unusable(f"the schema is of the type {_kind(parsed)}, and an event is a record")
    return parsed, named


def _kind(schema: Parsed) -> str:
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, dict) else schema)


def _resolved(schema: Parsed, named: Mapping[str, Parsed]) -> Parsed:
    """The schema that a name stands for."""
    if isinstance(schema, str) and schema in named:
        return named[schema]
    if isinstance(schema, dict) and isinstance(schema["type"], (dict, list)):
        return _resolved(schema["type"], named)
    return schema


def _without_logical_types(schema: Parsed) -> Parsed:
    if isinstance(schema, dict):
        return {
            name: _without_logical_types(member) for name, member in schema.items() if name != "logicalType"
        }
    return [_without_logical_types(member) for member in schema] if isinstance(schema, list) else schema


def _has_several_records(schema: Parsed, named: Mapping[str, Parsed], seen: set[str]) -> bool:
    """Whether some union has more than one record, so that a value alone does not tell which it is."""
    schema = _resolved(schema, named)
    if isinstance(schema, list):
        if sum(_kind(_resolved(branch, named)) == "record" for branch in schema) > 1:
            return True
        return any(_has_several_records(branch, named, seen) for branch in schema)
    if not isinstance(schema, dict):
        return False
    if schema["type"] in ("record", "error"):
        if schema["name"] in seen:
            return False
        seen.add(schema["name"])
        return any(_has_several_records(field["type"], named, seen) for field in schema["fields"])
    inner = schema.get("items", schema.get("values"))
    return inner is not None and _has_several_records(inner, named, seen)


_KINDS: Final[Mapping[str, str]] = {
    "null": "null",
    "boolean": "bool",
    "int": "int",
    "long": "int",
    "float": "double",
    "double": "double",
    "string": "string",
    "bytes": "bytes",
    "fixed": "bytes",
    "enum": "string",
    "array": "list",
    "map": "map",
    "record": "map",
    "error": "map",
}


def _shape(parsed: Parsed, named: Mapping[str, Parsed]) -> Shape:
    return {field["name"]: _kinds(field["type"], named) for field in parsed["fields"]}


def _kinds(schema: Parsed, named: Mapping[str, Parsed]) -> frozenset[str]:
    schema = _resolved(schema, named)
    if isinstance(schema, list):
        return frozenset().union(*(_kinds(branch, named) for branch in schema))
    logical = _logical(schema)
    if logical in _MOMENTS:
        return frozenset(("timestamp",))
    if logical in ("date", "decimal"):
        return frozenset((logical,))
    if logical == "uuid":
        return frozenset(("string",))
    kind = _KINDS.get(_kind(schema))
    return ANY if kind is None else frozenset((kind,))


# Logical types.

_MOMENTS: Final[Mapping[str, int]] = {
    f"{local}timestamp-{unit}": ns
    for local in ("", "local-")
    for unit, ns in (("millis", 1_000_000), ("micros", 1_000), ("nanos", 1))
}
"""Logical type → nanoseconds of its unit."""

_BENEATH: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_MOMENTS, ("long",)),
    "date": ("int",),
    "decimal": ("bytes", "fixed"),
    "uuid": ("string", "fixed"),
}
_DAY_NS: Final = 86_400 * 1_000_000_000
_EPOCH: Final = datetime.date(1970, 1, 1)


def _logical(schema: Parsed) -> str:
    """The logical type; empty where there is none, or one that stands on a wrong type and so is ignored."""
    if not isinstance(schema, dict):
        return ""
    logical = str(schema.get("logicalType", ""))
    if schema["type"] not in _BENEATH.get(logical, ()):
        return ""
    return "" if logical == "uuid" and schema["type"] == "fixed" and schema["size"] != 16 else logical


class _Converters:
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
        schema = _resolved(schema, self._named)
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
            branch = _resolved(branch, self._named)
            convert = self.of(branch, declared)
            if self._several and _kind(branch) == "record":
                by_name[branch["name"]] = convert
            if convert is not None:
                by_class.setdefault(_CLASSES[_kind(branch)], convert)
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
    logical = _logical(schema)
    if logical in _MOMENTS:
        unit = _MOMENTS[logical]
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
