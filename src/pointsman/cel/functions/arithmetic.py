"""Arithmetic on numbers and times, and joining; what leaves 64 bits is an error."""

from __future__ import annotations

import math
from typing import Any

from pointsman.base.errors import EvalError
from pointsman.cel.functions.faults import fits, no_overload
from pointsman.cel.values import INT_MAX, INT_MIN, UINT_MAX, Duration, Timestamp, Uint

__all__ = ["add", "divide", "modulo", "multiply", "negate", "ratio", "subtract"]


def _int(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvalError("return error for overflow: the int does not fit 64 bits")


def _uint(value: int) -> Uint:
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise EvalError("return error for overflow: the uint does not fit 64 bits")


def _span(ns: int) -> Duration:
    """Returns the result of arithmetic on times; the specification bounds it to 64 bits of nanoseconds."""
    if INT_MIN <= ns <= INT_MAX:
        return Duration(ns)
    raise EvalError("range error: the duration is longer than 292 years")


def add(a: Any, b: Any) -> Any:
    """Returns `a + b`."""
    left, right = a.__class__, b.__class__
    if left is right:
        if left is float:
            return a + b
        if left is int:
            return _int(_int(a) + _int(b))
        if left is str or left is list or left is bytes:
            fits(len(a) + len(b))
            return a + b
        if left is Uint:
            return _uint(int(a) + int(b))
        if left is Duration:
            return _span(a.ns + b.ns)
    elif (left is Timestamp and right is Duration) or (left is Duration and right is Timestamp):
        return Timestamp.checked(a.ns + b.ns)
    raise no_overload("+", a, b)


def subtract(a: Any, b: Any) -> Any:
    """Returns `a - b`."""
    left, right = a.__class__, b.__class__
    if left is right:
        if left is float:
            return a - b
        if left is int:
            return _int(_int(a) - _int(b))
        if left is Uint:
            return _uint(int(a) - int(b))
        if left is Duration or left is Timestamp:
            return _span(a.ns - b.ns)
    elif left is Timestamp and right is Duration:
        return Timestamp.checked(a.ns - b.ns)
    raise no_overload("-", a, b)


def multiply(a: Any, b: Any) -> Any:
    """Returns `a * b`."""
    kind = a.__class__
    if kind is b.__class__:
        if kind is float:
            return a * b
        if kind is int:
            return _int(_int(a) * _int(b))
        if kind is Uint:
            return _uint(int(a) * int(b))
    raise no_overload("*", a, b)


def ratio(a: float, b: float) -> float:
    """Returns the quotient of two doubles; a zero divisor gives an infinity or NaN."""
    try:
        return a / b
    except ZeroDivisionError:
        if a != a or a == 0:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)


def divide(a: Any, b: Any) -> Any:
    """Returns `a / b`; integers truncate towards zero."""
    kind = a.__class__
    if kind is b.__class__:
        if kind is float:
            return ratio(a, b)
        if kind is int or kind is Uint:
            if b == 0:
                raise EvalError("divide by zero")
            quotient = abs(a) // abs(b)
            if kind is Uint:
                return Uint(quotient)
            return _int(quotient if (a < 0) == (b < 0) else -quotient)
    raise no_overload("/", a, b)


def modulo(a: Any, b: Any) -> Any:
    """Returns `a % b`, with the sign of `a`."""
    kind = a.__class__
    if kind is b.__class__ and (kind is int or kind is Uint):
        if b == 0:
            raise EvalError("modulus by zero")
        if a == INT_MIN and b == -1:
            raise EvalError("return error for overflow: the int does not fit 64 bits")
        rest = abs(a) % abs(b)
        return Uint(rest) if kind is Uint else -rest if a < 0 else rest
    raise no_overload("%", a, b)


def negate(a: Any) -> Any:
    """Returns `-a`."""
    if a.__class__ is float:
        return -a
    if a.__class__ is int:
        return _int(-a)
    raise no_overload("-", a)
