"""Operators with CEL's meaning, where Python's own would differ or would not say what was wrong.

Numbers compare across int, uint and double by value; bool is no number; int and uint overflow is an error;
lists and maps compare by value; a `no such overload` names the types it found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.values import (
    FALSE_KEY,
    INT_MAX,
    INT_MIN,
    MISSING,
    TRUE_KEY,
    UINT_MAX,
    Duration,
    Mistyped,
    Optional,
    Timestamp,
    BoolKey,
    Uint,
    article,
    key_in,
    type_name,
)

__all__ = [
    "Exhausted",
    "add",
    "all_of",
    "any_of",
    "boolean",
    "contains",
    "divide",
    "equal",
    "fail",
    "field",
    "fits",
    "greater",
    "greater_equal",
    "has",
    "index",
    "less",
    "less_equal",
    "make_map",
    "map_key",
    "maybe_field",
    "modulo",
    "multiply",
    "need",
    "negate",
    "no_overload",
    "not_equal",
    "not_true",
    "number",
    "ratio",
    "spread",
    "spread_entry",
    "subtract",
    "unbound",
    "unknown",
]

SIZE_LIMIT: Final = 1_000_000
"""Characters of a string, or elements of a list, that an expression may build."""

WALK_LIMIT: Final = 1_000_000
"""Elements that one comparison of lists and maps may visit."""


class Exhausted(EvalError):
    """An expression needs more steps or memory than it may have; `&&` and `||` do not absorb it."""


def no_overload(operation: str, *values: Any) -> EvalError:
    """Returns the error for an operation on values of types that it does not take."""
    kinds = [article(type_name(value)) for value in values]
    if len(kinds) == 1:
        return EvalError(f"no such overload: {operation} does not take {kinds[0]}")
    return EvalError(f"no such overload: {operation} does not take {', '.join(kinds[:-1])} and {kinds[-1]}")


# ---- names and members -------------------------------------------------------------------------------


def need(value: Any, path: str) -> Any:
    """Returns a slot's value; raises with the field's name where it has none."""
    if value is MISSING:
        raise EvalError(f"no such field: {path}")
    if value.__class__ is Mistyped:
        raise EvalError(Mistyped(value.value, path, value.declared).complaint())
    if value.__class__ is int and not INT_MIN <= value <= INT_MAX:
        raise EvalError(f"{path} is an integer beyond 64 bits")
    return value


def unknown(name: str) -> Any:
    """Raises: nothing is called `name`."""
    raise EvalError(f"undeclared reference to '{name}'")


def unbound(name: str) -> Any:
    """Raises: no function is called `name`."""
    raise EvalError(f"unbound function: {name}")


def fail(message: str) -> Any:
    """Raises with `message`: what was known to be wrong when the expression was compiled."""
    raise EvalError(message)


def checked(value: Any, name: Any) -> Any:
    """Returns a value taken out of data; an integer beyond 64 bits is an error when used."""
    if value.__class__ is int and not INT_MIN <= value <= INT_MAX:
        raise EvalError(f"{name} is an integer beyond 64 bits")
    return value


def field(operand: Any, name: str) -> Any:
    """Returns `operand.name`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        if name in operand:
            return checked(operand[name], name)
        raise EvalError(f"no such key: {name}")
    if operand.__class__ is Optional:
        return maybe_field(operand, name)
    raise no_overload(f"member '{name}'", operand)


def has(operand: Any, name: str) -> bool:
    """Returns `has(operand.name)`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        return name in operand
    if operand.__class__ is Optional:
        return bool(maybe_field(operand, name).present)
    raise no_overload(f"has(…{name})", operand)


def maybe_field(operand: Any, name: Any) -> Optional:
    """Returns `operand.?name` or `operand[?name]`: the member, or none where it is absent."""
    if operand.__class__ is Optional:
        if not operand.present:
            return operand
        operand = operand.value
    if operand.__class__ is dict or isinstance(operand, Mapping):
        key = key_in(name)
        if key.__class__ in _KEYS and key in operand:
            return Optional(True, checked(operand[key], name))
        need(name, "the key")
        return Optional(False)
    if operand.__class__ is list and name.__class__ is int:
        at = name
        return Optional(True, operand[at]) if 0 <= at < len(operand) else Optional(False)
    raise no_overload(f"member '{name}'", operand)


_KEYS: Final = frozenset({str, int, Uint, float, BoolKey})


def map_key(key: Any) -> Any:
    """Returns `key` as a dict keeps it; raises for what is no key."""
    found = key_in(key)
    if found.__class__ in _KEYS:
        return found
    raise EvalError(f"no such key: {article(type_name(key))} is not a key of a map")


def position(key: Any) -> int:
    """Returns the index that `key` means in a list."""
    kind = key.__class__
    if kind is int or kind is Uint:
        return int(key)
    if kind is float and key.is_integer():
        return int(key)
    raise EvalError(f"invalid_argument: {article(type_name(key))} is not an index of a list")


def index(operand: Any, key: Any) -> Any:
    """Returns `operand[key]`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        found = map_key(key)
        if found in operand:
            return checked(operand[found], key)
        raise EvalError(f"no such key: {key}")
    if operand.__class__ is list:
        at = position(key)
        if 0 <= at < len(operand):
            return checked(operand[at], at)
        raise EvalError(f"invalid_argument: index {at} is outside a list of {len(operand)}")
    if operand.__class__ is Optional:
        return maybe_field(operand, key)
    raise no_overload("indexing", operand, key)


