"""What a request must pass before it goes out: a breaker, a concurrency, a rate.

A model has a gate of its own; its endpoint may have one too, which all its models pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, Protocol

from pointsman.model.alarms import Alarm, Alarms
from pointsman.model.batching import BatchKeys
from pointsman.model.breaker import Breaker, BreakerKeys
from pointsman.model.limits import Limits
from pointsman.model.retry import RetryKeys

__all__ = ["CONCURRENCY", "Gate", "SharedKeys", "Terms", "TermsKeys", "gate_of", "terms_of"]

CONCURRENCY: Final = 64
"""Requests of one model under way at once, where the document does not say."""


class Waiting(Protocol):
    """Somebody with requests that wait at a gate, as `guard.Guard`."""

    def pump(self) -> None:
        """Sends what may go out now."""


class Gate:
    """A breaker and limits, and who waits for them. Used in the loop's thread alone.

    Attributes:
        breaker: None where it has none.
        limits: Concurrency and rate.
    """

    __slots__ = ("_alarm", "_waiting", "breaker", "limits")

    def __init__(self, breaker: Breaker | None = None, limits: Limits | None = None) -> None:
        self.breaker = breaker
        self.limits = limits or Limits()
        self._waiting: dict[Waiting, None] = {}
        self._alarm: Alarm | None = None

    def enter(self, now: float) -> int:
        """One request goes out; returns the breaker's permit."""
        self.limits.enter(now)
        return 0 if self.breaker is None else self.breaker.enter(now)

    def leave(self, permit: int, now: float, took: float, failed: bool | None) -> None:
        """A request has ended; `failed` as in `Breaker.leave`."""
        self.limits.leave()
        if self.breaker is not None:
            self.breaker.leave(permit, now, took, failed)

    def wait(self, who: Waiting, when: float, alarms: Alarms) -> None:
        """Has `who` pumped when one more may enter: at `when`, or when somebody leaves."""
        self._waiting[who] = None
        if when < inf and self._alarm is None:
            self._alarm = alarms.at(when, self._due)

    def pump(self) -> None:
        """Lets those who wait go on, one after the other, as long as there is room."""
        for _ in range(len(self._waiting)):
            if (who := next(iter(self._waiting), None)) is None:
                return
            del self._waiting[who]
            who.pump()
            if who in self._waiting:  # at the end again: there is no more room
                return

    def _due(self) -> None:
        self._alarm = None
        self.pump()


class SharedKeys(Protocol):
    """The keys of an endpoint that its models share, as the document has them."""

    @property
    def concurrency(self) -> int | None:
        """Requests under way at once, of all its models; None for no bound."""

    @property
    def rate(self) -> float | None:
        """Requests a second, of all its models; None for no bound."""

    @property
    def breaker(self) -> BreakerKeys | None:
        """One breaker for all its models; None: each has its own."""


class TermsKeys(SharedKeys, Protocol):
    """The keys of a model that its guard reads, as the document has them; None is the default."""

    @property
    def timeout(self) -> float:
        """Seconds that one attempt may take."""

    @property
    def retry(self) -> RetryKeys | None:
        """How often a failed attempt is repeated."""

    @property
    def batch(self) -> BatchKeys | None:
        """Events that share a request; None: each has its own."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a model is called.

    Attributes:
        timeout: Seconds that one attempt may take.
        retry: How often a failed attempt is repeated.
        batch: Rows that share a request; None: each has its own.
        gates: What a request must pass; the model's own gate first.
    """

    timeout: float = 1.0
    retry: RetryKeys = field(default_factory=RetryKeys)
    batch: BatchKeys | None = None
    gates: tuple[Gate, ...] = ()


def gate_of(keys: SharedKeys) -> Gate:
    """The gate of an endpoint, made once for all its models."""
    breaker = None if keys.breaker is None else Breaker(keys.breaker)
    return Gate(breaker, Limits(keys.concurrency, keys.rate))


def terms_of(keys: TermsKeys, shared: Gate | None = None) -> Terms:
    """The terms of a model behind an endpoint with the gate `shared`.

    A model has a breaker of its own unless it says nothing of one and its endpoint has one.
    """
    own: Any = keys.breaker
    if own is None and (shared is None or shared.breaker is None):
        own = BreakerKeys()
    gate = Gate(None if own is None else Breaker(own), Limits(keys.concurrency or CONCURRENCY, keys.rate))
    gates = (gate,) if shared is None else (gate, shared)
    return Terms(keys.timeout, keys.retry or RetryKeys(), keys.batch, gates)
