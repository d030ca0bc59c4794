"""A field's JSON value as the declared type has it."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.time import parse_timestamp
from pointsman.cel.values import INT_MAX, INT_MIN, MISSING, Mistyped, Timestamp

__all__ = ["DECLARED", "fit"]

DECLARED: Final = ("string", "int", "double", "bool", "timestamp", "bytes", "list", "map", "dyn")
"""The types that a field or variable may be declared with."""

_PYTHON: Final[dict[str, type]] = {
    "string": str,
    "bool": bool,
    "list": list,
    "bytes": bytes,
    "timestamp": Timestamp,
}


def fit(value: Any, declared: str, name: str = "") -> Any:
    """Returns `value` as its declared type has it, or a `Mistyped` that keeps it.

    Null and `MISSING` stay. A double takes JSON's ints, an int takes whole doubles; a timestamp is RFC 3339
    text or milliseconds since 1970; bytes are base64 text.

    Args:
        value: As it stands in the event, or already converted.
        declared: A member of `DECLARED`.
        name: For messages.
    """
    kind = value.__class__
    if value is None or value is MISSING or kind is Mistyped:
        return value
    if declared == "dyn":
        return Mistyped(value, name, "dyn") if kind is int and not INT_MIN <= value <= INT_MAX else value
    if kind is _PYTHON.get(declared):
        return value
    match declared:
        case "int" if kind is int or (kind is float and value.is_integer()):
            if INT_MIN <= value <= INT_MAX:
                return int(value)
        case "double" if kind is float or kind is int:
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        case "map" if isinstance(value, Mapping):
            return value
        case "timestamp" if kind is str:
            try:
                return parse_timestamp(value)
            except EvalError:
                pass
        case "timestamp" if kind is int or (kind is float and math.isfinite(value)):
            try:
                return Timestamp.from_ms(int(value))
            except EvalError:
                pass
        case "bytes" if kind is str:
            try:
                return base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                pass
    return Mistyped(value, name, declared)
