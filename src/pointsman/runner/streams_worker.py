"""One process of a run on Kafka Streams: its stream threads' halves in Python, and who looks after them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from typing import Any

from pointsman.base.errors import EnvironmentFault, PointsmanError
from pointsman.runner.framed import Framed
from pointsman.runner.link import Link, Report
from pointsman.runner.metrics import Metrics, Snapshot, merge
from pointsman.runner.settings import Settings
from pointsman.runner.start import Ground
from pointsman.runner.streams_jvm import Java
from pointsman.spec.document import Document

__all__ = ["Brain", "StreamsWorker"]

_TURN_SECONDS = 0.1
_REPORT_SECONDS = 0.5
_ONWARD_SECONDS = 1.0
"""What was sent on by another key is seen again within so long."""

_DRAIN_SECONDS = 60


class Brain:
    """One stream thread's half in Python; Java calls it.

    Attributes:
        error: What the last frame failed with.
    """

    def __init__(
        self, java: Java, seat: Any, document: Document, ground: Ground, settings: Settings, link: Link
    ) -> None:
        self.error: BaseException | None = None
        self._java = java
        self._seat = seat
        self.framed = Framed.open(
            document, ground, self._fetch, role=settings.role, say=link.say, stopping=lambda: link.stopping
        )

    def handle(self, frame: Any) -> Any:
        """A frame 'R' in, a frame 'E' or 'X' out."""
        try:
            answer = self.framed.handle(bytes(frame))
        except BaseException as error:  # whatever it is, Java is told in words
            self.error = error
            answer = b"X" + "".join(traceback.format_exception(error)).encode("utf-8", "replace")
        return self._java.buffer(answer)

    def own(self, partitions: Any) -> None:
        """These are the thread's partitions now."""
        self.framed.own([int(number) for number in partitions])

    def drop(self, partition: Any) -> None:
        """What is remembered of a partition is not what is stored."""
        self.framed.drop([int(partition)])

    def _fetch(self, frame: bytes) -> bytes:
        return bytes(self._seat.fetch(self._java.buffer(frame)))


class StreamsWorker:
    """One process' part of the run."""

    def __init__(self, java: Java, host: Any, brains: Sequence[Brain], link: Link, hops: bool) -> None:
        self._java = java
        self._host = host
        self._brains = brains
        self._link = link
        self._hops = hops
        self._metrics = Metrics()
        self._assigned: set[tuple[str, int]] = set()
        self._restored: list[tuple[int, int, float]] = []
        self._fault: PointsmanError | None = None

    def run(self, until_idle: float | None) -> None:
        """Returns once it was told to end, or was idle for so many seconds.

        Raises:
            PointsmanError: Kafka Streams gave up.
        """
        report_at = 0.0
        try:
            self._host.start()
        except self._java.error as error:
            raise EnvironmentFault(f"Kafka Streams does not begin: {error}") from error
        gave_up = False
        while not self._link.stopping:
            time.sleep(_TURN_SECONDS)
            self._listen()
            gave_up = str(self._host.state()) in ("ERROR", "NOT_RUNNING")
            if gave_up:
                break
            now = time.monotonic()
            if now >= report_at:
                report_at = now + _REPORT_SECONDS
                report = self._report()
                if until_idle is not None and report.idle is not None and report.idle >= until_idle:
                    break
        self._end(gave_up)

    def _end(self, gave_up: bool) -> None:
        ended = self._host.close(_DRAIN_SECONDS)
        self._listen()
        self._metrics.clear("pointsman_lag_events")
        self._metrics.clear("pointsman_partitions")
        self._link.report(Report(self._snapshot(), joined=True))
        if gave_up:
            raise self._fault or EnvironmentFault("Kafka Streams ended by itself; its warnings say why")
        if not ended:
            raise EnvironmentFault(
                f"Kafka Streams did not end within {_DRAIN_SECONDS} s: some events will be decided again"
            )

    def _listen(self) -> None:
        """Says what the engine warned of, and what failed."""
        while (line := self._java.logs.take()) is not None:
            _, source, problem = str(line).split(" ", 2)
            self._link.say("engine_note", source=source, problem=problem)
        for told in self._host.failures():
            again, kind, problem = str(told).split(" ", 2)
            self._fault = self._why(kind, problem)
            self._link.say("engine_failed", problem=problem, again=again == "again")

    def _restoring(self) -> None:
        """Tells of state that is read and that was read."""
        while (line := self._host.restored()) is not None:
            number, records, seconds = str(line).split()
            self._restored.append((int(number), int(records), float(seconds)))
        partitions, left = self._host.restoring()
        self._metrics.set("pointsman_restoring_partitions", int(partitions))
        self._metrics.set("pointsman_restoring_records", int(left))
        if self._restored and not partitions:
            numbers, counts, times = zip(*self._restored, strict=True)
            self._restored = []
            took = max(times)
            self._metrics.observe("pointsman_restore_seconds", took)
            self._link.say(
                "state_restored",
                partitions=sorted(set(numbers)),
                records=sum(counts),
                rate=round(sum(counts) / took) if took else 0,
                seconds=round(took, 3),
            )

    def _why(self, kind: str, problem: str) -> PointsmanError:
        errors = [brain.error for brain in self._brains if brain.error is not None]
        if kind == "python" and errors:
            if isinstance(errors[-1], PointsmanError):
                return errors[-1]
            return PointsmanError(f"an error of this program, not of the events:\n{problem}")
        first, *others = problem.splitlines()
        causes = [line.removeprefix("Caused by: ") for line in others if line.startswith("Caused by: ")]
        cause = causes[-1] if causes else first
        hint = "; 'pointsman topics --acls' prints what rights are needed" if "Authorization" in cause else ""
        return EnvironmentFault(f"Kafka Streams cannot go on: {cause}{hint}")

    def _report(self) -> Report:
        lags = [str(line).rsplit(" ", 2) for line in self._host.lags()]
        assigned = {(topic, int(number)) for topic, number, _ in lags}
        if more := assigned - self._assigned:
            self._link.say("partitions_assigned", partitions=_names(more))
        if gone := self._assigned - assigned:
            self._link.say("partitions_revoked", partitions=_names(gone), discarded=0)
        self._assigned = assigned
        self._restoring()
        self._metrics.clear("pointsman_lag_events")
        for topic, number, lag in lags:
            self._metrics.set("pointsman_lag_events", max(0, int(lag)), topic, number)
        self._metrics.set("pointsman_partitions", len(lags))
        joined = bool(self._host.joined())
        quiet = float(self._host.quiet())
        if self._hops:
            quiet -= _ONWARD_SECONDS
        running = str(self._host.state()) == "RUNNING"
        done = running and joined and quiet >= 0 and all(lag == "0" for *_, lag in lags)
        report = Report(self._snapshot(), joined and running, len(lags), quiet if done else None)
        self._link.report(report)
        return report

    def _snapshot(self) -> Snapshot:
        for brain in self._brains:
            brain.framed.count()
        return merge([self._metrics.snapshot(), *(brain.framed.metrics.snapshot() for brain in self._brains)])


def _names(places: set[tuple[str, int]]) -> list[str]:
    return [f"{topic}-{number}" for topic, number in sorted(places)]
