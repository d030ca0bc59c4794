"""Quantiles of a stream in little memory: DDSketch.

A value falls into bin `ceil(log(x) / log(gamma))`, `gamma = (1 + a) / (1 - a)`, and each bin is told by the
one value that is within the relative error `a` of everything in it. Sketches add up, so a window's quantile
is that of its sub-buckets' sketches.

References:
    C. Masson, J. E. Rim, H. K. Lee: DDSketch: A fast and fully-mergeable quantile sketch with relative-error
    guarantees. PVLDB 12 (12), 2019. https://arxiv.org/abs/1908.10693
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, exp, log
from sys import float_info
from typing import Final

import msgspec

__all__ = ["ERROR", "DDSketch", "merged", "quantile"]

ERROR: Final = 0.01
"""Relative error of a quantile."""

MOST_BYTES: Final = 960
"""A sketch's bytes; one that would have more joins its two lowest bins, and low quantiles come out too high.
That is some 300 bins of few values each: values within a factor of 400."""

_GAMMA: Final = (1 + ERROR) / (1 - ERROR)
_LOG: Final = log(_GAMMA)
_MIDDLE: Final = log(2 / (1 + _GAMMA))
_MOST: Final = log(float_info.max)
_ORIGIN: Final = 40_000
"""Added to a bin's index, so that the sign of a bin's number is that of its values, and 0 is zero's."""
_TINY: Final = 1e-300
_FEW: Final = 90
"""So many bins have room whatever their counts."""
_LONGER: Final = frozenset({1 << 7, 1 << 8, 1 << 16, 1 << 32})
"""Counts that take more bytes than the one before."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


class DDSketch:
    """The bins of some values.

    Attributes:
        bins: How many values each bin has.
        changed: Whether a value was added since this was last set to False.
    """

    __slots__ = ("bins", "changed")

    def __init__(self, bins: dict[int, int] | None = None) -> None:
        self.bins = bins or {}
        self.changed = False

    def add(self, value: float) -> None:
        """Counts a finite number."""
        bins, number = self.bins, _bin(value)
        self.changed = True
        found = bins.get(number, 0) + 1
        bins[number] = found
        if len(bins) > _FEW and (found == 1 or found in _LONGER):
            while len(self.data()) > MOST_BYTES:
                self._join()

    def _join(self) -> None:
        lowest, second = sorted(self.bins)[:2]
        self.bins[second] += self.bins.pop(lowest)

    def data(self) -> bytes:
        """The sketch as bytes, at most MOST_BYTES; the same bins give the same."""
        flat: list[int] = []
        last = 0
        for number in sorted(self.bins):
            flat += (number - last, self.bins[number])
            last = number
        return _encode(flat)

    @classmethod
    def of(cls, data: bytes) -> DDSketch:
        """The sketch that `data` was made of."""
        flat = _decode(data)
        bins, number = {}, 0
        for step, count in zip(flat[::2], flat[1::2], strict=True):
            number += step
            bins[number] = count
        return cls(bins)


def merged(sketches: Iterable[DDSketch | None], before: Mapping[int, int] | None = None) -> dict[int, int]:
    """The bins of several sketches, and those before them, together."""
    found: dict[int, int] = dict(before or {})
    for sketch in sketches:
        if sketch is not None:
            for number, count in sketch.bins.items():
                found[number] = found.get(number, 0) + count
    return found


def quantile(bins: Mapping[int, int], last: DDSketch | None, q: float) -> float | None:
    """The value below which the share `q` of all lies, within ERROR; None where there is none.

    Args:
        bins: The bins of what came before `last`.
        q: In [0, 1]; of n values in order it names the one at place q * (n - 1), rounded down.
    """
    if last is not None:
        found = dict(bins)
        for number, count in last.bins.items():
            found[number] = found.get(number, 0) + count
        bins = found
    total = sum(bins.values())
    if not total:
        return None
    rank, below = q * (total - 1), 0
    for number in sorted(bins):
        below += bins[number]
        if below > rank:
            break
    return _value(number)


def _bin(value: float) -> int:
    if value > _TINY:
        return ceil(log(value) / _LOG) + _ORIGIN
    if value < -_TINY:
        return -ceil(log(-value) / _LOG) - _ORIGIN
    return 0


def _value(number: int) -> float:
    """The one value that stands for a bin."""
    if number == 0:
        return 0.0
    size = exp(min(_MOST, (abs(number) - _ORIGIN) * _LOG + _MIDDLE))
    return size if number > 0 else -size
