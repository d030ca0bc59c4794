"""Whether, when and how often an attempt that failed is repeated: the one place that knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from pointsman.base.config import Duration, Share, Whole, key
from pointsman.base.errors import ModelError, ModelOverloaded
from pointsman.model.breaker import Window

__all__ = [
    "LONGEST_ASKED",
    "LONGEST_WAIT",
    "RESERVE",
    "RULES",
    "Budget",
    "RetryKeys",
    "Rule",
    "pause",
    "rule_of",
]

LONGEST_WAIT: Final = 1.0
"""Seconds that the back-off grows to, unless its first wait is longer."""

LONGEST_ASKED: Final = 10.0
"""Seconds of `Retry-After` that are waited for where no deadline says less."""

RESERVE: Final = 10
"""Retries within the window that a budget allows however few calls there were."""

_WINDOW = 10.0


@dataclass(frozen=True, slots=True)
class RetryKeys:
    """How often a failed attempt is repeated, and how much that may add."""

    attempts: int = key(Whole(1, 10), "Attempts in all; 1 never repeats.", default=2, example="3")
    budget: Fraction = key(
        Share(),
        "Repeats, as a share of a model's calls in the last 10 s, at most; 10 of them are always allowed.",
        default=Fraction(1, 5),
        example="20%",
    )
    wait: float = key(
        Duration(),
        "The first repeat waits for a random span up to this; each further one up to twice as long.",
        default=0.025,
        example="25ms",
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """What a failure class means.

    Attributes:
        retryable: Whether the same rows may be sent again.
        breaker: Whether it speaks against the server, and so counts for the breaker.
        split: Whether a request of many rows that failed as a whole is cut in two, to find the row at fault:
            `free`, or within the retry budget where the server may well be at fault.
    """

    retryable: bool
    breaker: bool
    split: Literal["no", "free", "budget"] = "no"


RULES: Final[Mapping[str, Rule]] = {
    "timeout": Rule(retryable=True, breaker=True),
    "refused": Rule(retryable=True, breaker=True),
    "overloaded": Rule(retryable=True, breaker=True),
    "invalid_input": Rule(retryable=False, breaker=False, split="free"),
    "invalid_reply": Rule(retryable=False, breaker=True, split="free"),
    "internal": Rule(retryable=True, breaker=True, split="budget"),
}
"""Failure class → what it means. A prediction changes nothing, so sending it twice does no harm."""


def rule_of(error: ModelError) -> Rule:
    """What a failure means; a class that a protocol made up is treated as `internal`."""
    return RULES.get(error.failure, RULES["internal"])


class Budget:
    """Bounds repeats by a share of the calls of the last seconds, so that they cannot pile up on a server."""

    __slots__ = ("_calls", "_share", "_spent")

    def __init__(self, share: Fraction) -> None:
        self._share = share
        self._calls = Window(_WINDOW)
        self._spent = Window(_WINDOW)

    def call(self, now: float) -> None:
        """Counts a first attempt."""
        self._calls.add(now)

    def take(self, now: float) -> bool:
        """Whether one more repeat is within the budget; counts it if so."""
        self._calls.roll(now)
        self._spent.roll(now)
        share, spent = self._share, self._spent.calls
        if spent >= RESERVE and spent * share.denominator >= share.numerator * self._calls.calls:
            return False
        self._spent.add(now)
        return True


def pause(keys: RetryKeys, tried: int, error: ModelError, chance: Callable[[], float]) -> float | None:
    """Seconds to wait before the next attempt; None: there is none.

    Args:
        keys: What the document says.
        tried: Attempts so far, at least 1.
        error: How the last one failed. A server that asked to be left alone for longer is.
        chance: A number in [0, 1).

    References:
        M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog (2015): full jitter.
    """
    if tried >= keys.attempts or not rule_of(error).retryable:
        return None
    most = min(keys.wait * 2.0 ** (tried - 1), max(keys.wait, LONGEST_WAIT))
    asked = error.retry_after if isinstance(error, ModelOverloaded) else None
    if asked is None:
        return chance() * most
    return None if asked > LONGEST_ASKED else max(asked, 0.0) + chance() * most
