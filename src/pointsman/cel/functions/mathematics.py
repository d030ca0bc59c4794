"""The math extension: `math.greatest`, rounding, signs and bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.comparison import greater, less, number
from pointsman.cel.functions.faults import no_overload
from pointsman.cel.values import INT_MIN, UINT_MAX, Uint

__all__ = ["FUNCTIONS"]


def _extreme(name: str, better: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    def pick(*values: Any) -> Any:
        if len(values) == 1 and values[0].__class__ is list:
            values = tuple(values[0])
            if not values:
                raise EvalError(f"{name}() needs at least one number")
        for value in values:
            if not number(value):
                raise no_overload(f"{name}()", value)
        best = values[0]
        for value in values[1:]:
            if better(value, best):
                best = value
        return best

    return pick


def _on_double(name: str, run: Callable[[float], Any]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if value.__class__ is float:
            return run(value)
        raise no_overload(f"{name}()", value)

    return apply


def _whole(run: Callable[[float], float]) -> Callable[[float], float]:
    """Returns `run` for finite doubles; infinities and NaN stay as they are."""
    return lambda value: math.copysign(float(run(value)), value) if math.isfinite(value) else value


def _round(value: float) -> float:
    """Rounds half away from zero."""
    whole = math.floor(abs(value))
    return float(whole + (abs(value) - whole >= 0.5)) * (1 if value >= 0 else -1)


def absolute(value: Any) -> Any:
    """Returns `math.abs(value)`."""
    if value.__class__ is int and value == INT_MIN:
        raise EvalError("overflow: the absolute value does not fit 64 bits")
    if number(value):
        return value if value.__class__ is Uint else abs(value)
    raise no_overload("math.abs()", value)


def sign(value: Any) -> Any:
    """Returns `math.sign(value)`: -1, 0 or 1 of the value's own type."""
    if not number(value):
        raise no_overload("math.sign()", value)
    if value != value:
        return value
    return value.__class__((value > 0) - (value < 0))


def square_root(value: Any) -> float:
    """Returns `math.sqrt(value)`; NaN of a negative number."""
    if not number(value):
        raise no_overload("math.sqrt()", value)
    return math.sqrt(value) if value >= 0 else math.nan


def _bits(name: str, run: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        if a.__class__ is b.__class__ and (a.__class__ is int or a.__class__ is Uint):
            number(a)
            number(b)
            return a.__class__(run(int(a), int(b)))
        raise no_overload(f"{name}()", a, b)

    return apply


def bit_not(value: Any) -> Any:
    """Returns `math.bitNot(value)`."""
    if value.__class__ is int:
        return ~value
    if value.__class__ is Uint:
        return Uint(UINT_MAX - value)
    raise no_overload("math.bitNot()", value)


def _as_int(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits


def _shift(name: str, run: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    def apply(value: Any, by: Any) -> Any:
        kind = value.__class__
        if by.__class__ is not int or not (kind is int or kind is Uint):
            raise no_overload(f"{name}()", value, by)
        if by < 0:
            raise EvalError(f"{name}() negative offset: {by}")
        if by > 63:
            return kind(0)
        bits = run(int(value) & UINT_MAX, by) & UINT_MAX
        return Uint(bits) if kind is Uint else _as_int(bits)

    return apply


FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "math.@max": (_extreme("math.greatest", greater), "dyn"),
    "math.@min": (_extreme("math.least", less), "dyn"),
    "math.ceil": (_on_double("math.ceil", _whole(math.ceil)), "double"),
    "math.floor": (_on_double("math.floor", _whole(math.floor)), "double"),
    "math.round": (_on_double("math.round", _whole(_round)), "double"),
    "math.trunc": (_on_double("math.trunc", _whole(math.trunc)), "double"),
    "math.isNaN": (_on_double("math.isNaN", math.isnan), "bool"),
    "math.isInf": (_on_double("math.isInf", math.isinf), "bool"),
    "math.isFinite": (_on_double("math.isFinite", math.isfinite), "bool"),
    "math.abs": (absolute, "dyn"),
    "math.sign": (sign, "dyn"),
    "math.sqrt": (square_root, "double"),
    "math.bitAnd": (_bits("math.bitAnd", lambda a, b: a & b), "dyn"),
    "math.bitOr": (_bits("math.bitOr", lambda a, b: a | b), "dyn"),
    "math.bitXor": (_bits("math.bitXor", lambda a, b: a ^ b), "dyn"),
    "math.bitNot": (bit_not, "dyn"),
    "math.bitShiftLeft": (_shift("math.bitShiftLeft", lambda a, by: a << by), "dyn"),
    "math.bitShiftRight": (_shift("math.bitShiftRight", lambda a, by: a >> by), "dyn"),
}
