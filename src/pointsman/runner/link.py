"""How a worker and whoever started it talk: stop, quota, log lines and counts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Protocol

from pointsman.base.clock import Clock, SystemClock
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Snapshot

__all__ = ["Link", "LocalLink", "Quota", "Report"]


@dataclass(slots=True)
class Report:
    """How a worker is.

    Attributes:
        joined: Whether it is a member of the group and was told its partitions, be they none.
        partitions: How many it has.
        idle: Seconds since the last event, where all partitions are at their end and nothing is under way;
            None while busy.
    """

    snapshot: Snapshot = field(default_factory=dict)
    joined: bool = False
    partitions: int = 0
    idle: float | None = None


class Quota:
    """How many events a run may still take; shared by its threads."""

    def __init__(self, events: int) -> None:
        self._left = events
        self._lock = threading.Lock()

    def take(self, most: int) -> int:
        """Takes up to `most` events from what is left; returns how many."""
        with self._lock:
            taken = min(most, self._left)
            self._left -= taken
            return taken

    def give_back(self, events: int) -> None:
        """Returns what was taken and not used."""
        with self._lock:
            self._left += events


class Link(Protocol):
    """A worker's side.

    Attributes:
        say: Writes a log line.
        stopping: Whether the worker should finish, commit and leave.
        quota: Events it may take; None is without limit.
    """

    quota: Any

    @property
    def say(self) -> Say: ...

    @property
    def stopping(self) -> bool: ...

    def report(self, report: Report) -> None:
        """Says how the worker is, about once a second. Does not block for long."""


class LocalLink:
    """Both sides in one process.

    Attributes:
        last: The last report.
        reported_at: When it came, on the monotonic clock.
    """

    def __init__(self, say: Say, quota: Quota | None = None, clock: Clock | None = None) -> None:
        self.say = say
        self.quota = quota
        self.last = Report()
        self._clock = clock or SystemClock()
        self.reported_at = self._clock.monotonic()
        self._stop = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Asks the worker to end; may be called from a signal handler or another thread."""
        self._stop.set()

    def report(self, report: Report) -> None:
        """Keeps it."""
        self.last = report
        self.reported_at = self._clock.monotonic()