# ---- logic -------------------------------------------------------------------------------------------


def boolean(value: Any) -> bool:
    """Returns a bool; raises for anything else."""
    if value is True or value is False:
        return bool(value)
    raise EvalError(f"no such overload: a bool is needed here, not {article(type_name(value))}")


def not_true(value: Any) -> bool:
    """Returns `!value`."""
    if value is True:
        return False
    if value is False:
        return True
    raise no_overload("!", value)


def all_of(*terms: Callable[[], Any]) -> bool:
    """Returns the `&&` of the terms: false if any is false, else the first error, else true."""
    return _absorb(terms, False)


def any_of(*terms: Callable[[], Any]) -> bool:
    """Returns the `||` of the terms: true if any is true, else the first error, else false."""
    return _absorb(terms, True)


def _absorb(terms: tuple[Callable[[], Any], ...], decisive: bool) -> bool:
    first: Exception | None = None
    for term in terms:
        try:
            value = term()
            if value is decisive:
                return bool(decisive)
            if value is not (not decisive):
                boolean(value)
        except Exhausted:
            raise
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
    return not decisive


# ---- equality and order ------------------------------------------------------------------------------


def number(value: Any) -> bool:
    """Returns whether `value` is an int, uint or double."""
    kind = value.__class__
    if kind is int:
        checked(value, "the value")
        return True
    return kind is float or kind is Uint


def same_number(a: Any, b: Any) -> bool:
    """Returns whether two numbers are equal; an integer meets a double as a double, as CEL has it."""
    if a.__class__ is float or b.__class__ is float:
        return float(a) == float(b)
    return bool(a == b)


def equal(a: Any, b: Any) -> bool:
    """Returns `a == b`: values of different types are different, numbers compare by value."""
    return _equal(a, b, [WALK_LIMIT])


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


_ORDERED: Final = (str, bytes, bool, Timestamp, Duration)


def _ordered(a: Any, b: Any, operation: str) -> tuple[Any, Any]:
    """Returns the two as Python can order them; raises where CEL has no order."""
    if a.__class__ is b.__class__ and a.__class__ in _ORDERED:
        return a, b
    if number(a) and number(b):
        return (float(a), float(b)) if a.__class__ is float or b.__class__ is float else (a, b)
    left, right = article(type_name(a)), article(type_name(b))
    raise EvalError(f"no such overload: {left} and {right} cannot be compared with {operation}")


def less(a: Any, b: Any) -> bool:
    """Returns `a < b`."""
    a, b = _ordered(a, b, "<")
    return bool(a < b)


def less_equal(a: Any, b: Any) -> bool:
    """Returns `a <= b`."""
    a, b = _ordered(a, b, "<=")
    return bool(a <= b)


def greater(a: Any, b: Any) -> bool:
    """Returns `a > b`."""
    a, b = _ordered(a, b, ">")
    return bool(a > b)


def greater_equal(a: Any, b: Any) -> bool:
    """Returns `a >= b`."""
    a, b = _ordered(a, b, ">=")
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


# ---- arithmetic --------------------------------------------------------------------------------------


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


def fits(size: int) -> None:
    """Raises where a string or list of `size` would be too large to build."""
    if size > SIZE_LIMIT:
        raise Exhausted(f"the expression builds a value of more than {SIZE_LIMIT} elements")


def add(a: Any, b: Any) -> Any:
    """Returns `a + b`."""
    left, right = a.__class__, b.__class__
    if left is right:
        if left is float:
            return a + b
        if left is int:
            return _int(checked(a, "an operand") + checked(b, "an operand"))
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
            return _int(checked(a, "an operand") - checked(b, "an operand"))
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
            return _int(checked(a, "an operand") * checked(b, "an operand"))
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
            quotient = abs(checked(a, "an operand")) // abs(checked(b, "an operand"))
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
        rest = abs(checked(a, "an operand")) % abs(checked(b, "an operand"))
        return Uint(rest) if kind is Uint else -rest if a < 0 else rest
    raise no_overload("%", a, b)


def negate(a: Any) -> Any:
    """Returns `-a`."""
    if a.__class__ is float:
        return -a
    if a.__class__ is int:
        return _int(-a)
    raise no_overload("-", a)


def make_map(entries: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Returns the map of a literal; raises for a repeated key or a value that cannot be one."""
    made: dict[Any, Any] = {}
    for key, value in entries:
        kind = key.__class__
        if kind is bool:
            key = TRUE_KEY if key else FALSE_KEY
        elif kind is not str and kind is not int and kind is not Uint:
            raise EvalError(f"unsupported key type: {article(type_name(key))}")
        if key in made:
            raise EvalError(f"Failed with repeated key: {key}")
        made[key] = value
    return made


def spread(value: Any) -> list[Any]:
    """Returns the elements that a `?` element adds to a list: its value, or nothing."""
    if value.__class__ is Optional:
        return [value.value] if value.present else []
    raise no_overload("an optional element", value)


def spread_entry(key: Any, value: Any) -> list[tuple[Any, Any]]:
    """Returns the entries that a `?` entry adds to a map."""
    return [(key, content) for content in spread(value)]
