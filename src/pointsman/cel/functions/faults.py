"""Errors that functions raise, and the bounds on what an expression may build."""

from __future__ import annotations

from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.values import INT_MAX, INT_MIN, article, type_name

__all__ = ["SIZE_LIMIT", "Exhausted", "checked", "fail", "fits", "no_overload", "unbound", "unknown"]

SIZE_LIMIT: Final = 1_000_000
"""Characters of a string, or elements of a list, that an expression may build."""


class Exhausted(EvalError):
    """An expression needs more steps or memory than it may have; `&&` and `||` do not absorb it."""


def no_overload(operation: str, *values: Any) -> EvalError:
    """Returns the error for an operation on values of types that it does not take."""
    kinds = [article(type_name(value)) for value in values]
    if len(kinds) == 1:
        return EvalError(f"no such overload: {operation} does not take {kinds[0]}")
    return EvalError(f"no such overload: {operation} does not take {', '.join(kinds[:-1])} and {kinds[-1]}")


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


def fits(size: int) -> None:
    """Raises where a string or list of `size` would be too large to build."""
    if size > SIZE_LIMIT:
        raise Exhausted(f"the expression builds a value of more than {SIZE_LIMIT:,} characters or elements")
