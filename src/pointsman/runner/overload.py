"""`limits.max_lag`: says when too much waits in the log, and when it is over."""

from __future__ import annotations

from pointsman.runner.host import Host
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.spec.dispatch import MaxLag

__all__ = ["Overload"]

_GAUGE = "pointsman_overloaded_workers"


class Overload:
    """Watches the lag of one worker.

    It begins above `events` and ends below half of that, so that it does not flicker.
    """

    def __init__(
        self, limit: MaxLag, host: Host, say: Say, metrics: Metrics, *, decides: bool = True
    ) -> None:
        """Args:
        host: Told while `limit.then` answers in place of what is picked.
        decides: Whether models are picked here; a dispatcher has only what a router picked.
        """
        self._limit = limit
        self._host = host
        self._say = say
        self._metrics = metrics
        self._then = limit.then if decides else None
        self._over = False
        metrics.set(_GAUGE, 0)

    def see(self, lag: int) -> None:
        """Looks at the events that were not taken yet."""
        limit = self._limit.events
        if not self._over and lag > limit:
            self._turn(over=True)
            self._say("overloaded", lag=lag, limit=limit, then=self._then or "wait")
        elif self._over and lag < limit / 2:
            self._turn(over=False)
            self._say("caught_up", lag=lag, limit=limit)

    def _turn(self, *, over: bool) -> None:
        self._over = over
        self._host.overload = over and self._then is not None
        self._metrics.set(_GAUGE, int(over))
