"""Values between rows and replies: one input as JSON, one output row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from pointsman.base.errors import EvalError, InvalidReply
from pointsman.cel.values import article, to_json, type_name

__all__ = ["json_value", "rows_along", "spelled"]


def json_value(name: str, value: Any, place: int, bad: dict[int, str]) -> Any:
    """`value` of an input as JSON-like; one that has no such form adds to `bad`, which spoils its row."""
    kind = value.__class__
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if value - value != 0.0:
            bad.setdefault(place, f"input '{name}' is not finite, which JSON cannot carry")
        return value
    try:
        return msgspec.to_builtins(value, enc_hook=to_json, str_keys=True)
    except (EvalError, TypeError, ValueError, RecursionError):
        bad.setdefault(place, f"input '{name}' is {_what(value)}, which JSON cannot carry")
        return None


def _what(value: Any) -> str:
    try:
        return article(type_name(value))
    except EvalError:
        return "without a usable value"


def rows_along(
    model: str, name: str, values: Sequence[Any], shape: Sequence[int], n: int | None
) -> Sequence[Any]:
    """One output as a JSON-like value for each row, which lie along its first axis.

    Args:
        model: The model's name, for messages.
        name: The output's name.
        values: Its elements in row-major order, as many as the shape says.
        shape: With the batch axis first: a row of [rows] is a value, of [rows, 3] a list of three.
        n: How many rows were sent; None where the model knows no batch axis, and all of it is one row's.

    Raises:
        InvalidReply: Its first axis is not `n`.
    """
    if n is None:
        return [_nested(values, shape)]
    if not shape or shape[0] != n:
        found = spelled(tuple(shape))
        raise InvalidReply(f"model '{model}': output '{name}' is {found}, expected {n} along its first axis")
    if len(shape) == 1:
        return values
    if len(shape) == 2:
        size = shape[1]
        return [list(values[at : at + size]) for at in range(0, n * size, size)] if size else [[]] * n
    whole: list[Any] = _nested(values, shape)
    return whole


def _nested(values: Sequence[Any], shape: Sequence[int]) -> Any:
    """The elements in lists of lists, as the shape says."""
    if not shape:
        return values[0]
    if len(shape) == 1:
        return list(values)
    size = math.prod(shape[1:])
    return [_nested(values[at * size : (at + 1) * size], shape[1:]) for at in range(shape[0])]


def spelled(shape: Sequence[int]) -> str:
    """A shape as people read it; less than 0 is any size."""
    return "[" + ", ".join("any" if n < 0 else str(n) for n in shape) + "]"
