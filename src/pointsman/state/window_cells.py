"""What a sub-bucket holds: cells, each the running state of one statistic, as text for generated code.

A cell has fields. The current sub-bucket's stand in an entry's `c…`, those of closed ones in its one array,
row after row (sketches in lists `y…`), and what closed ones inside the window give together in `p…`. So a
value is a formula over `p…` and `c…`, and the same stored sub-buckets always give the same value: closed ones
are combined in order, and nothing is ever subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import inf, sqrt
from operator import add

from pointsman.cel.values import MISSING
from pointsman.state.window import NEVER, Aggregate, Window

__all__ = ["HELPERS", "Cell", "Field", "cells_of", "formula"]


@dataclass(frozen=True, slots=True)
class Field:
    """One of a cell's numbers, or its sketch.

    Attributes:
        name: Its own part of the names `c…`, `p…` and `y…`.
        empty: The text of its value without events.
        type: `int` or `float`; the array holds both as floats. Empty for sketches.
    """

    name: str
    empty: str
    type: str


@dataclass(frozen=True, slots=True)
class Cell:
    """The running state of one statistic.

    Attributes:
        kind: `events`, `has`, `numbers`, `sum`, `min`, `max`, `moments`, `last`, `newest`, `distinct` or
            `quantile`.
        value: The place of the value that it is about; None: the event.
        number: Its own.
    """

    kind: str
    value: int | None
    number: int

    @property
    def sketch(self) -> bool:
        """Whether it is stored in a record of its own."""
        return self.kind in ("distinct", "quantile")

    @property
    def fields(self) -> tuple[Field, ...]:
        """Its fields, in stored order."""
        made = _FIELDS[self.kind]
        return tuple(Field(f"{self.number}{name}", empty, kind) for name, empty, kind in made)

    def add(self) -> list[str]:
        """Lines that count an event in the current sub-bucket."""
        n, v = self.number, self.value
        lines = _ADD[self.kind]
        if v is not None:
            condition = f"h{v}" if self.kind in ("has", "newest", "distinct") else f"w{v} is not None"
            lines = [f"if {condition}:", *("    " + line for line in lines)]
        return [line.replace("#", str(n)).replace("@", f"{v}") for line in lines]

    def extend(self) -> list[str]:
        """Lines that add the current sub-bucket to what the closed ones before it give together."""
        return [line.replace("#", str(self.number)) for line in _EXTEND[self.kind]]

    def fold(self, columns: Sequence[str]) -> str:
        """The line that brings together what closed sub-buckets hold, of the texts of its fields' columns."""
        return _FOLD[self.kind].format(*columns).replace("#", str(self.number))


_FIELDS = {
    "events": [("", "0", "int")],
    "has": [("", "0", "int")],
    "numbers": [("", "0", "int")],
    "sum": [("", "0.0", "float")],
    "min": [("", "inf", "float")],
    "max": [("", "-inf", "float")],
    "moments": [("n", "0", "int"), ("m", "0.0", "float"), ("s", "0.0", "float")],
    "last": [("t", str(NEVER), "int"), ("v", "0.0", "float")],
    "newest": [("", str(NEVER), "int")],
    "distinct": [("", "None", "")],
    "quantile": [("", "None", "")],
}
_ADD = {
    "events": ["e.c# += 1"],
    "has": ["e.c# += 1"],
    "numbers": ["e.c# += 1"],
    "sum": ["e.c# += w@"],
    "min": ["if w@ < e.c#:", "    e.c# = w@"],
    "max": ["if w@ > e.c#:", "    e.c# = w@"],
    "moments": [  # Welford
        "e.c#n += 1",
        "d = w@ - e.c#m",
        "e.c#m += d / e.c#n",
        "e.c#s += d * (w@ - e.c#m)",
    ],
    "last": ["if when >= e.c#t:", "    e.c#t, e.c#v = when, w@"],
    "newest": ["if when > e.c#:", "    e.c# = when"],
    "distinct": ["if e.c# is None:", "    e.c# = Distinct()", "e.c#.add(v@)"],
    "quantile": ["if e.c# is None:", "    e.c# = DDSketch()", "e.c#.add(w@)"],
}
_EXTEND = {
    "events": ["e.p# += e.c#"],
    "has": ["e.p# += e.c#"],
    "numbers": ["e.p# += e.c#"],
    "sum": ["e.p# += e.c#"],
    "min": ["if e.c# < e.p#:", "    e.p# = e.c#"],
    "max": ["if e.c# > e.p#:", "    e.p# = e.c#"],
    "moments": ["e.p#n, e.p#m, e.p#s = together((e.p#n, e.c#n), (e.p#m, e.c#m), (e.p#s, e.c#s))"],
    "last": [f"if e.c#t > {NEVER}:", "    e.p#t, e.p#v = e.c#t, e.c#v"],
    "newest": ["if e.c# > e.p#:", "    e.p# = e.c#"],
    "distinct": ["e.p# = united((e.p#, e.c#))"],
    "quantile": ["e.p# = merged((e.c#,), e.p#)"],
}
_FOLD = {
    "events": "e.p# = int(sum({}))",
    "has": "e.p# = int(sum({}))",
    "numbers": "e.p# = int(sum({}))",
    "sum": "e.p# = total({})",
    "min": "e.p# = min({}, default=inf)",
    "max": "e.p# = max({}, default=-inf)",
    "moments": "e.p#n, e.p#m, e.p#s = together({}, {}, {})",
    "last": "e.p#t, e.p#v = newest({}, {})",
    "newest": f"e.p# = int(max({{}}, default={NEVER}))",
    "distinct": "e.p# = united({})",
    "quantile": "e.p# = merged({})",
}

