"""`format: protobuf`: messages of Protocol Buffers whose .proto a Schema Registry has.

The schema is compiled by protoc when a value first names it, and messages are built from its descriptors: no
generated code is kept, and any release of the protobuf package from 4.25 on will do.

    int64 and all integers                      numbers; one above 2^63 - 1 has no value in rules
    enum                                        its name; the number where the schema has no name for it
    bytes                                       bytes; base64 in records
    map                                         a map with keys as strings
    optional, oneof, message                    absent where not set; other fields have their default then
    Timestamp, Duration                         a timestamp (milliseconds where declared int), a duration
    wrappers, Struct, Value, ListValue          what they hold

References:
    Confluent, Formats, serializers and deserializers, "Wire format": the path of the message's type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pointsman.base.errors import RecordError
from pointsman.cel.fields import fit
from pointsman.codec.base import codecs
from pointsman.codec.proto_messages import describe, filled, kinds_of, plan, unsigned
from pointsman.codec.protoc import compiled, require
from pointsman.codec.readers import HEAD, Read, Readers, Unusable, refusing
from pointsman.codec.registry import Schema, SchemaRegistry
from pointsman.codec.registry_keys import needed
from pointsman.codec.shape import Shape, exact, misfits
from pointsman.codec.whole import WholeDecoder

__all__ = ["Protobuf"]


@codecs.add("protobuf")
class Protobuf:
    """Protobuf messages behind a schema's id and the path of the message's type."""

    name: ClassVar[str] = "protobuf"

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None, registry: Any = None) -> WholeDecoder:
        """The decoder for a policy that uses the fields `names`.

        Raises:
            Misfit: No registry is named.
            MissingExtra: protobuf or grpcio-tools is not installed.
        """
        keys = needed("protobuf", registry)
        declared = fields or {}
        require()
        readers = Readers(SchemaRegistry(keys), "PROTOBUF", lambda s: reader_of(s, declared), declared)
        return WholeDecoder(names, readers.read, readers.prepare)

    @staticmethod
    def shape(schema: Schema) -> Shape:
        """The fields of a schema's first message; raises Unusable."""
        return _shape(_Types(schema).at((0,)))

    @staticmethod
    def encoder(schema: Schema) -> Callable[[dict[str, Any]], bytes]:
        """From an event, as JSON has it, to a value: the schema's first message; raises ValueError."""
        kind = _Types(schema).at((0,))
        head = b"\0" + schema.id.to_bytes(4) + b"\0"
        return lambda event: head + filled(kind, event).SerializeToString()


class _Types:
    """The message types of a schema."""

    def __init__(self, schema: Schema) -> None:
        from google.protobuf import message_factory

        self._file = compiled(schema)
        self._class_of = message_factory.GetMessageClass

    def at(self, path: Sequence[int]) -> Any:
        """The class of the message type at a path: places in the file, then in the message around it.

        Raises:
            Unusable: There is none.
        """
        nested = list(self._file.message_types_by_name.values())
        found = None
        for place in path:
            if not 0 <= place < len(nested):
                raise Unusable(f"it has no message type at the path {list(path)}")
            found = nested[place]
            nested = list(found.nested_types)
        if found is None:
            raise Unusable("it has no message type")
        return self._class_of(found)


def reader_of(schema: Schema, fields: Mapping[str, str]) -> tuple[Shape, Read]:
    """What reads values of any message of a schema; raises Unusable."""
    types = _Types(schema)
    of: dict[tuple[int, ...], Callable[[bytes], dict[str, Any]]] = {}

    def read(value: bytes) -> dict[str, Any]:
        path: tuple[int, ...]
        if value[HEAD : HEAD + 1] == b"\0":
            path, at = (0,), HEAD + 1
        else:
            path, at = _path(value)
        reader = of.get(path)
        if reader is None:
            reader = of[path] = _message_reader(schema, types, path, fields)
        return reader(value[at:])

    return {}, read  # each message type is compared when it is first met


def _message_reader(
    schema: Schema, types: _Types, path: tuple[int, ...], fields: Mapping[str, str]
) -> Callable[[bytes], dict[str, Any]]:
    """What reads messages of the type at a path; where it does not fit, what says why."""
    from google.protobuf.message import DecodeError

    try:
        kind = types.at(path)
    except Unusable as error:
        return refusing(schema, str(error))
    shape = _shape(kind)
    wrong = [f"{name} is {found}, declared {fields[name]}" for name, found in misfits(shape, fields)]
    if wrong:
        return refusing(schema, f"{describe(kind)}: {'; '.join(wrong)}")
    parse = kind.FromString
    as_map = plan(kind.DESCRIPTOR, fields)
    checks = [
        (field.name, fields.get(field.name, "dyn"))
        for field in kind.DESCRIPTOR.fields
        if unsigned(field) or not exact(shape[field.name], fields.get(field.name, "dyn"))
    ]

    def read(content: bytes) -> dict[str, Any]:
        try:
            message = parse(content)
        except DecodeError:
            text = f"not a message {describe(kind)} of the schema {schema.id}"
            raise RecordError("undecodable", text) from None
        event: dict[str, Any] = as_map(message)
        for name, declared in checks:
            if name in event:
                event[name] = fit(event[name], declared, name)
        return event

    return read


def _shape(kind: Any) -> Shape:
    return {field.name: kinds_of(field) for field in kind.DESCRIPTOR.fields}


def _path(value: bytes) -> tuple[tuple[int, ...], int]:
    """The path of the message's type, and where the message begins."""
    count, at = _varint(value, HEAD)
    if not 0 <= count <= len(value):
        raise RecordError("undecodable", f"the path of the message's type has {count} steps (byte {HEAD})")
    path = []
    for _ in range(count):
        step, at = _varint(value, at)
        path.append(step)
    return tuple(path) or (0,), at


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and what stands behind it."""
    found = shift = 0
    while shift < 35:
        if at >= len(value):
            break
        byte = value[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
    raise RecordError("undecodable", f"the path of the message's type is broken (byte {at})")
