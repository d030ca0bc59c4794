"""Values that name their schema: a zero byte, the schema's id in four bytes, then what that schema describes.

References:
    Confluent, Formats, serializers and deserializers, "Wire format".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pointsman.base.errors import PointsmanError, RecordError
from pointsman.codec.registry import Schema, SchemaRegistry, UnknownSchema
from pointsman.codec.shape import Shape, misfits

__all__ = ["HEAD", "Read", "Readers", "Unusable", "head_of", "refusing"]

HEAD: Final = 5
"""Bytes before what the schema describes."""

_UNKNOWN_SECONDS: Final = 10.0
_MOST_UNKNOWN: Final = 1000

Read = Callable[[bytes], dict[str, Any]]
"""From a whole value to its event, of which no declared field needs another look; raises RecordError."""


class Unusable(PointsmanError):  # it becomes a RecordError for each record
    """A schema that cannot be used; says why."""


class Readers:
    """What reads the values of each schema; made when a value first names it, and kept."""

    def __init__(
        self,
        registry: SchemaRegistry,
        kind: str,
        make: Callable[[Schema], tuple[Shape, Read]],
        fields: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        registry: Has the schemas.
        kind: What they have to be: `AVRO`, `PROTOBUF` or `JSON`.
        make: The fields of a schema and what reads its values; raises Unusable.
        fields: The declared types.
        monotonic: Seconds of a clock that only goes forward.
        """
        self._registry = registry
        self._kind = kind
        self._build = make
        self._fields = fields
        self._monotonic = monotonic
        self._made: dict[bytes, Read] = {}
        self._unknown: dict[bytes, float] = {}

    def prepare(self, values: Sequence[bytes | None]) -> None:
        """Fetches the schemas that these values name and that are not known yet.

        Raises:
            EnvironmentFault: The registry does not answer, or refuses to.
        """
        new = {value[:HEAD] for value in values if value} - self._made.keys()
        for head in new:
            if len(head) == HEAD and not head[0] and self._unknown.get(head, 0.0) <= self._monotonic():
                self._fetch(head)

    def read(self, value: bytes) -> dict[str, Any]:
        """The event of a value that `prepare` was shown; raises RecordError."""
        reader = self._made.get(value[:HEAD])
        if reader is None:
            number = int.from_bytes(head_of(value)[1:])
            raise RecordError("schema", f"the Schema Registry has no schema with the id {number}")
        return reader(value)

    def _fetch(self, head: bytes) -> None:
        number = int.from_bytes(head[1:])
        try:
            schema = self._registry.schema(number)
        except UnknownSchema:
            if len(self._unknown) >= _MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[head] = self._monotonic() + _UNKNOWN_SECONDS
            return
        self._unknown.pop(head, None)
        self._made[head] = self._reader(schema)

    def _reader(self, schema: Schema) -> Read:
        """What reads the values of a schema; where none can be read, what says why."""
        if schema.kind != self._kind:
            said = f"it is {_WORDS.get(schema.kind, schema.kind)}, source.format says {_WORDS[self._kind]}"
            return refusing(schema, said)
        try:
            shape, read = self._build(schema)
        except Unusable as error:
            return refusing(schema, str(error))
        wrong = [
            f"{name} is {kinds}, declared {self._fields[name]}"
            for name, kinds in misfits(shape, self._fields)
        ]
        return refusing(schema, "; ".join(wrong)) if wrong else read


_WORDS: Final = {"AVRO": "avro", "PROTOBUF": "protobuf", "JSON": "json_schema"}


def head_of(value: bytes) -> bytes:
    """The bytes that name a value's schema; raises RecordError where it names none."""
    if value.startswith(b"\0") and len(value) >= HEAD:
        return value[:HEAD]
    if len(value) < HEAD:
        raise RecordError("undecodable", f"the value has {len(value)} bytes, too few to name a schema")
    found = f"the value begins with the byte 0x{value[0]:02x}, not with a zero byte and a schema's id"
    hint = "; it looks like JSON" if value[:1] in b"{[" else ""
    raise RecordError("undecodable", found + hint)


def refusing(schema: Schema, why: str) -> Read:
    """What stands for a reader where a schema cannot be used: it says why."""
    message = f"schema {schema.id} does not fit: {why}"

    def read(_: bytes) -> dict[str, Any]:
        raise RecordError("schema", message)

    return read
