"""A job inside Flink as we see it: what the program that submitted it tells, and what we ask of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault, PointsmanError
from pointsman.runner.flink_behind import Behind
from pointsman.runner.flink_client import Client
from pointsman.runner.flink_home import Home
from pointsman.runner.flink_worker import from_json
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Snapshot, merge, without_gauges

__all__ = ["Job"]

_LOOK_SECONDS: Final = 0.2
_IDLE_SECONDS: Final = 0.5
_LAG_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 2.5
"""What a checkpoint has made visible may be read only after it."""


class Job:
    """A job that was submitted."""

    def __init__(
        self, client: Client, say: Say, home: Home, behind: Behind, until_idle: float | None
    ) -> None:
        """Args:
        behind: Looked at now and then.
        until_idle: Stop after so many seconds with nothing left to do; None goes on.
        """
        self._client = client
        self._say = say
        self._home = home
        self._status = ""
        self._saved = False
        self._heard_at = time.monotonic()
        self._now: dict[str, Snapshot] = {}
        self._all: dict[str, Snapshot] = {}
        self._stop = threading.Event()
        self._behind = behind
        self._patience = None if until_idle is None else max(until_idle, _SETTLE_SECONDS)
        self._lags: Mapping[tuple[str, int], int] = {}
        self._look_at = 0.0
        self._idle_since: float | None = None

    def stop(self) -> None:
        """Asks for the end; may be called from a signal handler."""
        self._stop.set()

    def kill(self) -> None:
        """Ends the program at once."""
        self._client.kill()

    def snapshot(self) -> Snapshot:
        """What all workers counted, those that have ended included."""
        now = self._now
        past = [without_gauges(found) for name, found in self._all.items() if name not in now]
        own: Snapshot = {"pointsman_workers": {(): float(len(now))}}
        own["pointsman_lag_events"] = {(topic, str(n)): lag for (topic, n), lag in self._lags.items()}
        return merge([own, *now.values(), *past])

    def healthy(self) -> bool:
        """Whether the program tells of the job."""
        return time.monotonic() - self._heard_at < 60.0

    def ready(self) -> bool:
        """Whether the job runs."""
        return self._status == "RUNNING"

    def run(self) -> None:
        """Returns once the job has ended as asked.

        Raises:
            EnvironmentFault: It has failed.
        """
        asked = False
        while True:
            if not asked and (self._look() or self._stop.is_set()):
                asked = True
                self._say("draining", why="stop" if self._stop.is_set() else "idle")
                self._client.stop()
            try:
                event = self._client.next(_LOOK_SECONDS)
            except queue.Empty:
                continue
            self._heard_at = time.monotonic()
            if event is None:
                raise EnvironmentFault(
                    f"the program that runs Flink has ended without a word: see {self._home.logs}"
                )
            if self._hear(event):
                return

    def _look(self) -> bool:
        """Looks at what is left to do now and then; returns whether it has been nothing for long enough."""
        now = time.monotonic()
        if self._status != "RUNNING" or now < self._look_at:
            return False
        self._look_at = now + (_LAG_SECONDS if self._patience is None else _IDLE_SECONDS)
        self._lags = self._behind.lags()
        if self._patience is None:
            return False
        if not self._behind.nothing():
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = now
        return now - self._idle_since >= self._patience

    def _hear(self, event: dict[str, Any]) -> bool:
        """Takes what the program tells; returns whether the job is over."""
        match event["event"]:
            case "submitted":
                self._say("engine_job", job=event["job"], status="SUBMITTED")
            case "status":
                self._status = event["status"]
                self._say("engine_job", job=event["job"], status=event["status"])
            case "metrics":
                self._now = {name: from_json(found) for name, found in event["workers"].items()}
                self._all |= self._now
            case "savepoint":
                self._saved = True
                self._say("engine_saved", path=event["path"])
            case "unsaved":
                self._say("engine_note", source="flink", problem=event["text"].splitlines()[0])
            case "failed":
                raise _failure(event, self._home)
            case "ended":
                if self._saved:
                    self._home.forget_checkpoints()
                return True
        return False


def _failure(event: dict[str, Any], home: Home) -> PointsmanError:
    """What the program says that the job has failed with."""
    if event["code"]:  # the document, the command or an extra: it would be the same the next time
        return EnvironmentFault(event["text"])
    who = "a worker" if event["python"] else "Flink"
    return EnvironmentFault(
        f"the job has ended, as {who} failed over and over: {event['text'].strip()}\n"
        f"More is in {home.logs}. What was committed stays right, and a new start goes on from there"
    )
