"""`pointsman run` on Kafka: checks the ground, runs one worker here or several as processes, tells of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from pointsman.base.clock import Clock, SystemClock
from pointsman.engine.build import stores_of
from pointsman.runner.link import LocalLink, Quota
from pointsman.runner.logs import Say, to_stream
from pointsman.runner.metrics import Snapshot, numbers
from pointsman.runner.monitor import LINE_SECONDS, VIEW_SECONDS, Lines, Monitor, live
from pointsman.runner.requests import request_topic
from pointsman.runner.serve import MetricsServer
from pointsman.runner.settings import Settings
from pointsman.runner.stages import by_topics
from pointsman.runner.start import Begin, Ground, group_of, reach, rewind
from pointsman.runner.supervisor import Supervisor
from pointsman.runner.worker import NATIVE, Hosting
from pointsman.spec.document import Document

__all__ = ["Summary", "run", "signals", "summary_of"]

_QUIET_SECONDS = 30.0
"""A worker that has not turned for so long is not healthy."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did."""

    events: int
    decisions: int
    dead_letters: int
    skipped: int
    failures: int
    seconds: float
    routes: dict[str, int]


def run(
    document: Document,
    settings: Settings,
    *,
    watch: bool = False,
    clock: Clock | None = None,
    hosting: Hosting = NATIVE,
) -> Summary:
    """Runs the pipeline until it is stopped, idle, or at its number of events.

    SIGTERM and Ctrl-C finish what was taken, commit, and leave the group; a second Ctrl-C ends at once.

    Args:
        watch: Whether a person looks at the terminal: a live view instead of log lines.
        hosting: Who hosts the workers.

    Raises:
        PointsmanError: It cannot begin or cannot go on; what was committed stays right.
    """
    clock = clock or SystemClock()
    begin = None if settings.begin is None else Begin.parse(settings.begin)
    with ExitStack() as stack:
        lines = to_stream(clock, as_json=settings.as_json)
        view = stack.enter_context(live(f"{document.pipeline} {document.policy}")) if watch else None
        say: Say = view.say if view else lines
        cluster = reach(document)
        ground = hosting.ground(document, cluster, settings)
        taken = _taken(document, settings)
        if begin is not None:
            for group, topics in taken.items():
                whole = topics if settings.models else document.source.topics
                rewind(document, cluster, begin, say, group, whole)
            stores = () if settings.models else stores_of(document)
            kept = [hosting.changelog(document, spec.name) for spec in stores]
            if any(found is not None and found.records for found in cluster.describe(kept).values()):
                say("state_stays", topics=kept)
        say("started", **_facts(document, settings))
        crew: Alone | Supervisor
        if settings.seats == 1:
            crew = Alone(document, ground, settings, say, clock, hosting)
        else:
            total = ground.partitions * sum(map(len, taken.values()))
            crew = Supervisor(settings, say, clock, total, hosting)
        stack.enter_context(signals(crew.stop, crew.kill))
        if settings.metrics_port is not None:
            server = MetricsServer(
                settings.metrics_port, crew.snapshot, crew.healthy, crew.ready, settings.metrics_host
            )
            say("metrics_served", address=stack.enter_context(server).address)
        screen = view or Lines(say)
        monitor = Monitor(crew.snapshot, screen, VIEW_SECONDS if view else LINE_SECONDS, clock)
        try:
            with monitor:
                crew.run()
        finally:
            if view:
                view.show(crew.snapshot(), monitor.elapsed)
        summary = summary_of(crew.snapshot(), monitor.elapsed)
        say(
            "ended",
            **{name: getattr(summary, name) for name in ("events", "decisions", "dead_letters", "seconds")},
        )
    return summary


class Alone:
    """The one worker of a run, in this process."""

    def __init__(
        self,
        document: Document,
        ground: Ground,
        settings: Settings,
        say: Say,
        clock: Clock,
        hosting: Hosting = NATIVE,
    ) -> None:
        self._document = document
        self._ground = ground
        self._settings = settings
        self._clock = clock
        self._hosting = hosting
        quota = None if settings.max_events is None else Quota(settings.max_events)
        self._link = LocalLink(say, quota, clock)

    def run(self) -> None:
        """Returns once the worker has ended."""
        self._hosting.serve(self._document, self._ground, self._settings, 0, self._link, alone=True)

    def stop(self) -> None:
        """Asks the worker to finish."""
        self._link.stop()

    def kill(self) -> None:
        """Nothing: the worker ends with this process."""

    def snapshot(self) -> Snapshot:
        """What the worker counted."""
        return {**self._link.last.snapshot, "pointsman_workers": {(): 1.0}}

    def healthy(self) -> bool:
        """Whether the worker turns."""
        return self._clock.monotonic() - self._link.reported_at < _QUIET_SECONDS

    def ready(self) -> bool:
        """Whether the worker has its partitions."""
        return self._link.last.joined


@contextmanager
def signals(stop: Callable[[], None], kill: Callable[[], None]) -> Iterator[None]:
    """The first SIGTERM or Ctrl-C asks for the end, the second one is the end."""
    asked = [0]

    def handle(*_: Any) -> None:
        # Nothing is printed here: the signal may have come in the middle of a line.
        asked[0] += 1
        if asked[0] == 1:
            stop()
            return
        kill()
        os.write(2, b"\x1b[?25h\n" if os.isatty(2) else b"")  # the live view hides the cursor
        os._exit(130)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _taken(document: Document, settings: Settings) -> dict[str, list[str]]:
    """What is consumed, by consumer group."""
    if not settings.models:
        return {group_of(document): [*document.source.topics, *by_topics(document).values()]}
    return {group_of(document, model): [request_topic(document, model)] for model in settings.models}


def _facts(document: Document, settings: Settings) -> dict[str, Any]:
    taken = _taken(document, settings)
    return {
        "pipeline": document.pipeline,
        "policy": document.policy,
        "role": settings.role,
        "topics": [topic for topics in taken.values() for topic in topics],
        "group": ", ".join(taken),
        "workers": settings.seats,
    }


def summary_of(snapshot: Snapshot, seconds: float) -> Summary:
    found = numbers(snapshot)
    routes = {
        labels[0]: int(value)
        for labels, value in snapshot.get("pointsman_route_events_total", {}).items()
        if not isinstance(value, list)
    }
    return Summary(
        found["events"],
        found["decisions"],
        found["dead_letters"],
        found["skipped"],
        found["failures"],
        round(seconds, 3),
        routes,
    )
