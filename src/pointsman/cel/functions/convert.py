"""Conversions between types, `size`, `type` and `dyn`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.faults import checked, no_overload
from pointsman.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    article,
    type_name,
)

__all__ = ["FUNCTIONS", "double_text", "to_string"]

_INT: Final = re.compile(r"\s*[+-]?\d{1,40}\s*", re.ASCII)
_UINT: Final = re.compile(r"\s*\+?\d{1,40}\s*", re.ASCII)
_DOUBLE: Final = re.compile(
    r"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)\s*", re.ASCII | re.IGNORECASE
)
_TRUE: Final = frozenset({"1", "t", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "false", "FALSE", "False"})


def to_int(value: Any) -> int:
    """Returns `int(value)`: doubles truncate towards zero, timestamps give seconds."""
    kind = value.__class__
    if kind is int:
        return int(checked(value, "the value"))
    if kind is Uint:
        number = int(value)
    elif kind is float:
        if not math.isfinite(value) or not float(INT_MIN) < value < float(INT_MAX):
            raise EvalError("range error: the double does not fit an int")
        number = int(value)
    elif kind is str:
        if _INT.fullmatch(value) is None:
            raise EvalError(f"cannot convert '{value[:40]}' to int")
        number = int(value)
    elif kind is bool:
        number = int(value)
    elif kind is Timestamp:
        number = value.ns // 1_000_000_000
    else:
        raise no_overload("int()", value)
    if INT_MIN <= number <= INT_MAX:
        return number
    raise EvalError("range error: the value does not fit an int")


def to_uint(value: Any) -> Uint:
    """Returns `uint(value)`; doubles truncate towards zero."""
    kind = value.__class__
    if kind is Uint:
        return value  # type: ignore[no-any-return]  # its class was just compared
    if kind is int:
        number = value
    elif kind is float:
        if not 0 <= value < 2.0**64:
            raise EvalError("range error: the double does not fit a uint")
        number = int(value)
    elif kind is str:
        if _UINT.fullmatch(value) is None:
            raise EvalError(f"cannot convert '{value[:40]}' to uint")
        number = int(value)
    else:
        raise no_overload("uint()", value)
    if 0 <= number <= UINT_MAX:
        return Uint(number)
    raise EvalError("range error: the value does not fit a uint")


def to_double(value: Any) -> float:
    """Returns `double(value)`."""
    kind = value.__class__
    if kind is float:
        return value  # type: ignore[no-any-return]  # its class was just compared
    if kind is int or kind is Uint:
        return float(checked(value, "the value"))
    if kind is str:
        if len(value) > 1_000 or _DOUBLE.fullmatch(value) is None:
            raise EvalError(f"cannot convert '{value[:40]}' to double")
        return float(value)
    raise no_overload("double()", value)


def double_text(value: float) -> str:
    """Returns a double as text: the shortest that reads back the same, with an exponent from a million on."""
    text = repr(value).removesuffix(".0")
    if not math.isfinite(value) or value == 0 or 1e-4 <= abs(value) < 1e6:
        return text
    digits, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = digits.partition(".")
    power = int(exponent or 0) + len(whole) - 1
    shown = (whole + fraction).rstrip("0")
    mantissa = f"{shown[0]}.{shown[1:]}" if len(shown) > 1 else shown
    return f"{'-' if value < 0 else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def to_string(value: Any) -> str:
    """Returns `string(value)`."""
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[no-any-return]  # its class was just compared
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is Uint:
        return str(int(checked(value, "the value")))
    if kind is float:
        return double_text(value)
    if kind is bytes:
        try:
            return str(value.decode())
        except UnicodeDecodeError:
            raise EvalError("invalid UTF-8: the bytes are no text") from None
    if kind is Timestamp or kind is Duration:
        return str(value)
    raise no_overload("string()", value)


def to_bytes(value: Any) -> bytes:
    """Returns `bytes(value)`: a string's UTF-8."""
    if value.__class__ is bytes:
        return value
    if value.__class__ is str:
        return bytes(value.encode())
    raise no_overload("bytes()", value)


def to_bool(value: Any) -> bool:
    """Returns `bool(value)`: of a bool, or of text such as `true`, `f`, `1`."""
    if value.__class__ is bool:
        return bool(value)
    if value.__class__ is str:
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise EvalError(f"Type conversion error: '{value[:40]}' is not a bool")
    raise no_overload("bool()", value)


def size(value: Any) -> int:
    """Returns `size(value)`: code points, bytes, elements or entries."""
    kind = value.__class__
    if kind is str or kind is bytes or kind is list or kind is dict or isinstance(value, Mapping):
        return len(value)
    raise no_overload("size()", value)


def type_of(value: Any) -> TypeValue:
    """Returns `type(value)`."""
    return TypeValue(type_name(value))


def same(value: Any) -> Any:
    """Returns `dyn(value)`: the value, its type no longer known to the checker."""
    return value


def null(value: Any) -> None:
    """Returns null of null; `null_type` has no other value."""
    if value is not None:
        raise EvalError(f"no such overload: null_type() does not take {article(type_name(value))}")


FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "int": (to_int, "int"),
    "uint": (to_uint, "uint"),
    "double": (to_double, "double"),
    "string": (to_string, "string"),
    "bytes": (to_bytes, "bytes"),
    "bool": (to_bool, "bool"),
    "size": (size, "int"),
    "type": (type_of, "type"),
    "dyn": (same, "dyn"),
    "null_type": (null, "null"),
}
