"""Conditions: `!`, and `&&` and `||` that absorb errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pointsman.base.errors import EvalError
from pointsman.cel.functions.faults import Exhausted, no_overload
from pointsman.cel.values import article, type_name

__all__ = ["all_of", "any_of", "boolean", "not_true"]


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
