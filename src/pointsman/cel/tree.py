"""The library's checked expression, read from its wire form into nodes of our own.

The message is `google.protobuf.Any` around `cel.expr.CheckedExpr` or `cel.expr.ParsedExpr`
(https://github.com/google/cel-spec, proto/cel/expr). It is read here by hand: fields are few, and generated
code would tie us to one version of protobuf.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pointsman.cel.values import Duration, Timestamp, Uint

__all__ = [
    "Call",
    "Const",
    "Fold",
    "ListNode",
    "MapNode",
    "Message",
    "Name",
    "Node",
    "Select",
    "Tree",
    "read",
]


@dataclass(slots=True)
class Node:
    """One node of an expression.

    Attributes:
        id: The library's number, unique within the expression.
        at: Offset in characters of the token that made it; -1 for what a macro made.
    """

    id: int
    at: int


@dataclass(slots=True)
class Const(Node):
    """A literal."""

    value: Any


@dataclass(slots=True)
class Name(Node):
    """A name; after checking, fully qualified."""

    name: str


@dataclass(slots=True)
class Select(Node):
    """`operand.field`, or `has(operand.field)` where `test`."""

    operand: Node
    field: str
    test: bool


@dataclass(slots=True)
class Call(Node):
    """An operator or function; operators have names such as `_+_`. A method's target is `args[0]`."""

    function: str
    args: list[Node]
    member: bool


@dataclass(slots=True)
class ListNode(Node):
    """A list literal; `optional` holds the indices of `?` elements."""

    elements: list[Node]
    optional: frozenset[int]


@dataclass(slots=True)
class MapNode(Node):
    """A map literal: key, value, and whether the entry is a `?` one."""

    entries: list[tuple[Node, Node, bool]]


@dataclass(slots=True)
class Message(Node):
    """A message literal: field, value."""

    name: str
    entries: list[tuple[str, Node]]


@dataclass(slots=True)
class Fold(Node):
    """A comprehension, as macros expand to it."""

    var: str
    var2: str
    range: Node
    accu: str
    init: Node
    condition: Node
    step: Node
    result: Node


@dataclass(slots=True)
class Tree:
    """A whole expression.

    Attributes:
        root: Its outermost node.
        checked: Whether types and names were checked.
        types: The checker's table of types, as it came.
    """

    root: Node
    checked: bool
    types: list[bytes]

    @property
    def type(self) -> str:
        """The checker's type of the whole, spelt as `list(int)`; `dyn` where it was not checked."""
        for data in self.types:
            entry = dict(_fields(data))
            if entry.get(1, 0) == self.root.id:
                return _type(entry.get(2, b""))
        return "dyn"


