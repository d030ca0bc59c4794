"""What kind of value a node gives, as far as it is certain.

The checker's own types are no help here: names are `dyn` to it, and it takes `x + 1` for an int where `x`
may hold a double. A kind is certain: the node gives a value of this kind or raises, except that a slot may
also hold null (and, before it is looked at, be missing or mistyped).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.cel.functions.catalog import FUNCTIONS
from pointsman.cel.resolve import (
    Bind,
    Build,
    Has,
    Local,
    Logic,
    OptionalSlot,
    Quantifier,
    Slot,
)
from pointsman.cel.tree import Call, Const, ListNode, MapNode, Node
from pointsman.cel.values import Duration, Timestamp, TypeValue, Uint

__all__ = ["NUMBERS", "kind_of"]

NUMBERS: Final = frozenset({"int", "uint", "double"})

_CONSTANTS: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null",
    TypeValue: "type",
    Timestamp: "timestamp",
    Duration: "duration",
}

_COMPARISONS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "!_"})

_SUMS: Final[dict[tuple[str, str, str], str]] = {
    ("_+_", "timestamp", "duration"): "timestamp",
    ("_+_", "duration", "timestamp"): "timestamp",
    ("_-_", "timestamp", "duration"): "timestamp",
    ("_-_", "timestamp", "timestamp"): "duration",
}

_ADDS: Final = frozenset({"int", "uint", "double", "string", "bytes", "list", "duration"})
_SUBTRACTS: Final = frozenset({"int", "uint", "double", "duration"})


def kind_of(node: Node, local: Mapping[str, str]) -> str:
    """Returns the kind of value that `node` gives; `dyn` where it is not certain.

    Args:
        node: A resolved node.
        local: The kinds of the macros' variables in scope.
    """
    match node:
        case Const():
            return _CONSTANTS.get(node.value.__class__, "dyn")
        case Slot():
            return node.kind
        case Has() | Logic() | Quantifier():
            return "bool"
        case OptionalSlot():
            return "optional"
        case ListNode():
            return "list"
        case MapNode():
            return "map"
        case Build():
            return "list" if node.what == "list" else "map"
        case Local():
            return local.get(node.name, "dyn")
        case Bind():
            value = kind_of(node.value, local)
            return kind_of(node.body, {**local, node.name: value})
        case Call():
            return _call(node, local)
    return "dyn"


def _call(node: Call, local: Mapping[str, str]) -> str:
    name = node.function
    if name in _COMPARISONS:
        return "bool"
    if name == "_?_:_":
        left, right = kind_of(node.args[1], local), kind_of(node.args[2], local)
        return left if left == right else "dyn"
    if name == "-_":
        inner = kind_of(node.args[0], local)
        return inner if inner in ("int", "double") else "dyn"
    if name in ("_+_", "_-_", "_*_", "_/_", "_%_"):
        left, right = kind_of(node.args[0], local), kind_of(node.args[1], local)
        return _arithmetic(name, left, right)
    if name in ("_[_]", "_?._", "_[?_]"):
        return "dyn" if name == "_[_]" else "optional"
    if name == "orValue" and isinstance(node.args[0], OptionalSlot):
        found, other = node.args[0].slot.kind, kind_of(node.args[1], local)
        return found if found == other else "dyn"
    known: Any = FUNCTIONS.get(name)
    return known.result if known is not None else "dyn"


def _arithmetic(name: str, left: str, right: str) -> str:
    if (name, left, right) in _SUMS:
        return _SUMS[name, left, right]
    if left != right:
        return "dyn"
    match name:
        case "_+_":
            return left if left in _ADDS else "dyn"
        case "_-_":
            return left if left in _SUBTRACTS else "dyn"
        case "_%_":
            return left if left in ("int", "uint") else "dyn"
    return left if left in NUMBERS else "dyn"
