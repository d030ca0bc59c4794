"""Protocol Buffers messages made at run time, from a few lines of .proto text: no generated code to keep.

Wire formats are known by field numbers alone, so a message that declares only the fields we use is compatible
with the published one. Messages live in a pool of their own and never collide with those of other packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from pointsman.base.errors import InvalidReply, MissingExtra

__all__ = ["Message", "messages", "parsed"]

Message = Any
"""A message, or its class; protobuf is an extra, so its types stand in no signature."""

_TOKEN: Final = re.compile(r"[A-Za-z_][\w.]*|\d+|\S")

_SCALARS: Final = frozenset(
    ("double", "float", "int64", "uint64", "int32", "uint32", "bool", "string", "bytes")
)


@cache
def messages(package: str, text: str) -> Mapping[str, Message]:
    """The message classes of a text, by name.

    Args:
        package: The protobuf package, such as `inference`.
        text: `message` and `enum` blocks in proto3 syntax: scalars, messages, `repeated`, `map` and `oneof`;
            without imports, options, services and comments.

    Raises:
        MissingExtra: protobuf is not installed.

    Examples:
        >>> point = messages("doc", "message Point { int32 x = 1; repeated string tags = 2; }")["Point"]
        >>> point(x=3, tags=["a"]).SerializeToString()
        b'\\x08\\x03\\x12\\x01a'
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ModuleNotFoundError:
        raise MissingExtra("a model behind gRPC", "grpc") from None
    file = descriptor_pb2.FileDescriptorProto(
        name=f"pointsman/{package}.proto", package=package, syntax="proto3"
    )
    tokens = iter(_TOKEN.findall(text))
    for word in tokens:
        if word == "message":
            _message(tokens, file.message_type.add(), package)
        else:
            _enum(tokens, file.enum_type.add())
    _resolve(file)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    names = [message.name for message in file.message_type]
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in names
    }


def parsed(kind: Message, content: bytes) -> Message:
    """A message of `kind`; raises InvalidReply where the content is none."""
    from google.protobuf.message import DecodeError

    message = kind()
    try:
        message.ParseFromString(content)
    except DecodeError:
        raise InvalidReply(f"the reply is not a {kind.DESCRIPTOR.name}") from None
    return message


def _message(tokens: Iterator[str], into: Any, scope: str) -> None:
    """Reads `Name { … }`."""
    into.name = next(tokens)
    scope = f"{scope}.{into.name}"
    next(tokens)
    oneof = None
    for word in tokens:
        if word == "}" and oneof is None:
            return
        if word == "}":
            oneof = None
        elif word == "message":
            _message(tokens, into.nested_type.add(), scope)
        elif word == "enum":
            _enum(tokens, into.enum_type.add())
        elif word == "oneof":
            oneof = len(into.oneof_decl)
            into.oneof_decl.add(name=next(tokens))
            next(tokens)
        else:
            _field(tokens, word, into, scope, oneof)


def _enum(tokens: Iterator[str], into: Any) -> None:
    """Reads `Name { A = 0; … }`."""
    into.name = next(tokens)
    next(tokens)
    for word in tokens:
        if word == "}":
            return
        next(tokens)
        into.value.add(name=word, number=int(next(tokens)))
        next(tokens)


def _field(tokens: Iterator[str], word: str, into: Any, scope: str, oneof: int | None) -> None:
    """Reads `[repeated] type name = number;`, of which `word` is the first."""
    repeated, kind = word == "repeated", word
    if repeated:
        kind = next(tokens)
    if kind == "map":
        _, of, _, value, _ = (next(tokens) for _ in range(5))
    name, _, number, _ = (next(tokens) for _ in range(4))
    if kind == "map":
        entry = into.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _typed(entry.field.add(name="key", number=1, label=1), of)
        _typed(entry.field.add(name="value", number=2, label=1), value)
        repeated, kind = True, f".{scope}.{entry.name}"
    field = into.field.add(name=name, number=int(number), label=3 if repeated else 1)
    _typed(field, kind)
    if oneof is not None:
        field.oneof_index = oneof


def _typed(field: Any, kind: str) -> None:
    """Gives a field its type; a message's or enum's name is looked up once all are known."""
    if kind in _SCALARS:
        field.type = field.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type_name = kind


def _resolve(file: Any) -> None:
    """Turns the names of messages and enums into full ones, and says which of the two they are."""
    known: dict[str, int] = {}

    def walk(scope: str, enums: Any, nested: Any) -> None:
        known.update({f"{scope}.{enum.name}": 14 for enum in enums})
        for message in nested:
            known[f"{scope}.{message.name}"] = 11
            walk(f"{scope}.{message.name}", message.enum_type, message.nested_type)

    def fix(message: Any, scope: str) -> None:
        scope = f"{scope}.{message.name}"
        for field in message.field:
            if field.type_name:
                name, outer = field.type_name, scope
                while outer and not name.startswith(".") and f"{outer}.{name}" not in known:
                    outer = outer.rpartition(".")[0]
                field.type_name = name if name.startswith(".") else f"{outer}.{name}"
                field.type = known[field.type_name]
        for nested in message.nested_type:
            fix(nested, scope)

    root = f".{file.package}"
    walk(root, file.enum_type, file.message_type)
    for message in file.message_type:
        fix(message, root)
