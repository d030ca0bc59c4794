"""`format: avro`: records of Apache Avro whose schema a Schema Registry has.

Values are read by the schema that wrote them; `codec.avro_logical` tells what becomes of logical types.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar, Final

from pointsman.base.errors import MissingExtra, RecordError
from pointsman.cel.fields import fit
from pointsman.codec.avro_logical import MOMENTS, Converters, Parsed, kind_of, logical_type, resolved
from pointsman.codec.avro_values import avro_value
from pointsman.codec.base import codecs
from pointsman.codec.readers import HEAD, Read, Readers, Unusable
from pointsman.codec.registry import Schema, SchemaRegistry
from pointsman.codec.registry_keys import needed
from pointsman.codec.shape import ANY, Shape, exact
from pointsman.codec.whole import WholeDecoder

__all__ = ["Avro"]


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
    converters = Converters(named, several)
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
    if kind_of(parsed) != "record":
        raise Unusable(f"the schema is of the type {kind_of(parsed)}, and an event is a record")
    return parsed, named


def _without_logical_types(schema: Parsed) -> Parsed:
    if isinstance(schema, dict):
        return {
            name: _without_logical_types(member) for name, member in schema.items() if name != "logicalType"
        }
    return [_without_logical_types(member) for member in schema] if isinstance(schema, list) else schema


def _has_several_records(schema: Parsed, named: Mapping[str, Parsed], seen: set[str]) -> bool:
    """Whether some union has more than one record, so that a value alone does not tell which it is."""
    schema = resolved(schema, named)
    if isinstance(schema, list):
        if sum(kind_of(resolved(branch, named)) == "record" for branch in schema) > 1:
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
    schema = resolved(schema, named)
    if isinstance(schema, list):
        return frozenset().union(*(_kinds(branch, named) for branch in schema))
    logical = logical_type(schema)
    if logical in MOMENTS:
        return frozenset(("timestamp",))
    if logical in ("date", "decimal"):
        return frozenset((logical,))
    if logical == "uuid":
        return frozenset(("string",))
    kind = _KINDS.get(kind_of(schema))
    return ANY if kind is None else frozenset((kind,))
