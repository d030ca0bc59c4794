"""The checks of data quality: each looks at some values of an event and says how much is as it should be.

A check gives a share in [0, 1] and notes a reason for whatever it finds wrong; None where there was nothing
to judge. Values are those of expressions: MISSING where one has none, Mistyped where a declared type is not
kept.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, Final

from pointsman.cel.values import MISSING, Mistyped, article, type_name

__all__ = ["Share", "category", "complete", "fresh", "matching", "outlying", "typed", "within"]

Share = float | None
Check = Callable[[Sequence[Any], list[str]], Share]
"""From the values of the check's own expressions, and the reasons so far."""

_SHOWN: Final = 40


def complete(names: Sequence[str]) -> Check:
    """Each value is there and not null."""

    def check(values: Sequence[Any], reasons: list[str]) -> Share:
        gone = [name for name, value in zip(names, values, strict=True) if value is MISSING or value is None]
        reasons += [f"{name} is missing" for name in gone]
        return 1.0 - len(gone) / len(names)

    return check


def within(names: Sequence[str], bounds: Sequence[tuple[float, float]]) -> Check:
    """Each number that is there lies in its range, its ends included."""

    def check(values: Sequence[Any], reasons: list[str]) -> Share:
        judged = good = 0
        for name, (low, high), value in zip(names, bounds, values, strict=True):
            if value is MISSING or value is None:
                continue
            judged += 1
            if value.__class__ in (int, float) and low <= value <= high:
                good += 1
            else:
                reasons.append(f"{name} is {shown(value)}, outside of {low:g} to {high:g}")
        return good / judged if judged else None

    return check


def matching(names: Sequence[str], patterns: Sequence[Any]) -> Check:
    """Each text that is there holds a match of its regular expression (RE2), as CEL's `matches` has it."""

    def check(values: Sequence[Any], reasons: list[str]) -> Share:
        judged = good = 0
        for name, pattern, value in zip(names, patterns, values, strict=True):
            if value is MISSING or value is None:
                continue
            judged += 1
            if value.__class__ is str and pattern.search(value):
                good += 1
            else:
                reasons.append(f"{name} is {shown(value)}, which does not match {pattern.pattern}")
        return good / judged if judged else None

    return check


def typed(names: Sequence[str], kinds: Sequence[str]) -> Check:
    """Each value that is there has its type; a whole number is a double, too."""

    def check(values: Sequence[Any], reasons: list[str]) -> Share:
        judged = good = 0
        for name, kind, value in zip(names, kinds, values, strict=True):
            if value is MISSING or value is None:
                continue
            judged += 1
            if _is(value, kind):
                good += 1
            else:
                reasons.append(f"{name} is {_kind(value)}, not {article(kind)}")
        return good / judged if judged else None

    return check


def fresh(age_ms: int, most_ms: int, reasons: list[str]) -> float:
    """An event is as old as is allowed or younger; else the share is what is allowed of what it is."""
    if age_ms <= most_ms:
        return 1.0
    reasons.append(f"the event is {age_ms / 1000:g} s old, {most_ms / 1000:g} s are allowed")
    return most_ms / age_ms


def category(name: str, value: Any, known: Any, reasons: list[str]) -> bool:
    """A value is among those known."""
    if value in known:
        return True
    reasons.append(f"{name} is {shown(value)}, which was not seen before")
    return False


def outlying(name: str, value: float, seen: Sequence[float], most: float, reasons: list[str]) -> bool:
    """How far a number is from the median of those seen, in robust standard deviations, is more than `most`.

    The robust z-score is 0.6745 · |x - median| / MAD (Iglewicz and Hoaglin 1993). Where more than half of
    what was seen is one value, MAD is 0, and the mean absolute deviation · 1.2533 stands for it.
    """
    middle = statistics.median(seen)
    spread = statistics.median([abs(x - middle) for x in seen]) / 0.6745
    if not spread:
        spread = 1.253314 * sum(abs(x - middle) for x in seen) / len(seen)
    distance = abs(value - middle)
    if not distance or (spread and distance / spread <= most):
        return False
    far = f"{distance / spread:.1f} robust standard deviations" if spread else "far"
    reasons.append(f"{name} is {value:g}, {far} from the median {middle:g}")
    return True


def shown(value: Any) -> str:
    """A value in a reason, cut where it is long."""
    if isinstance(value, Mistyped):
        value = value.value
    text = (
        f"'{value}'" if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
    )
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda v: isinstance(v, str),
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "double": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "bool": lambda v: isinstance(v, bool),
    "bytes": lambda v: isinstance(v, bytes),
    "list": lambda v: isinstance(v, (list, tuple)),
    "map": lambda v: isinstance(v, dict),
    "dyn": lambda _: True,
}


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, Mistyped):
        return False
    check = _TYPES.get(kind)
    return check(value) if check else type_name(value).rpartition(".")[2].lower() == kind


def _kind(value: Any) -> str:
    return article(type_name(value.value if isinstance(value, Mistyped) else value))
