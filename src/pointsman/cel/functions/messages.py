"""Literals of the well-known message types: wrappers, Value, Struct, ListValue, Timestamp, Duration.

Each stands for a CEL value, so `google.protobuf.Int32Value{value: 1}` is the int 1. Other message types
do not exist here: events are JSON.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.comparison import number
from pointsman.cel.functions.faults import no_overload
from pointsman.cel.values import Duration, Timestamp, Uint

__all__ = ["construct"]

_PREFIX: Final = "google.protobuf."

_WRAPPERS: Final[dict[str, tuple[type, Any]]] = {
    "BoolValue": (bool, False),
    "BytesValue": (bytes, b""),
    "DoubleValue": (float, 0.0),
    "FloatValue": (float, 0.0),
    "Int32Value": (int, 0),
    "Int64Value": (int, 0),
    "StringValue": (str, ""),
    "UInt32Value": (Uint, Uint(0)),
    "UInt64Value": (Uint, Uint(0)),
}

_VALUES: Final[dict[str, type]] = {
    "null_value": int,
    "number_value": float,
    "string_value": str,
    "bool_value": bool,
    "struct_value": dict,
    "list_value": list,
}


def construct(name: str, fields: list[tuple[str, Any]]) -> Any:
    """Returns the value that a message literal stands for."""
    kind = name.removeprefix(".").removeprefix(_PREFIX)
    given = dict(fields)
    if kind in _WRAPPERS:
        return _wrapper(kind, given)
    match kind:
        case "Value":
            return _value(given)
        case "Struct":
            return {key: _json(value) for key, value in _given(given, "fields", dict, {}).items()}
        case "ListValue":
            return [_json(value) for value in _given(given, "values", list, [])]
        case "Timestamp":
            return Timestamp.checked(_nanos(given))
        case "Duration":
            return Duration.checked(_nanos(given))
        case "Empty":
            return {}
    raise EvalError(f"no message type is called '{name}'")


def _given(given: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    for field in given:
        if field != name:
            raise EvalError(f"no_such_field: '{field}'")
    value = given.get(name, default)
    if value.__class__ is not kind:
        raise no_overload(f"field '{name}'", value)
    return value


def _wrapper(kind: str, given: Mapping[str, Any]) -> Any:
    python, default = _WRAPPERS[kind]
    value = _given(given, "value", python, default)
    if kind == "FloatValue":
        try:
            return struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if kind == "Int32Value" and not -(2**31) <= value < 2**31:
        raise EvalError("range error: the int does not fit 32 bits")
    if kind == "UInt32Value" and not value < 2**32:
        raise EvalError("range error: the uint does not fit 32 bits")
    return value


def _value(given: Mapping[str, Any]) -> Any:
    if not given:
        return None
    name, value = next(iter(given.items()))
    if name not in _VALUES or len(given) > 1:
        raise EvalError("a Value holds exactly one of " + ", ".join(_VALUES))
    if name == "null_value":
        return None
    if value.__class__ is not _VALUES[name]:
        raise no_overload(f"field '{name}'", value)
    return _json(value) if name in ("struct_value", "list_value") else value


def _json(value: Any) -> Any:
    """Returns a value as `google.protobuf.Value` would hold it: every number a double."""
    if value.__class__ is list:
        return [_json(element) for element in value]
    if isinstance(value, Mapping):
        return {key: _json(content) for key, content in value.items()}
    return float(value) if number(value) else value


def _nanos(given: Mapping[str, Any]) -> int:
    for name, value in given.items():
        if name not in ("seconds", "nanos") or value.__class__ is not int:
            raise no_overload(f"field '{name}'", value)
    return int(given.get("seconds", 0)) * 1_000_000_000 + int(given.get("nanos", 0))
