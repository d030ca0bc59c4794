"""Equality, order and `in`.

Numbers compare across int, uint and double by value, bool is no number; lists and maps compare by value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.faults import Exhausted, no_overload
from pointsman.cel.values import (
    FALSE_KEY,
    INT_MAX,
    INT_MIN,
    MISSING,
    TRUE_KEY,
    Duration,
    Mistyped,
    Optional,
    Timestamp,
    TypeValue,
    Uint,
    article,
    type_name,
)

__all__ = [
    "WALK_LIMIT",
    "contains",
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "not_equal",
    "number",
    "same_number",
]

WALK_LIMIT: Final = 100_000
"""Elements that one comparison of lists and maps may visit."""


def number(value: Any) -> bool:
    """Returns whether `value` is an int, uint or double; raises for an integer beyond 64 bits."""
    kind = value.__class__
    if kind is int:
        if INT_MIN <= value <= INT_MAX:
            return True
        raise EvalError("the value is an integer beyond 64 bits")
    return kind is float or kind is Uint


def same_number(a: Any, b: Any) -> bool:
    """Returns whether two numbers are equal; an integer meets a double as a double, as CEL has it."""
    if a.__class__ is float or b.__class__ is float:
        return float(a) == float(b)
    return bool(a == b)


def equal(a: Any, b: Any) -> bool:
    """Returns `a == b`: values of different types are different, numbers compare by value."""
    kind = a.__class__
    if kind is b.__class__ and kind in _ATOMS:
        return bool(a == b)
    return _equal(a, b, [WALK_LIMIT])


_ATOMS: Final = frozenset({str, bytes, bool, float, Timestamp, Duration, TypeValue, type(None)})
"""Classes whose values Python compares among themselves as CEL does."""


def _equal(a: Any, b: Any, budget: list[int]) -> bool:
    left, right = a.__class__, b.__class__
    if left is str or left is bytes or left is bool or a is None:
        if b is MISSING or right is Mistyped:
            type_name(b)
        return left is right and bool(a == b)
    if number(a):
        return number(b) and same_number(a, b)
    if left is Optional:
        if right is not Optional or a.present is not b.present:
            return False
        return not a.present or _equal(a.value, b.value, budget)
    if a is MISSING or left is Mistyped or b is MISSING or right is Mistyped:
        type_name(a)
        type_name(b)
    budget[0] -= 1
    if budget[0] < 0:
        raise Exhausted("comparison of too many elements")
    if left is list:
        if right is not list or len(a) != len(b):
            return False
        budget[0] -= len(a)
        return all(_equal(x, y, budget) for x, y in zip(a, b, strict=True))
    if left is dict or isinstance(a, Mapping):
        if not isinstance(b, Mapping) or len(a) != len(b):
            return False
        budget[0] -= len(a)
        return all(key in b and _equal(value, b[key], budget) for key, value in a.items())
    return left is right and bool(a == b)


def not_equal(a: Any, b: Any) -> bool:
    """Returns `a != b`."""
    return not equal(a, b)


_ORDERED: Final = frozenset({str, bytes, bool, float, Timestamp, Duration})


def _numbers(a: Any, b: Any, operation: str) -> tuple[Any, Any]:
    """Returns two numbers as Python orders them like CEL; raises for what has no order."""
    if number(a) and number(b):
        return (float(a), float(b)) if a.__class__ is float or b.__class__ is float else (a, b)
    left, right = article(type_name(a)), article(type_name(b))
    raise EvalError(f"no such overload: {left} and {right} cannot be compared with {operation}")


def less(a: Any, b: Any) -> bool:
    """Returns `a < b`."""
    if a.__class__ is not b.__class__ or a.__class__ not in _ORDERED:
        a, b = _numbers(a, b, "<")
    return bool(a < b)


def less_equal(a: Any, b: Any) -> bool:
    """Returns `a <= b`."""
    if a.__class__ is not b.__class__ or a.__class__ not in _ORDERED:
        a, b = _numbers(a, b, "<=")
    return bool(a <= b)


def greater(a: Any, b: Any) -> bool:
    """Returns `a > b`."""
    if a.__class__ is not b.__class__ or a.__class__ not in _ORDERED:
        a, b = _numbers(a, b, ">")
    return bool(a > b)


def greater_equal(a: Any, b: Any) -> bool:
    """Returns `a >= b`."""
    if a.__class__ is not b.__class__ or a.__class__ not in _ORDERED:
        a, b = _numbers(a, b, ">=")
    return bool(a >= b)


def contains(element: Any, container: Any) -> bool:
    """Returns `element in container`: of a list's elements, or of a map's keys."""
    if container.__class__ is list:
        budget = [WALK_LIMIT]
        return any(_equal(element, other, budget) for other in container)
    if isinstance(container, Mapping):
        kind = element.__class__
        if kind is str or number(element):
            return element in container
        if kind is bool:
            return (TRUE_KEY if element else FALSE_KEY) in container
    raise no_overload("in", element, container)
