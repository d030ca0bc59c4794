"""Rows of values as maps by name, with code written once for the names instead of a loop for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["mapper"]


def mapper(names: Sequence[str]) -> Callable[[Iterable[Sequence[Any]]], list[dict[str, Any]]]:
    """A function from rows of values, in the order of `names`, to maps by name.

    Examples:
        >>> mapper(["amount", "device"])([(1.5, "iOS"), (2.0, None)])
        [{'amount': 1.5, 'device': 'iOS'}, {'amount': 2.0, 'device': None}]
        >>> mapper([])([(), ()])
        [{}, {}]
    """
    values = [f"v{n}" for n in range(len(names))]
    members = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=True))
    text = f"lambda rows: [{{{members}}} for [{', '.join(values)}] in rows]"
    made: Callable[[Iterable[Sequence[Any]]], list[dict[str, Any]]] = eval(
        text
    )  # literals of our own writing
    return made
