"""`pointsman run --on kafka-streams`: the pipeline inside Kafka Streams, which runs in this process.

    source topics, <p>.by.<field> ──► Decide ──frame──► Framed.handle ──effects──► Decide ──► the topics named
                                        │                    │ fetch
                                        └── stores of bytes ◄┘

Kafka Streams consumes, keeps state in RocksDB with changelogs, commits and balances; `jvm/` collects its
records into frames. One frame at a time and stream thread is decided in Python.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault, Misfit, PointsmanError, SpecError, UsageError
from pointsman.bus.topics import CHANGELOG, Topics
from pointsman.engine.build import stores_of
from pointsman.runner import native
from pointsman.runner.framed import Framed, away
from pointsman.runner.hosts import KAFKA_STREAMS, require
from pointsman.runner.link import Link, Report
from pointsman.runner.metrics import Metrics, Snapshot, merge
from pointsman.runner.native import Summary
from pointsman.runner.settings import Settings
from pointsman.runner.stages import by_topics
from pointsman.runner.start import Ground, group_of, prepare
from pointsman.runner.streams_jvm import Java
from pointsman.runner.streams_properties import java_properties
from pointsman.runner.worker import Hosting
from pointsman.spec.document import Document

__all__ = ["HOSTING", "run"]

_RECORDS: Final = 2000
_BYTES: Final = 4 << 20
_WAIT_MS: Final = {"throughput": 50, "latency": 5}
"""How long records wait for a frame to fill."""

_CLIENTS: Final = {
    "bootstrap.servers": "localhost:9092",
    "session.timeout.ms": "10000",  # how long a killed worker's partitions wait
    "heartbeat.interval.ms": "1000",
    "metadata.max.age.ms": "10000",  # how soon a new partition is seen
    "reconnect.backoff.max.ms": "2000",
    "compression.type": "lz4",
    "acks": "all",
    "buffer.memory": str(128 << 20),
}
"""What the clients are told that the document does not speak of, as the native runner's are."""

_NOTHING: Final = {"application.id": "dry-run", "bootstrap.servers": "localhost:9092"}
"""For a topology that is only shown."""

_LINGER_MS: Final = {"throughput": "20", "latency": "0"}
_BATCH_BYTES: Final = 512 << 10

_COMMIT_MS: Final = {"exactly_once": "100", "at_least_once": "1000"}
_RETRIES: Final = 3
"""How often a stream thread that failed is replaced, before the run ends."""

_TURN_SECONDS = 0.1
_REPORT_SECONDS = 0.5
_ONWARD_SECONDS = 1.0
"""What was sent on by another key is seen again within so long."""

_DRAIN_SECONDS = 60
_LEAST_SECONDS = 10
_LONGEST_MS = 900_000
"""What brokers allow by default."""

_RESETS = {
    "smallest": "earliest",
    "beginning": "earliest",
    "largest": "latest",
    "end": "latest",
    "error": "none",
}


def run(
    document: Document, settings: Settings, *, watch: bool = False, dry_run: bool = False
) -> Summary | None:
    """Runs the pipeline inside Kafka Streams until it is stopped or idle; as `native.run`.

    Args:
        watch: Whether a person looks at the terminal.
        dry_run: Whether to print the topology and run nothing; returns None then.

    Raises:
        PointsmanError: It cannot begin or cannot go on; what was committed stays right.
    """
    if settings.max_events is not None:
        raise UsageError(
            "--max-events is for --on native: Kafka Streams takes what it has polled; use --until-idle"
        )
    if settings.models or settings.role not in ("all", "engine"):
        raise UsageError(
            "dispatch workers and routers run --on native; Kafka Streams hosts the whole pipeline"
        )
    require(document, KAFKA_STREAMS)
    if dry_run:
        with tempfile.TemporaryDirectory() as folder:
            java = Java(Path(folder) / "native")
            told = str(_host(java, document, [java.named("Seat")()], _NOTHING).describe()).rstrip()
        print(json.dumps({"topology": told}) if settings.as_json else told)
        return None
    return native.run(document, settings, watch=watch, hosting=HOSTING)


