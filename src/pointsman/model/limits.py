"""How many requests may be under way at once, and how many may begin in a second."""

from __future__ import annotations

from math import inf
from typing import Final

__all__ = ["BURST", "Limits"]

BURST: Final = 0.1
"""Seconds' worth of requests that a rate lets begin at once, after a pause; at least one."""


class Limits:
    """Counts requests against a concurrency and a rate. Does not wait, and is told the time.

    The rate is the generic cell rate algorithm: one number, the moment at which the bucket is empty.

    Attributes:
        under_way: Requests that have entered and not left.

    References:
        ITU-T I.371, annex A.1: GCRA, virtual scheduling.
    """

    __slots__ = ("_ahead", "_gap", "_most", "_next", "under_way")

    def __init__(self, concurrency: int | None = None, rate: float | None = None) -> None:
        """Args:
        concurrency: Requests under way at once; None for no bound.
        rate: Requests a second; None for no bound.
        """
        self._most = inf if concurrency is None else concurrency
        self._gap = 0.0 if rate is None else 1.0 / rate
        self._ahead = 0.0 if rate is None else max(0.0, BURST - self._gap)
        self._next = -inf
        self.under_way = 0

    def ready(self, now: float) -> float:
        """When one more may enter: `now`, a later moment, or infinity: not before one leaves."""
        if self.under_way >= self._most:
            return inf
        return now if now >= self._next - self._ahead else self._next - self._ahead

    def enter(self, now: float) -> None:
        """One begins; only where `ready` says so."""
        self.under_way += 1
        if self._gap:
            self._next = max(now, self._next) + self._gap

    def leave(self) -> None:
        """One has ended."""
        self.under_way -= 1
