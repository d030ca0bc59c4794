"""`pointsman run --on flink`: a document as a job of Flink's, submitted, watched, saved and stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pointsman.base.clock import Clock, SystemClock
from pointsman.runner.flink_behind import Behind
from pointsman.runner.flink_client import Client, java_options, log_settings
from pointsman.runner.flink_cluster import SessionCluster
from pointsman.runner.flink_jars import bridge_jar, connector_jar, engine_jars
from pointsman.runner.flink_job import Job
from pointsman.runner.flink_plan import shown, told
from pointsman.runner.flink_rest import jobs_called, stop
from pointsman.runner.flink_ship import ship
from pointsman.runner.flink_start import LOCAL, SESSION, Start
from pointsman.runner.framed import ground_of
from pointsman.runner.logs import Say, to_stream
from pointsman.runner.monitor import LINE_SECONDS, VIEW_SECONDS, Lines, Monitor, live
from pointsman.runner.native import Summary, signals, summary_of
from pointsman.runner.serve import MetricsServer
from pointsman.runner.settings import Settings
from pointsman.runner.start import Begin, group_of, rewind
from pointsman.spec.document import Document

__all__ = ["run"]

_HEAP: Final = "768m"
_CLIENT_HEAP: Final = "256m"
"""Of a program that only submits and asks."""


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
    start = Start.look(document, settings, master, parallelism)
    if dry_run:
        found = shown(start.plan)
        print(json.dumps(found, indent=2, ensure_ascii=False) if settings.as_json else told(found))
        return None
    clock = clock or SystemClock()
    with ExitStack() as stack:
        view = stack.enter_context(live(f"{document.pipeline} {document.policy}")) if watch else None
        say: Say = view.say if view else to_stream(clock, as_json=settings.as_json)
        stack.enter_context(start.home.held())
        _stop_leftovers(start.plan, say)
        start = Start.look(document, settings, master, parallelism)  # what they have left is newer
        _prepare(document, settings, start, say)
        client = stack.enter_context(_client(document, settings, start, stack, say))
        behind = Behind(document, start.cluster, start.plan["source"]["topics"])
        stack.callback(behind.close)
        job = Job(client, say, start.home, behind, settings.until_idle)
        stack.enter_context(signals(job.stop, job.kill))
        if settings.metrics_port is not None:
            server = MetricsServer(
                settings.metrics_port, job.snapshot, job.healthy, job.ready, settings.metrics_host
            )
            say("metrics_served", address=stack.enter_context(server).address)
        monitor = Monitor(job.snapshot, view or Lines(say), VIEW_SECONDS if view else LINE_SECONDS, clock)
        try:
            with monitor:
                job.run()
        finally:
            if view:
                view.show(job.snapshot(), monitor.elapsed)
        summary = summary_of(job.snapshot(), monitor.elapsed)
        done = ("events", "decisions", "dead_letters", "seconds")
        say("ended", **{name: getattr(summary, name) for name in done})
    return summary


def _stop_leftovers(plan: Mapping[str, Any], say: Say) -> None:
    """Stops a job of ours that goes on in a cluster elsewhere, as whoever watched it was killed."""
    if not plan["cluster"]:
        return
    for number in jobs_called(plan["cluster"], plan["job"]):
        say("engine_job", job=number, status="LEFT OVER")
        stop(plan["cluster"], number, plan["savepoints"])


def _prepare(document: Document, settings: Settings, start: Start, say: Say) -> None:
    """Makes topics, and sets what begins anew."""
    ground_of(document, start.cluster, start.plan["worker"]["open"]["role"])
    if settings.begin is not None:
        rewind(document, start.cluster, Begin.parse(settings.begin), say)
    start.home.remember(start.known)
    say(
        "started",
        pipeline=document.pipeline,
        policy=document.policy,
        role=start.plan["worker"]["open"]["role"],
        topics=start.plan["source"]["topics"],
        group=group_of(document),
        workers=start.plan["parallelism"],
    )
    if start.restore:
        say("engine_resumes", path=start.restore)


def _client(document: Document, settings: Settings, start: Start, stack: ExitStack, say: Say) -> Client:
    """The program that submits the job, and the cluster before it where that is ours too."""
    plan, home = start.plan, start.home
    engine = engine_jars()
    own = [bridge_jar(), connector_jar(lambda line: print(line, file=sys.stderr))]
    heap = _HEAP
    if plan["master"] != LOCAL:
        heap = _CLIENT_HEAP
        plan["jars"] = list(map(str, own))
    if plan["master"] not in (LOCAL, SESSION):
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="pointsman-")))
        ship(plan, document, settings, folder)
    if plan["master"] == SESSION:
        slots = plan["parallelism"]
        cluster = stack.enter_context(SessionCluster(home.folder / "cluster", engine, slots))
        say("engine_started", address=f"http://{cluster.address}", folder=home.folder / "cluster")
        plan["cluster"] = cluster.address
    return Client(plan, [*own, *engine], java_options(heap, log_settings(home.logs, "flink")))