_NEEDS = {
    "count": ("has",),
    "rate": ("has",),
    "sum": ("sum",),
    "mean": ("numbers", "sum"),
    "min": ("min",),
    "max": ("max",),
    "std": ("moments",),
    "last": ("last",),
    "since_last": ("newest",),
    "distinct": ("distinct",),
    "quantile": ("quantile",),
}


def cells_of(window: Window) -> list[Cell]:
    """The cells that a window's aggregates need, each once."""
    found: dict[tuple[str, int | None], Cell] = {}
    for one in window.aggregates:
        for kind in _NEEDS[one.kind]:
            wanted = _cell(kind, one.value)
            found.setdefault(wanted, Cell(*wanted, len(found)))
    return list(found.values())


def _cell(kind: str, value: int | None) -> tuple[str, int | None]:
    return ("events" if kind == "has" and value is None else kind, value)


def formula(one: Aggregate, cells: Sequence[Cell], over: int) -> str:
    """The text of an aggregate's value over an entry `e`; MISSING where it has none."""
    by = {(cell.kind, cell.value): cell.number for cell in cells}
    numbers = [by[_cell(kind, one.value)] for kind in _NEEDS[one.kind]]
    n = str(numbers[-1])
    text = _FORMULA[one.kind].replace("COUNT", f"e.p{numbers[0]} + e.c{numbers[0]}")
    return text.replace("#", n).replace("OVER", repr(over / 1000)).replace("QUANTILE", repr(one.q))


_FORMULA = {
    "count": "e.p# + e.c#",
    "rate": "(e.p# + e.c#) / OVER",
    "sum": "e.p# + e.c#",
    "mean": "((e.p# + e.c#) / n if (n := COUNT) else MISSING)",
    "min": "(m if (m := e.p# if e.p# < e.c# else e.c#) < inf else MISSING)",
    "max": "(m if (m := e.p# if e.p# > e.c# else e.c#) > -inf else MISSING)",
    "std": "deviation(e.p#n, e.p#m, e.p#s, e.c#n, e.c#m, e.c#s)",
    "last": f"(e.c#v if e.c#t > {NEVER} else e.p#v if e.p#t > {NEVER} else MISSING)",
    "since_last": f"(max(0, when - b#) / 1000 if b# > {NEVER} else MISSING)",
    "distinct": "distinct(e.p#, e.c#)",
    "quantile": "(q if (q := quantile(e.p#, e.c#, QUANTILE)) is not None else MISSING)",
}


def total(numbers: Sequence[float]) -> float:
    """The sum in order; the built-in one adds otherwise from Python 3.12 on."""
    return reduce(add, numbers, 0.0)


def together(
    counts: Sequence[float], means: Sequence[float], squares: Sequence[float]
) -> tuple[float, float, float]:
    """Count, mean and sum of squared deviations of several parts, by the pairwise formula in order.

    References:
        T. F. Chan, G. H. Golub, R. J. LeVeque: Updating formulae and a pairwise algorithm for computing
        sample variances. COMPSTAT 1982.
    """
    n, mean, square = 0.0, 0.0, 0.0
    for more, other, rest in zip(counts, means, squares, strict=True):
        if not n:
            n, mean, square = more, other, rest
        elif more:
            delta, both = other - mean, n + more
            mean += delta * more / both
            square += rest + delta * delta * n * more / both
            n = both
    return n, mean, square


def deviation(n: float, mean: float, square: float, more: float, other: float, rest: float) -> object:
    """The sample's standard deviation of two parts; MISSING below two values, and where squares are too large
    for a double."""
    both, _, squares = together((n, more), (mean, other), (square, rest))
    return MISSING if both < 2 or squares - squares != 0.0 else sqrt(max(0.0, squares) / (both - 1))


def newest(times: Sequence[float], values: Sequence[float]) -> tuple[int, float]:
    """The last of the parts that has a value."""
    for place in range(len(times) - 1, -1, -1):
        if times[place] > NEVER:
            return int(times[place]), values[place]
    return NEVER, 0.0


HELPERS = {
    "MISSING": MISSING,
    "deviation": deviation,
    "inf": inf,
    "newest": newest,
    "together": together,
    "total": total,
}
"""What generated text calls."""
