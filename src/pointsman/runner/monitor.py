"""What a run shows while it goes on: a live view on a terminal, a log line every so often elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from pointsman.base.clock import Clock
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Snapshot, numbers

if TYPE_CHECKING:
    from pointsman.runner.view import View

__all__ = ["Lines", "Monitor", "Screen"]

LINE_SECONDS = 10.0
VIEW_SECONDS = 0.5


class Screen(Protocol):
    """Shows how a run is."""

    def show(self, snapshot: Snapshot, seconds: float) -> None:
        """Shows `snapshot`, taken `seconds` after the run began."""


class Lines:
    """A `progress` line at each interval."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last: dict[str, int] = {}
        self._seconds = 0.0

    def show(self, snapshot: Snapshot, seconds: float) -> None:
        """Says what happened since the last time."""
        now = numbers(snapshot)
        since = {name: now[name] - self._last.get(name, 0) for name in _SUMS}
        rate = since["events"] / max(seconds - self._seconds, 1e-9)
        self._say("progress", rate=round(rate), lag=now["lag"], in_flight=now["in_flight"], **since)
        self._last, self._seconds = now, seconds


_SUMS = ("events", "decisions", "dead_letters", "failures")


class Monitor:
    """Shows a run in a thread of its own until it is closed."""

    def __init__(
        self, snapshot: Callable[[], Snapshot], screen: Screen, seconds: float, clock: Clock
    ) -> None:
        """Args:
        seconds: Between two looks.
        """
        self._snapshot = snapshot
        self._screen = screen
        self._seconds = seconds
        self._clock = clock
        self._began = clock.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pointsman-monitor", daemon=True)

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock.monotonic() - self._began

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds):
            self._screen.show(self._snapshot(), self.elapsed)


def live(title: str) -> View:
    """The live view; rich is imported only where there is a terminal."""
    from pointsman.runner.view import View

    return View(title)
