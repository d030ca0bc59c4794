"""`pointsman run --on flink`: a document as a job of Flink's, submitted, watched, saved and stopped."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.errors import EnvironmentFault, Misfit, PointsmanError, SpecError, UsageError
from pointsman.bus.topics import Topics
from pointsman.engine.build import stores_of
from pointsman.runner.flink_client import Client, java_options, log_settings
from pointsman.runner.flink_home import Home, Known, home_of
from pointsman.runner.flink_idle import Idle
from pointsman.runner.flink_jars import bridge_jar, flink_jars
from pointsman.runner.flink_plan import Place, plan_of, shown, told
from pointsman.runner.flink_worker import from_json
from pointsman.runner.framed import away
from pointsman.runner.logs import Say, to_stream
from pointsman.runner.metrics import Snapshot, merge, without_gauges
from pointsman.runner.monitor import LINE_SECONDS, VIEW_SECONDS, Lines, Monitor, live
from pointsman.runner.native import Summary, signals, summary_of
from pointsman.runner.serve import MetricsServer
from pointsman.runner.settings import Settings
from pointsman.runner.start import Begin, group_of, prepare, reach, rewind
from pointsman.runner.state import widened
from pointsman.spec.document import Document

__all__ = ["run"]

_LOOK_SECONDS: Final = 0.2
_IDLE_SECONDS: Final = 0.5
_SETTLE_SECONDS: Final = 2.5
_HEAP: Final = "768m"


def run(
    document: Document,
    settings: Settings,
    *,
    master: str = "local",
    parallelism: int = 1,
    dry_run: bool = False,
    watch: bool = False,
    clock: Clock | None = None,
) -> Summary | None:
    """Runs the pipeline inside Flink until it is stopped or idle.

    SIGTERM and Ctrl-C stop it with a savepoint; a second Ctrl-C ends the watching at once.

    Args:
        master: `local`, a cluster in a process of ours; `local-session`, one of several processes; or
            `HOST:PORT`, where a cluster's REST interface is.
        parallelism: Tasks that decide.
        dry_run: Whether to print the plan and run nothing; returns None then.
        watch: Whether a person looks at the terminal.

    Raises:
        PointsmanError: It cannot begin or cannot go on; what was committed stays right.
    """
    clock = clock or SystemClock()
    start = _Start.look(document, settings, master, parallelism)
    plan, home = start.plan, start.home
    if dry_run:
        found = shown(plan)
        text = json.dumps(found, indent=2, ensure_ascii=False) if settings.as_json else told(found)
        print(text)
        return None
    with ExitStack() as stack:
        view = stack.enter_context(live(f"{document.pipeline} {document.policy}")) if watch else None
        say: Say = view.say if view else to_stream(clock, as_json=settings.as_json)
        gone = away(document, plan["worker"]["open"]["role"])
        prepare(document, start.cluster, "route" if gone else "all", gone)
        if settings.begin is not None:
            rewind(document, start.cluster, Begin.parse(settings.begin), say)
        home.make()
        home.remember(start.known)
        jars = [bridge_jar(), *flink_jars(lambda line: print(line, file=sys.stderr))]
        say(
            "started",
            pipeline=document.pipeline,
            policy=document.policy,
            role=plan["worker"]["open"]["role"],
            topics=plan["source"]["topics"],
            group=group_of(document),
            workers=parallelism,
        )
        if start.restore:
            say("engine_resumes", path=start.restore)
        options = java_options(_HEAP, log_settings(home.logs, "flink"))
        job = _Job(stack.enter_context(Client(plan, jars, options)), say, home)
        if settings.until_idle is not None:
            watcher = Idle(document, start.cluster, plan["source"]["topics"])
            stack.callback(watcher.close)
            job.until_idle(watcher.look, settings.until_idle)
        stack.enter_context(signals(job.stop, job.kill))
        if settings.metrics_port is not None:
            server = MetricsServer(settings.metrics_port, job.snapshot, job.healthy, job.ready)
            say("metrics_served", address=stack.enter_context(server).address)
        screen = view or Lines(say)
        monitor = Monitor(job.snapshot, screen, VIEW_SECONDS if view else LINE_SECONDS, clock)
        try:
            with monitor:
                job.run()
        finally:
            if view:
                view.show(job.snapshot(), monitor.elapsed)
        summary = summary_of(job.snapshot(), monitor.elapsed)
        say(
            "ended",
            **{name: getattr(summary, name) for name in ("events", "decisions", "dead_letters", "seconds")},
        )
    return summary


class _Job:
    """A job that was submitted."""

    def __init__(self, client: Client, say: Say, home: Home) -> None:
        self._client = client
        self._say = say
        self._home = home
        self._status = ""
        self._heard_at = time.monotonic()
        self._now: dict[str, Snapshot] = {}
        self._all: dict[str, Snapshot] = {}
        self._stop = threading.Event()
        self._look: Callable[[], bool] | None = None
        self._patience = 0.0
        self._look_at = 0.0
        self._idle_since: float | None = None

    def until_idle(self, look: Callable[[], bool], seconds: float) -> None:
        """Has it stopped once `look` has found nothing to do for so long."""
        self._look = look
        # What a checkpoint has made visible may be read only after it.
        self._patience = max(seconds, _SETTLE_SECONDS)

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
        return merge([{"pointsman_workers": {(): float(len(now))}}, *now.values(), *past])

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
            if not asked and (self._stop.is_set() or self._idle()):
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

    def _idle(self) -> bool:
        """Whether it has been idle long enough."""
        now = time.monotonic()
        if self._look is None or self._status != "RUNNING" or now < self._look_at:
            return False
        self._look_at = now + _IDLE_SECONDS
        if not self._look():
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
                self._say("engine_saved", path=event["path"])
            case "unsaved":
                self._say("engine_note", source="flink", problem=event["text"].splitlines()[0])
            case "failed":
                raise _failure(event, self._home)
            case "ended":
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


@dataclass(frozen=True, slots=True)
class _Start:
    """What is known before anything is started.

    Attributes:
        known: What the next start will know of this one.
        restore: The savepoint or checkpoint that it begins with; empty without.
    """

    cluster: Topics
    home: Home
    known: Known
    restore: str
    plan: dict[str, Any]

    @classmethod
    def look(cls, document: Document, settings: Settings, master: str, parallelism: int) -> _Start:
        _refuse(settings)
        cluster = reach(document)
        partitions = cluster.require_sources(document.source.topics)
        home = home_of(settings.state_dir, document.pipeline, settings.instance, _cluster_id(cluster))
        known = home.known() or Known(partitions)
        if stores_of(document) and known.partitions != partitions:
            raise widened("the source", partitions, known.partitions, [str(home.folder)])
        if settings.begin is not None:
            known = Known(partitions, known.begun + 1)
        newest = home.newest()
        restore = "" if newest is None else newest.as_uri()
        place = _place(settings, home, known, restore, master, parallelism)
        try:
            plan = plan_of(document, settings, partitions, place)
        except Misfit as misfit:
            where = document.where(misfit.path or ("kafka",))
            raise SpecError([where.finding(misfit.code, str(misfit), misfit.hint)]) from None
        return cls(cluster, home, known, restore, plan)


def _refuse(settings: Settings) -> None:
    """Options that this host does not have."""
    if settings.max_events is not None:
        raise UsageError(
            "--max-events is not for --on flink, whose tasks take events independently: say --until-idle"
        )
    if settings.workers > 1:
        raise UsageError(f"--workers is not for --on flink: say --parallelism {settings.workers}")
    if settings.role in ("route", "dispatch"):
        raise UsageError(
            f"--role {settings.role} is not for --on flink: it decides, and leaves remote models to "
            "dispatchers, which run natively"
        )


def _cluster_id(cluster: Topics) -> str:
    found = cluster.admin.list_topics(timeout=15.0).cluster_id
    return str(found or "unknown")


def _place(
    settings: Settings, home: Home, known: Known, restore: str, master: str, parallelism: int
) -> Place:
    return Place(
        master=master,
        parallelism=parallelism,
        python=sys.executable,
        document=str(settings.path.absolute()),
        overlays=[str(path.absolute()) for path in settings.overlays],
        checkpoints=home.checkpoints.as_uri(),
        savepoints=home.savepoints.as_uri(),
        restore=restore,
        begun=known.begun,
        flink={
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.bind-port": "0",
            "taskmanager.numberOfTaskSlots": str(parallelism),
            "heartbeat.interval": "1 s",
            "heartbeat.timeout": "30 s",
        },
    )