# ---- the wire ----------------------------------------------------------------------------------------

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yields (field number, value) in the order of the wire: an int, or bytes."""
    at, end = 0, len(data)
    while at < end:
        byte = data[at]
        if byte < 0x80:
            tag, at = byte, at + 1
        else:
            tag, at = _varint(data, at)
        form = tag & 7
        if form == VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif form == BYTES:
            size, at = _varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        elif form == FIXED64:
            yield tag >> 3, data[at : at + 8]
            at += 8
        elif form == FIXED32:
            yield tag >> 3, data[at : at + 4]
            at += 4
        else:
            raise ValueError(f"wire type {form}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _nanos(data: bytes) -> int:
    got = dict(_fields(data))
    return _signed(got.get(1, 0)) * 1_000_000_000 + _signed(got.get(2, 0))


def _constant(data: bytes) -> Any:
    for number, value in _fields(data):
        match number:
            case 1:
                return None
            case 2:
                return bool(value)
            case 3:
                return _signed(value)
            case 4:
                return Uint(value)
            case 5:
                return struct.unpack("<d", value)[0]
            case 6:
                return value.decode()
            case 7:
                return bytes(value)
            case 8:
                return Duration(_nanos(value))
            case 9:
                return Timestamp(_nanos(value))
    return None


_PRIMITIVES: Final = ("dyn", "bool", "int", "uint", "double", "string", "bytes")
_WELL_KNOWN: Final = ("dyn", "any", "timestamp", "duration")


def _type(data: bytes) -> str:
    """Returns the type spelt as in `list(map(string,dyn))`."""
    for number, value in _fields(data):
        match number:
            case 2:
                return "null"
            case 3:
                return _PRIMITIVES[value]
            case 4:
                return f"wrapper({_PRIMITIVES[value]})"
            case 5:
                return _WELL_KNOWN[value]
            case 6:
                return f"list({_type(dict(_fields(value)).get(1, b''))})"
            case 7:
                got = dict(_fields(value))
                return f"map({_type(got.get(1, b''))},{_type(got.get(2, b''))})"
            case 9:
                return str(value.decode())
            case 10:
                return f"param:{value.decode()}"
            case 11:
                return f"type({_type(value)})" if value else "type"
            case 14:
                name, inner = "", []
                for part, content in _fields(value):
                    if part == 1:
                        name = content.decode()
                    else:
                        inner.append(_type(content))
                return f"abstract:{name}" + (f"({','.join(inner)})" if inner else "")
    return "dyn"


@dataclass(slots=True)
class _Reader:
    """Builds nodes from an expression's bytes, with the tables that go beside them."""

    names: dict[int, str] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    constants: dict[int, bytes] = field(default_factory=dict)

    def reference(self, data: bytes) -> None:
        entry = dict(_fields(data))
        parts = dict(_fields(entry.get(2, b"")))
        if 1 in parts:
            self.names[entry.get(1, 0)] = parts[1].decode()
        if 4 in parts:
            self.constants[entry.get(1, 0)] = parts[4]

    def source(self, data: bytes) -> None:
        for number, value in _fields(data):
            if number == 4:
                entry = dict(_fields(value))
                self.positions[entry.get(1, 0)] = entry.get(2, 0)

    def node(self, data: bytes) -> Node:
        identity, kind, body = 0, 0, b""
        for number, value in _fields(data):
            if number == 2:
                identity = value
            else:
                kind, body = number, value
        at = self.positions.get(identity, -1)
        if identity in self.constants:
            return Const(identity, at, _constant(self.constants[identity]))
        match kind:
            case 3:
                return Const(identity, at, _constant(body))
            case 4:
                name = dict(_fields(body)).get(1, b"").decode()
                return Name(identity, at, self.names.get(identity, name))
            case 5:
                return self.select(identity, at, body)
            case 6:
                return self.call(identity, at, body)
            case 7:
                return self.list(identity, at, body)
            case 8:
                return self.struct(identity, at, body)
            case 9:
                return self.fold(identity, at, body)
        return Const(identity, at, None)

    def select(self, identity: int, at: int, body: bytes) -> Node:
        got = dict(_fields(body))
        if identity in self.names:  # a qualified name, such as `pkg.x`, that the checker resolved
            return Name(identity, at, self.names[identity])
        operand = self.node(got.get(1, b""))
        return Select(identity, at, operand, got[2].decode(), bool(got.get(3, 0)))

    def call(self, identity: int, at: int, body: bytes) -> Node:
        function, target, args = "", None, []
        for number, value in _fields(body):
            if number == 1:
                target = self.node(value)
            elif number == 2:
                function = value.decode()
            elif number == 3:
                args.append(self.node(value))
        if target is None:
            return Call(identity, at, function, args, False)
        return Call(identity, at, function, [target, *args], True)

    def list(self, identity: int, at: int, body: bytes) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        for number, value in _fields(body):
            if number == 1:
                elements.append(self.node(value))
            elif isinstance(value, int):
                optional.add(value)
            else:
                start = 0
                while start < len(value):
                    index, start = _varint(value, start)
                    optional.add(index)
        return ListNode(identity, at, elements, frozenset(optional))

    def struct(self, identity: int, at: int, body: bytes) -> Node:
        name = ""
        fields: list[tuple[str, Node]] = []
        entries: list[tuple[Node, Node, bool]] = []
        for number, value in _fields(body):
            if number == 1:
                name = value.decode()
                continue
            got = dict(_fields(value))
            content = self.node(got.get(4, b""))
            if 2 in got:
                fields.append((got[2].decode(), content))
            else:
                entries.append((self.node(got.get(3, b"")), content, bool(got.get(5, 0))))
        if name:
            return Message(identity, at, self.names.get(identity, name), fields)
        return MapNode(identity, at, entries)

    def fold(self, identity: int, at: int, body: bytes) -> Node:
        got = dict(_fields(body))
        return Fold(
            identity,
            at,
            var=got.get(1, b"").decode(),
            var2=got.get(8, b"").decode(),
            range=self.node(got.get(2, b"")),
            accu=got.get(3, b"").decode(),
            init=self.node(got.get(4, b"")),
            condition=self.node(got.get(5, b"")),
            step=self.node(got.get(6, b"")),
            result=self.node(got.get(7, b"")),
        )


def read(serialized: bytes) -> Tree:
    """Returns the tree in the library's serialized expression."""
    outer = dict(_fields(serialized))
    checked = outer[1].endswith(b"CheckedExpr")
    reader = _Reader()
    types: list[bytes] = []
    expression = b""
    for number, value in _fields(outer[2]):
        if number == 2 and checked:
            reader.reference(value)
        elif number == 3 and checked:
            types.append(value)
        elif number == 5 or (number == 3 and not checked):
            reader.source(value)
        elif number == 4 or (number == 2 and not checked):
            expression = value
    return Tree(reader.node(expression), checked, types)
