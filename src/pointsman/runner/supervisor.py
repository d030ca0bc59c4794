"""Several workers as processes of their own: started, watched, restarted after a crash, drained together."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from pointsman.base.clock import Clock
from pointsman.base.errors import EnvironmentFault, PointsmanError, UsageError
from pointsman.runner.link import Report
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics, Snapshot, merge, without_gauges
from pointsman.runner.settings import Settings
from pointsman.runner.worker import NATIVE, Hosting, SharedQuota, work

__all__ = ["Supervisor"]

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_END_SECONDS = 90.0


@dataclass(slots=True)
class _Seat:
    """One of the places that a worker fills.

    Attributes:
        past: What workers counted that sat here before.
        failure: What the worker said before it gave up: exit code and text.
        start_at: When the next worker is started, where none runs.
    """

    number: int
    process: Any = None
    pipe: Connection | None = None
    report: Report = field(default_factory=Report)
    past: Snapshot = field(default_factory=dict)
    reported_at: float = 0.0
    started_at: float = 0.0
    crashes: int = 0
    failure: tuple[int, str] | None = None
    start_at: float | None = 0.0
    ended: bool = False


class Supervisor:
    """Runs `settings.seats` workers until all have ended."""

    def __init__(
        self, settings: Settings, say: Say, clock: Clock, total_partitions: int, hosting: Hosting = NATIVE
    ) -> None:
        self._settings = settings
        self._hosting = hosting
        self._say = say
        self._clock = clock
        self._total = total_partitions
        self._context = multiprocessing.get_context("spawn")
        self._metrics = Metrics()
        self._seats = [_Seat(number) for number in range(settings.seats)]
        self._stop = threading.Event()
        self._told_at: float | None = None
        self._fault: PointsmanError | None = None
        limit = settings.max_events
        self._quota = None if limit is None else SharedQuota(self._context.Value("q", limit))

    def stop(self) -> None:
        """Asks all workers to finish; may be called from a signal handler."""
        self._stop.set()

    def kill(self) -> None:
        """Ends all workers at once."""
        for seat in self._seats:
            if seat.process is not None:
                seat.process.kill()

    def snapshot(self) -> Snapshot:
        """What all workers counted."""
        self._metrics.set("pointsman_workers", sum(seat.process is not None for seat in self._seats))
        parts = [part for seat in self._seats for part in (seat.past, seat.report.snapshot)]
        return merge([self._metrics.snapshot(), *parts])

    def healthy(self) -> bool:
        """Whether every worker turns."""
        now = self._clock.monotonic()
        return all(
            seat.process is not None and now - seat.reported_at < _STEADY_SECONDS for seat in self._seats
        )

    def ready(self) -> bool:
        """Whether every worker has its partitions."""
        return all(seat.process is not None and seat.report.joined for seat in self._seats)

    def run(self) -> None:
        """Returns once all workers have ended as asked.

        Raises:
            PointsmanError: What a worker said that it cannot go on with.
        """
        try:
            while not all(seat.ended for seat in self._seats):
                self._turn()
        finally:
            self.kill()
            for seat in self._seats:
                if seat.process is not None:
                    seat.process.join()
        if self._fault is not None:
            raise self._fault

    def _turn(self) -> None:
        now = self._clock.monotonic()
        for seat in self._seats:
            if seat.start_at is not None and now >= seat.start_at and not self._stop.is_set():
                self._start(seat, now)
            elif seat.process is None and self._stop.is_set():
                seat.ended = True
        pipes = {seat.pipe: seat for seat in self._seats if seat.pipe is not None}
        for pipe in wait(list(pipes), _LOOK_SECONDS):
            self._hear(pipes[pipe])  # type: ignore[index]  # only what was waited for comes back
        if self._idle():
            self._stop.set()
        if self._stop.is_set():
            self._tell(now)

    def _start(self, seat: _Seat, now: float) -> None:
        ours, theirs = self._context.Pipe()
        seat.process = self._context.Process(
            target=work,
            args=(self._settings, seat.number, theirs, self._quota, self._hosting),
            name=f"pointsman-{seat.number}",
        )
        seat.process.start()
        theirs.close()
        seat.pipe, seat.start_at, seat.started_at, seat.reported_at = ours, None, now, now
        seat.report, seat.failure = Report(), None

    def _hear(self, seat: _Seat) -> None:
        """Takes what a worker says; the end of its pipe is its end."""
        assert seat.pipe is not None
        try:
            while seat.pipe.poll():
                kind, *content = seat.pipe.recv()
                if kind == "log":
                    self._say(content[0], **content[1], worker=seat.number)
                elif kind == "report":
                    seat.report, seat.reported_at = content[0], self._clock.monotonic()
                elif kind == "failed":
                    seat.failure = (content[0], content[1])
        except (EOFError, OSError):
            self._end(seat)

    def _end(self, seat: _Seat) -> None:
        """A worker has ended: as asked, with a fault that stops the run, or by a crash."""
        assert seat.pipe is not None
        seat.process.join()
        exit_code = seat.process.exitcode
        seat.pipe.close()
        seat.process = seat.pipe = None
        seat.past = merge([seat.past, without_gauges(seat.report.snapshot)])
        seat.report = Report()
        if seat.failure is not None:
            self._fault = self._fault or _as_error(*seat.failure)
            self._stop.set()
            seat.ended = True
        elif exit_code == 0:
            self._say("worker_ended", worker=seat.number)
            seat.ended = True
        elif self._stop.is_set():
            seat.ended = True
        else:
            self._crashed(seat, exit_code)

    def _crashed(self, seat: _Seat, exit_code: int) -> None:
        now = self._clock.monotonic()
        if now - seat.started_at > _STEADY_SECONDS:
            seat.crashes = 0
        pause = min(_FIRST_BACKOFF_SECONDS * 2**seat.crashes, _LONGEST_BACKOFF_SECONDS)
        seat.crashes += 1
        seat.start_at = now + pause
        self._metrics.count("pointsman_worker_restarts_total")
        self._say("worker_crashed", worker=seat.number, exit=_exit(exit_code), again_in=pause)

    def _idle(self) -> bool:
        """Whether all workers have been at the end of their partitions for as long as was asked."""
        enough = self._settings.until_idle
        if enough is None or any(seat.process is None and not seat.ended for seat in self._seats):
            return False
        reports = [seat.report for seat in self._seats if not seat.ended]
        if sum(report.partitions for report in reports) < self._total:
            return False
        return all(
            (not report.joined and not report.partitions)
            or (report.idle is not None and report.idle >= enough)
            for report in reports
        )

    def _tell(self, now: float) -> None:
        """Asks the workers to end, once; one that does not end in good time is killed."""
        if self._told_at is None:
            self._told_at = now
            for seat in self._seats:
                if seat.pipe is not None:
                    with suppress(OSError):  # it has ended already; its pipe says so at the next look
                        seat.pipe.send("stop")
        elif now - self._told_at > _END_SECONDS and self._fault is None:
            late = [str(seat.number) for seat in self._seats if seat.process is not None]
            self._fault = EnvironmentFault(
                f"worker {', '.join(late)} did not end within {_END_SECONDS:.0f} s and was killed: "
                "some events will be decided again"
            )
            self.kill()


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _as_error(code: int, text: str) -> PointsmanError:
    kinds: Sequence[type[PointsmanError]] = (UsageError, EnvironmentFault)
    kind = next((kind for kind in kinds if kind.exit_code == code), PointsmanError)
    return kind(text)
