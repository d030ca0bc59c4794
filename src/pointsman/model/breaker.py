"""A circuit breaker: by failure rate and by the share of slow calls, over a sliding window of time.

    closed ──rate reached──► open ──`wait` over──► half-open ──probes good──► closed
                              ▲                        │
                              └──────probes bad────────┘

Nothing here reads a clock or waits: every method is told the time. Who asks `refuses` and hears no, takes a
permit with `enter` and gives it back with `leave`, whatever becomes of the attempt. A permit knows the state
it was given in: what an attempt says that began before the state changed is not held against the new one.

References:
    Nygard, Release It! (2007), chapter 5. The rates, the minimum of calls and the probes are as in
    Resilience4j's CircuitBreaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from pointsman.base.config import Duration, Share, Whole, key

__all__ = ["CLOSED", "HALF_OPEN", "OPEN", "SLOTS", "Breaker", "BreakerKeys", "Window"]

CLOSED: Final = 0
HALF_OPEN: Final = 1
OPEN: Final = 2
"""The states, as telemetry tells them."""

SLOTS: Final = 10
"""Into how many slots a window is cut; a slot is forgotten as a whole."""


@dataclass(frozen=True, slots=True)
class BreakerKeys:
    """When a failing model is left alone for a while."""

    failures: Fraction = key(
        Share(), "The share of attempts that fail at which it opens.", default=Fraction(1, 2), example="50%"
    )
    calls: int = key(
        Whole(1), "Attempts within the window below which it stays shut.", default=20, example="20"
    )
    window: float = key(Duration(), "How far back attempts count.", default=10.0, example="10s")
    slow: float | None = key(
        Duration(), "An attempt that takes longer is slow; left out: none is.", default=None, example="500ms"
    )
    slow_calls: Fraction = key(
        Share(), "The share of slow attempts at which it opens.", default=Fraction(1, 2), example="80%"
    )
    wait: float = key(Duration(), "How long it stays open before it probes.", default=5.0, example="5s")
    probes: int = key(Whole(1), "Attempts that decide whether it closes again.", default=3, example="3")


class Window:
    """Counts over the last `span` seconds, forgotten a tenth at a time.

    Attributes:
        calls: How many in the window, as of the last call of `roll` or `add`.
        bad: How many of them failed.
        slow: How many of them were slow.
    """

    __slots__ = ("_slot", "_slots", "_width", "bad", "calls", "slow")

    def __init__(self, span: float) -> None:
        self._width = span / SLOTS
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._slot = 0
        self._slots = [[0, 0, 0] for _ in range(SLOTS)]
        self.calls = self.bad = self.slow = 0

    def add(self, now: float, bad: int = 0, slow: int = 0) -> None:
        """Counts one."""
        self.roll(now)
        slot = self._slots[self._slot % SLOTS]
        slot[0] += 1
        self.calls += 1
        if bad:
            slot[1] += 1
            self.bad += 1
        if slow:
            slot[2] += 1
            self.slow += 1

    def roll(self, now: float) -> None:
        """Forgets what is too old at `now`."""
        slot = int(now / self._width)
        if slot == self._slot:
            return
        for one in range(max(self._slot, slot - SLOTS) + 1, slot + 1):
            old = self._slots[one % SLOTS]
            self.calls -= old[0]
            self.bad -= old[1]
            self.slow -= old[2]
            old[0] = old[1] = old[2] = 0
        self._slot = slot


class Breaker:
    """Decides whether a model is asked at all.

    Attributes:
        state: CLOSED, OPEN or HALF_OPEN. An open one that may probe again says so only when it is asked.
        opened: How often it has opened.
    """

    __slots__ = (
        "_bad",
        "_ended",
        "_era",
        "_keys",
        "_slow",
        "_started",
        "_until",
        "_window",
        "opened",
        "state",
    )

    def __init__(self, keys: BreakerKeys) -> None:
        self._keys = keys
        self._window = Window(keys.window)
        self._era = 0
        self._until = 0.0
        self._started = self._ended = self._bad = self._slow = 0
        self.state = CLOSED
        self.opened = 0

    def refuses(self, now: float) -> bool:
        """Whether no attempt may begin at `now`."""
        if self.state == CLOSED:
            return False
        if self.state == OPEN:
            return now < self._until
        return self._started >= self._keys.probes

    def enter(self, now: float) -> int:
        """A permit for one attempt; only where `refuses` has just said no."""
        if self.state == OPEN and now >= self._until:
            self._become(HALF_OPEN)
            self._started = self._ended = self._bad = self._slow = 0
        if self.state == HALF_OPEN:
            self._started += 1
        return self._era

    def leave(self, permit: int, now: float, took: float, failed: bool | None) -> None:
        """Hears what became of an attempt.

        Args:
            permit: What `enter` gave.
            now: When it ended.
            took: Seconds that it took.
            failed: Whether it failed in a way that counts; None takes the permit back, as if never given.
        """
        if permit != self._era:
            return
        keys = self._keys
        slow = keys.slow is not None and took > keys.slow
        if self.state == CLOSED:
            if failed is not None:
                window = self._window
                window.add(now, failed, slow)
                if window.calls >= keys.calls and self._too_many(window.bad, window.slow, window.calls):
                    self._open(now)
            return
        if failed is None:
            self._started -= 1
            return
        self._ended += 1
        self._bad += failed
        self._slow += slow
        if self._too_many(self._bad, self._slow, keys.probes):
            self._open(now)
        elif self._ended == keys.probes:
            self._become(CLOSED)
            self._window.clear()

    def why(self, now: float) -> str:
        """Why it refuses, for people: `the breaker is open for another 3.2 s`."""
        if self.state == OPEN:
            return f"the breaker is open for another {max(0.0, self._until - now):.1f} s"
        return f"the breaker waits for {self._keys.probes} probes"

    def _too_many(self, bad: int, slow: int, calls: int) -> bool:
        failures, slows = self._keys.failures, self._keys.slow_calls
        return bool(
            (bad and bad * failures.denominator >= failures.numerator * calls)
            or (slow and slow * slows.denominator >= slows.numerator * calls)
        )

    def _open(self, now: float) -> None:
        self._become(OPEN)
        self._until = now + self._keys.wait
        self.opened += 1

    def _become(self, state: int) -> None:
        self.state = state
        self._era += 1
