"""Messages as plain values, and plain values as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.values import Duration, Mistyped, Timestamp
from pointsman.codec.shape import ANY

__all__ = ["describe", "filled", "kinds_of", "plan", "unsigned"]

Descriptor = Any
Convert = Callable[[Any], Any]
_Part = tuple[str, bool, Convert | None]

_INTEGERS: Final = ("INT64", "INT32", "UINT64", "UINT32", "FIXED64", "FIXED32")
_SIGNED: Final = ("SINT32", "SINT64", "SFIXED32", "SFIXED64")
_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys((*_INTEGERS, *_SIGNED), "int"),
    "DOUBLE": "double",
    "FLOAT": "double",
    "BOOL": "bool",
    "STRING": "string",
    "ENUM": "string",
    "BYTES": "bytes",
    "MESSAGE": "map",
    "GROUP": "map",
}
_WELL_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "google.protobuf.Timestamp": frozenset(("timestamp",)),
    "google.protobuf.Duration": frozenset(("string",)),
    "google.protobuf.Struct": frozenset(("map",)),
    "google.protobuf.ListValue": frozenset(("list",)),
    "google.protobuf.Value": ANY,
    **{
        f"google.protobuf.{name}Value": frozenset(("int",)) for name in ("Int64", "Int32", "UInt64", "UInt32")
    },
    **{f"google.protobuf.{name}Value": frozenset(("double",)) for name in ("Double", "Float")},
    "google.protobuf.BoolValue": frozenset(("bool",)),
    "google.protobuf.StringValue": frozenset(("string",)),
    "google.protobuf.BytesValue": frozenset(("bytes",)),
}


def describe(kind: Any) -> str:
    """A message type's full name."""
    return str(kind.DESCRIPTOR.full_name)


def kinds_of(field: Descriptor) -> frozenset[str]:
    """The kinds of values that a field may hold."""
    if _is_map(field):
        return frozenset(("map",))
    if _repeated(field):
        return frozenset(("list",))
    if field.message_type is not None and field.message_type.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[field.message_type.full_name]
    return frozenset((_KINDS[_type(field)],))


def unsigned(field: Descriptor) -> bool:
    """Whether a field may hold a number beyond 64 bits with a sign."""
    if field.message_type is not None:
        return bool(field.message_type.full_name == "google.protobuf.UInt64Value")
    return _type(field) in ("UINT64", "FIXED64")


def plan(kind: Descriptor, fields: Mapping[str, str]) -> Convert:
    """From messages of a type to maps.

    Args:
        kind: The type's descriptor.
        fields: The declared types of its fields.
    """
    return _Plans().message(kind, fields)


class _Plans:
    """Makes the functions that read messages; a type that holds itself is read by the same function."""

    def __init__(self) -> None:
        self._made: dict[str, Convert] = {}

    def message(self, kind: Descriptor, fields: Mapping[str, str]) -> Convert:
        parts: list[_Part] = []

        def read(message: Any) -> dict[str, Any]:
            found = {}
            has = message.HasField
            for name, presence, convert in parts:
                if presence and not has(name):
                    continue
                value = getattr(message, name)
                found[name] = value if convert is None else convert(value)
            return found

        self._made[kind.full_name] = read
        parts += [
            (field.name, field.has_presence and not _repeated(field) and not _has_default(field), c)
            for field in kind.fields
            for c in [self._field(field, fields.get(field.name))]
        ]
        return read

    def _field(self, field: Descriptor, declared: str | None) -> Convert | None:
        if _is_map(field):
            item = self._one(field.message_type.fields_by_name["value"], None)
            if item is None:
                return lambda value: {_key(name): member for name, member in value.items()}
            return lambda value: {_key(name): item(member) for name, member in value.items()}
        one = self._one(field, declared)
        if not _repeated(field):
            return one
        return list if one is None else lambda value: [one(member) for member in value]

    def _one(self, field: Descriptor, declared: str | None) -> Convert | None:
        """What converts one value of a field."""
        if field.enum_type is not None:
            names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
            return lambda number: names.get(number, number)
        if field.message_type is None:
            return None
        kind = field.message_type
        if kind.full_name == "google.protobuf.Timestamp":
            return _epoch_ms if declared == "int" else _timestamp
        if kind.full_name == "google.protobuf.Duration":
            return _duration
        if kind.full_name in ("google.protobuf.Struct", "google.protobuf.ListValue", "google.protobuf.Value"):
            return _plain
        if kind.full_name in _WELL_KNOWN:
            return lambda message: message.value
        return self._made.get(kind.full_name) or self.message(kind, {})


def _timestamp(message: Any) -> Any:
    try:
        return Timestamp.checked(message.seconds * 1_000_000_000 + message.nanos)
    except EvalError:
        return Mistyped(message.seconds, "", "timestamp")


def _epoch_ms(message: Any) -> int:
    return int(message.seconds * 1000 + message.nanos // 1_000_000)


def _duration(message: Any) -> Any:
    try:
        return Duration.checked(message.seconds * 1_000_000_000 + message.nanos)
    except EvalError:
        return Mistyped(message.seconds, "", "duration")


def _plain(message: Any) -> Any:
    """A Struct, ListValue or Value as the JSON it stands for; whole numbers stay doubles."""
    kind = message.DESCRIPTOR.name
    if kind == "Struct":
        return {name: _plain(member) for name, member in message.fields.items()}
    if kind == "ListValue":
        return [_plain(member) for member in message.values]
    found = message.WhichOneof("kind")
    if found in (None, "null_value"):
        return None
    value = getattr(message, found)
    return _plain(value) if found in ("struct_value", "list_value") else value


def _key(name: Any) -> str:
    return str(name).lower() if isinstance(name, bool) else str(name)


def _type(field: Descriptor) -> str:
    """The name of a field's type, such as `INT64`."""
    return _TYPES[field.type]


_TYPES: Final[Mapping[int, str]] = dict(
    enumerate(
        (
            *("DOUBLE", "FLOAT", "INT64", "UINT64", "INT32", "FIXED64", "FIXED32", "BOOL", "STRING", "GROUP"),
            *("MESSAGE", "BYTES", "UINT32", "ENUM", "SFIXED32", "SFIXED64", "SINT32", "SINT64"),
        ),
        1,
    )
)
"""The numbers of types, as descriptor.proto fixes them."""


def _repeated(field: Descriptor) -> bool:
    """Whether a field holds several values; older protobuf says it by its label."""
    try:
        return bool(field.is_repeated)
    except AttributeError:
        return bool(field.label == field.LABEL_REPEATED)


def _is_map(field: Descriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _has_default(field: Descriptor) -> bool:
    """Whether the schema gives the field a default of its own, as proto2 can."""
    return bool(field.has_default_value)


def filled(kind: Any, event: dict[str, Any]) -> Any:
    """A message of an event as JSON has it; raises ValueError where it does not fit."""
    from google.protobuf import json_format

    try:
        return json_format.ParseDict(event, kind())
    except (json_format.ParseError, TypeError, OverflowError) as error:
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"the event does not fit {describe(kind)}: {said}") from None
