"""A decoded value as its declared type: what fits is converted, what does not is marked and stays as sent."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.time import parse_timestamp
from pointsman.cel.values import INT_MAX, INT_MIN, Mistyped, Timestamp

__all__ = ["convert", "typed"]

_Refused = object()


def convert(name: str, declared: str, value: Any) -> Any:
    """`value`, as JSON gives it, as the field `name` of type `declared`; or Mistyped. null fits every type.

    Args:
        name: The field, for messages.
        declared: A type of `source.fields`; `dyn` for a field that is not declared.
        value: What was sent.
    """
    if value is None:
        return None
    found = _CONVERSIONS[declared](value)
    return Mistyped(value, name, declared) if found is _Refused else found


def typed(event: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """The event with its declared fields converted, in place."""
    for name, declared in fields.items():
        value = event.get(name)
        if value is not None and value.__class__ is not _PLAIN.get(declared):
            event[name] = convert(name, declared, value)
    return event


_PLAIN: Final[Mapping[str, type]] = {"string": str, "double": float, "bool": bool, "list": list, "map": dict}
"""Types whose values need no second look; an int may be beyond 64 bits."""


def _only(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if value.__class__ is kind else _Refused


def _double(value: Any) -> Any:
    if value.__class__ is float:
        return value
    if value.__class__ is not int:
        return _Refused
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _int(value: Any) -> Any:
    """JSON does not tell 3 from 3.0, so a whole double is an int."""
    if value.__class__ is float and value.is_integer():
        value = int(value)
    return value if value.__class__ is int and INT_MIN <= value <= INT_MAX else _Refused


def _dyn(value: Any) -> Any:
    return value if value.__class__ is not int or INT_MIN <= value <= INT_MAX else _Refused


def _bytes(value: Any) -> Any:
    if value.__class__ is bytes:
        return value
    if value.__class__ is not str:
        return _Refused
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return _Refused


def _timestamp(value: Any) -> Any:
    """RFC 3339 text, or milliseconds since 1970."""
    try:
        if value.__class__ is str:
            return parse_timestamp(value)
        if value.__class__ is int or (value.__class__ is float and math.isfinite(value)):
            return Timestamp.from_ms(int(value))
    except EvalError:
        pass
    return value if value.__class__ is Timestamp else _Refused


_CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "string": _only(str),
    "int": _int,
    "double": _double,
    "bool": _only(bool),
    "timestamp": _timestamp,
    "bytes": _bytes,
    "list": _only(list),
    "map": _only(dict),
    "dyn": _dyn,
}
