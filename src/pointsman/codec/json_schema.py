"""`format: json_schema`: JSON objects behind a schema's id, each valid under that JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from pointsman.base.errors import MissingExtra, RecordError
from pointsman.codec.base import codecs
from pointsman.codec.json_objects import json_object
from pointsman.codec.readers import HEAD, Read, Readers, Unusable
from pointsman.codec.registry import Schema, SchemaRegistry
from pointsman.codec.registry_keys import needed
from pointsman.codec.shape import ANY, Shape
from pointsman.codec.values import typed
from pointsman.codec.whole import WholeDecoder

__all__ = ["JsonSchema"]


@codecs.add("json_schema")
class JsonSchema:
    """JSON objects in UTF-8 behind a schema's id."""

    name: ClassVar[str] = "json_schema"

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None, registry: Any = None) -> WholeDecoder:
        """The decoder for a policy that uses the fields `names`.

        Raises:
            Misfit: No registry is named.
            MissingExtra: jsonschema-rs is not installed.
        """
        keys = needed("json_schema", registry)
        declared = fields or {}
        _jsonschema()
        readers = Readers(SchemaRegistry(keys), "JSON", lambda s: reader_of(s, declared), declared)
        return WholeDecoder(names, readers.read, readers.prepare, verbatim=True, head=HEAD)

    @staticmethod
    def shape(schema: Schema) -> Shape:
        """The fields of a schema; raises Unusable."""
        return _shape(_parsed(schema.text))

    @staticmethod
    def encoder(schema: Schema) -> Callable[[dict[str, Any]], bytes]:
        """From an event to a value of this schema; the function raises ValueError."""
        validator = _validator(schema)
        head = b"\0" + schema.id.to_bytes(4)

        def encode(event: dict[str, Any]) -> bytes:
            if not validator.is_valid(event):
                raise ValueError(f"the event does not fit the schema: {_complaint(validator, event)}")
            return head + msgspec.json.encode(event)

        return encode


def _jsonschema() -> Any:
    try:
        import jsonschema_rs
    except ImportError:
        raise MissingExtra("format json_schema", "json_schema") from None
    return jsonschema_rs


def reader_of(schema: Schema, fields: Mapping[str, str]) -> tuple[Shape, Read]:
    """The fields of a schema, and what reads its values; raises Unusable."""
    shape = JsonSchema.shape(schema)
    validator = _validator(schema)
    is_valid = validator.is_valid

    def read(value: bytes) -> dict[str, Any]:
        event = json_object(value[HEAD:])
        if not is_valid(event):
            said = _complaint(validator, event)
            raise RecordError("undecodable", f"not valid under the JSON Schema {schema.id}: {said}")
        return typed(event, fields)

    return shape, read


def _validator(schema: Schema) -> Any:
    """Checks values; what the schema refers to comes from the registry and from nowhere else."""
    known = {reference.name: reference.text for reference in schema.references}

    def retrieve(uri: str) -> Any:
        for name, text in known.items():
            if uri == name or uri.endswith(f"/{name}"):
                return json.loads(text)
        raise ValueError(f"{uri} is not among the schema's references")

    try:
        return _jsonschema().validator_for(_parsed(schema.text), retriever=retrieve)
    except Exception as error:  # a schema that is none, or refers to what is not there
        said = " ".join(str(error).split())[:300]
        raise Unusable(f"the schema cannot be used: {said}") from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unusable(f"the schema is not JSON: {error}") from None


def _complaint(validator: Any, event: Any) -> str:
    """The first error, and where it is."""
    for error in validator.iter_errors(event):
        path = ".".join(map(str, error.instance_path))
        return f"{path}: {error.message}"[:300] if path else str(error.message)[:300]
    return "it is not valid"


_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "null": frozenset(("null",)),
    "boolean": frozenset(("bool",)),
    "integer": frozenset(("int",)),
    "number": frozenset(("int", "double")),
    "string": frozenset(("string",)),
    "array": frozenset(("list",)),
    "object": frozenset(("map",)),
}


def _shape(schema: Any) -> Shape:
    """What `properties` says with plain types; anything more is not judged."""
    if not isinstance(schema, dict):
        return {}
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        raise Unusable(f"the schema is of the type {kinds}, and an event is an object")
    properties = schema.get("properties", {})
    return (
        {name: _kinds(member) for name, member in properties.items()} if isinstance(properties, dict) else {}
    )


def _kinds(schema: Any) -> frozenset[str]:
    found = schema.get("type") if isinstance(schema, dict) else None
    if found is None:
        return ANY
    return frozenset().union(
        *(_KINDS.get(kind, ANY) for kind in (found if isinstance(found, list) else [found]))
    )