class _Brain:
    """One stream thread's half in Python; Java calls it.

    Attributes:
        error: What the last frame failed with.
    """

    def __init__(self, java: Java, seat: Any, document: Document, settings: Settings, link: Link) -> None:
        self.error: BaseException | None = None
        self._java = java
        self._seat = seat
        self.framed = Framed.open(
            document, self._fetch, role=settings.role, say=link.say, stopping=lambda: link.stopping
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


class _Worker:
    """One process' part of the run."""

    def __init__(self, java: Java, host: Any, brains: Sequence[_Brain], link: Link, hops: bool) -> None:
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


def _serve(
    document: Document, ground: Ground, settings: Settings, number: int, link: Link, *, alone: bool
) -> None:
    """Runs one worker of the run."""
    with ExitStack() as stack:
        folder = _folder(document, settings, number, stack)
        java = Java(folder / "native")
        brains: list[_Brain] = []
        seats = []
        for _ in range(settings.threads):
            seat = java.named("Seat")()
            brain = _Brain(java, seat, document, settings, link)
            stack.callback(brain.framed.close)
            seat.seat(java.implement("Brain", brain))
            brains.append(brain)
            seats.append(seat)
        config = _config(document, ground, settings, number, folder)
        host = _host(java, document, seats, config)
        worker = _Worker(java, host, brains, link, bool(by_topics(document)))
        worker.run(settings.until_idle if alone else None)


def _folder(document: Document, settings: Settings, number: int, stack: ExitStack) -> Path:
    """Where Kafka Streams keeps its state: a process has one of its own."""
    if settings.state_dir is None:
        folder = Path(tempfile.mkdtemp(prefix=f"pointsman-{document.pipeline}-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder
    return settings.state_dir / document.pipeline / f"kafka-streams-{number}"


def _host(java: Java, document: Document, seats: Sequence[Any], config: dict[str, str]) -> Any:
    """Kafka Streams with the topology of a document, not begun yet."""
    begin = str(document.kafka.get("auto.offset.reset", "earliest"))
    listed = java.strings(())
    for seat in seats:
        listed.add(seat)
    return java.named("Host")(
        java.texts(config),
        listed,
        java.strings(document.source.topics),
        _RESETS.get(begin, begin),
        java.strings(list(by_topics(document).values())),
        java.strings([spec.name for spec in stores_of(document)]),
        java.texts(CHANGELOG),
        _RECORDS,
        _BYTES,
        _WAIT_MS[document.profile],
        _RETRIES,
    )


def _config(
    document: Document, ground: Ground, settings: Settings, number: int, folder: Path
) -> dict[str, str]:
    """The properties of Kafka Streams.

    Raises:
        SpecError: A property of the document's `kafka:` has no counterpart in Java.
    """
    wait = _WAIT_MS[document.profile]
    try:
        own = java_properties(document.kafka)
    except Misfit as misfit:
        place = document.where(misfit.path or ("kafka",))
        raise SpecError([place.finding(misfit.code, str(misfit), misfit.hint)]) from None
    sizes = [target.largest for target in ground.targets]
    found: dict[str, str] = {
        **_CLIENTS,
        "linger.ms": _LINGER_MS[document.profile],
        "batch.size": str(min(_BATCH_BYTES, *sizes)),
        "max.request.size": str(max(sizes) + (1 << 16)),
        "transaction.timeout.ms": str(_transaction_ms(document, ground.partitions)),
        **own,
        "application.id": group_of(document),
        "client.id": f"{document.pipeline}-{settings.instance}-{number}",
        "state.dir": str(folder),
        "num.stream.threads": str(settings.threads),
        "num.standby.replicas": str(settings.standbys),
        "processing.guarantee": "exactly_once_v2" if document.delivery == "exactly_once" else "at_least_once",
        "commit.interval.ms": _COMMIT_MS[document.delivery],
        "statestore.cache.max.bytes": "0",  # what changed is written once a frame
        "poll.ms": str(wait),  # while it waits for records it does not look at the clock
        "max.task.idle.ms": "-1",  # events that went on by another key do not wait for others
        "enable.metrics.push": "false",
        "auto.include.jmx.reporter": "false",
        "processing.exception.handler.global.enabled": "true",  # or it warns that it might be
        "isolation.level": "read_committed",
        "max.poll.records": str(_RECORDS),
        "buffered.records.per.partition": str(2 * _RECORDS),
    }
    if "group.instance.id" in own:
        found["group.instance.id"] += f"-{number}"
    return found


def _transaction_ms(document: Document, partitions: int) -> int:
    """How long a transaction may take: a frame of each partition is decided in it, by models that are slow.

    So long, too, is what a killed worker had not committed in the way of others, unless it comes back.
    """
    slowest = max((model.common.timeout for model in document.models.values()), default=0.0)
    return min(_LONGEST_MS, round(1000 * (_LEAST_SECONDS + 2 * partitions * slowest)))


def _ground(document: Document, cluster: Topics, settings: Settings) -> Ground:
    """The topics of the pipeline; those of requests where dispatchers run plans."""
    gone = away(document, settings.role)
    return prepare(document, cluster, "route" if gone else "all", gone)


def _changelog(document: Document, store: str) -> str:
    return f"{group_of(document)}-{store}-changelog"


HOSTING: Final = Hosting(_ground, _serve, _changelog)
