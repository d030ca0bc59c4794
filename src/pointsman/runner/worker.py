"""A worker put together, the host, a producer and the loop; in this process or in one of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final

from pointsman.base.clock import SystemClock
from pointsman.base.errors import PointsmanError
from pointsman.bus.client import client_config
from pointsman.bus.topics import Topics
from pointsman.runner import collector
from pointsman.runner.changes import changelog
from pointsman.runner.dispatcher import Dispatcher
from pointsman.runner.exactly_once import ExactlyOnce
from pointsman.runner.headers import headers_for
from pointsman.runner.host import Host
from pointsman.runner.link import Link, Report
from pointsman.runner.logs import Say
from pointsman.runner.loop import Pace, Worker
from pointsman.runner.metrics import Metrics
from pointsman.runner.overload import Overload
from pointsman.runner.requests import request_topic
from pointsman.runner.router import Router
from pointsman.runner.settings import Settings
from pointsman.runner.stages import Stages, by_topics
from pointsman.runner.start import Ground, group_of, prepare, prepare_changelogs, reach
from pointsman.runner.state import StateKeeper, backing_in
from pointsman.runner.tracing import open_tracing
from pointsman.runner.transactional import TransactionalWriter, timeout_of
from pointsman.runner.versions import Versions
from pointsman.runner.writer import Writer
from pointsman.spec import load
from pointsman.spec.document import Document

__all__ = ["PACES", "SharedQuota", "serve", "transactional_id", "work"]

PACES = {
    "throughput": Pace(batch=1000, commit=1.0, patience=0.010, gather=0.002),
    "latency": Pace(batch=500, commit=0.5, grace=0.5, patience=0.003, slice=0.001),
}
"""How a worker goes about it, by profile; the document's limits come on top."""

_TROUBLE_SECONDS = 5.0
"""Between two log lines about a broker that does not answer; the client reports it ten times a second."""


def serve(
    document: Document, ground: Ground, settings: Settings, number: int, link: Link, *, alone: bool
) -> None:
    """Runs one worker of `document` until it ends.

    Args:
        number: Which of the run's workers it is, from 0.
        alone: Whether it ends by itself when it has been idle long enough.

    Raises:
        PointsmanError: It cannot go on.
    """
    metrics = Metrics()
    while True:
        renewed = _serve(document, ground, settings, number, link, metrics, alone=alone)
        if renewed is None:
            return
        document = renewed
        collector.sweep()
        ground = prepare(document, reach(document), settings.role, settings.models)


def _serve(
    document: Document,
    ground: Ground,
    settings: Settings,
    number: int,
    link: Link,
    metrics: Metrics,
    *,
    alone: bool,
) -> Document | None:
    """Runs one worker; returns the document to go on with, where it ended because that was replaced."""
    model = settings.model(number)
    onward = {} if model else by_topics(document)
    taken = (request_topic(document, model),) if model else (*document.source.topics, *onward.values())
    versions = None
    if model:
        versions = Versions(document, partial(load, settings.path, settings.overlays), link.say, metrics)
    client = f"{document.pipeline}-{settings.instance}-{number}"
    trouble = _sometimes(link.say)
    exactly_once = document.delivery == "exactly_once"
    producer = _producer(document, ground, client, trouble)
    if exactly_once:
        producer |= {"transactional.id": transactional_id(document, settings, number)}
        producer |= timeout_of(document.kafka)
    writer = (TransactionalWriter if exactly_once else Writer)(
        producer,
        ground.decisions,
        ground.dead_letters,
        metrics,
        ground.extracts,
        ground.requests,
    )
    writer.onward = ground.onward
    host = _host(document, settings.role, model, writer, metrics)
    host.tracing = open_tracing(document.pipeline, os.environ, hops=bool(model))
    try:
        host.follow_tables(link.say, lambda: link.stopping)
        host.keep_tables_fresh(link.say)
        pace = replace(
            PACES[document.profile],
            in_flight=document.limits.in_flight,
            bytes=document.limits.bytes,
            until_idle=settings.until_idle if alone else None,
        )
        consumer = _consumer(document, settings, client, number, trouble)
        stages = host.stages = Stages(document, host.policy) if onward else None
        state = None if model else _state(document, ground, settings, host, writer, link, metrics)
        if state is not None and len(taken) > 1:
            # Partitions of one number have one state, so one worker has them in every topic.
            consumer["partition.assignment.strategy"] = "range"
        headers = headers_for(document.write.headers)
        if host.tracing is not None and settings.role != "route":  # whose records are requests
            headers = host.tracing.around(headers)
        overload = None
        if (most := document.limits.max_lag) is not None:
            overload = Overload(most, host, link.say, metrics, decides=not model)
        collector.settle(document.profile)
        worker = (ExactlyOnce if exactly_once else Worker)(
            host,
            writer,
            taken,
            consumer,
            pace,
            link,
            metrics,
            headers,
            count=host.count_requests,
            overload=overload,
            versions=versions,
            owns=host.own,
            state=state,
            stages=stages,
        )
        if isinstance(worker, ExactlyOnce) and isinstance(host, Router):
            host.asks = worker.transactions
        worker.run()
    finally:
        host.close()
        if host.tracing is not None:
            host.tracing.close()
    return None if versions is None else versions.renewed


def _host(document: Document, role: str, model: str, writer: Writer, metrics: Metrics) -> Host:
    """What decides and calls models in this role."""
    if role == "route":
        return Router.onto(writer, document, metrics)
    return Dispatcher.of(model, document, metrics) if model else Host.open(document, metrics)


def _state(
    document: Document,
    ground: Ground,
    settings: Settings,
    host: Host,
    writer: Writer,
    link: Link,
    metrics: Metrics,
) -> StateKeeper | None:
    """What the worker remembers; None where the policy has no store."""
    stores = host.policy.stores
    if not stores:
        return None
    writer.changelogs = {spec.name: changelog(document, spec.name) for spec in stores}
    prepare_changelogs(document, writer.changelogs.values(), ground.partitions, link.say)
    state = StateKeeper(
        stores,
        writer.changelogs,
        ground.partitions,
        document.kafka,
        backing_in(settings.state_dir, document.pipeline, settled=document.delivery != "exactly_once"),
        link.say,
        metrics,
    )
    host.state, host.after = state, state.see
    # At least once, a commit is soon enough for what changed; what changes often is then written once.
    host.drains = document.delivery == "exactly_once"
    return state


def transactional_id(document: Document, settings: Settings, number: int) -> str:
    """The name by which the cluster knows a worker's transactions, the same after a restart."""
    role = settings.model(number) or ("" if settings.role == "all" else settings.role)
    return "-".join(filter(None, (document.pipeline, settings.instance, role, str(number))))


def _consumer(
    document: Document, settings: Settings, client: str, number: int, trouble: Callable[[Any], None]
) -> dict[str, Any]:
    config = client_config(document.kafka, document.profile, "consumer", pipeline=document.pipeline)
    model = settings.model(number)
    config["group.id"] = group_of(document, model)
    if "group.instance.id" in config and settings.workers > 1:
        config["group.instance.id"] += f"-{number}"
    ends = {"enable.partition.eof": _ends_matter(document, settings, model)}
    return {"error_cb": trouble, **config, **ends, "client.id": client}


def _ends_matter(document: Document, settings: Settings, model: str) -> bool:
    """Whether the worker needs to know that it has taken all there is."""
    # A dispatcher has to know what is left before it takes a new version of the document.
    if settings.until_idle is not None or model:
        return True
    return settings.max_events is not None and bool(by_topics(document))


def _producer(
    document: Document, ground: Ground, client: str, trouble: Callable[[Any], None]
) -> dict[str, Any]:
    config = client_config(document.kafka, document.profile, "producer", pipeline=document.pipeline)
    sizes = [target.largest for target in ground.targets]
    return {
        "error_cb": trouble,
        # A batch larger than its topic takes is refused whole, with the small records in it.
        "batch.size": min(1_000_000, *sizes),
        **config,
        "message.max.bytes": max(sizes),
        "client.id": client,
    }


def _sometimes(say: Say) -> Callable[[Any], None]:
    """Tells of the client's troubles, one every few seconds."""
    clock, last = SystemClock(), [float("-inf")]

    def trouble(error: Any) -> None:
        now = clock.monotonic()
        if now - last[0] >= _TROUBLE_SECONDS:
            last[0] = now
            say("broker_trouble", problem=error.str())

    return trouble


class SharedQuota:
    """How many events a run may still take; shared by its processes."""

    def __init__(self, left: Any) -> None:
        """Args:
        left: A `multiprocessing.Value`.
        """
        self._left = left

    def take(self, most: int) -> int:
        """Takes up to `most` events from what is left; returns how many."""
        with self._left.get_lock():
            taken: int = min(most, self._left.value)
            self._left.value -= taken
            return taken

    def give_back(self, events: int) -> None:
        """Returns what was taken and not used."""
        with self._left.get_lock():
            self._left.value += events


class _PipeLink:
    """A worker's end of the pipe to the supervisor; where the supervisor is gone, the worker ends too."""

    def __init__(self, pipe: Connection, quota: SharedQuota | None) -> None:
        self.quota = quota
        self._pipe = pipe
        self._lock = threading.Lock()
        self._stop = threading.Event()
        threading.Thread(target=self._listen, name="pointsman-link", daemon=True).start()

    @property
    def stopping(self) -> bool:
        """Whether the worker should finish, commit and leave."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Asks for the end."""
        self._stop.set()

    def say(self, name: str, **fields: Any) -> None:
        """Has the supervisor write a log line."""
        self.send("log", name, fields)

    def report(self, report: Report) -> None:
        """Says how the worker is."""
        self.send("report", report)

    def send(self, *message: Any) -> None:
        """Sends one message."""
        try:
            with self._lock:
                self._pipe.send(message)
        except OSError:
            self._stop.set()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):  # the supervisor is gone
            self._pipe.recv()
        self._stop.set()


@dataclass(frozen=True, slots=True)
class Hosting:
    """Who hosts the workers of a run; both are functions of a module, as processes are handed them.

    Attributes:
        ground: Makes the ground that a run stands on.
        serve: Runs worker `number` until it is told to end, or is idle where it is `alone`.
        changelog: The topic that keeps a store.
    """

    ground: Callable[[Document, Topics, Settings], Ground]
    serve: Callable[..., None]
    changelog: Callable[[Document, str], str]


def _ground(document: Document, cluster: Topics, settings: Settings) -> Ground:
    return prepare(document, cluster, settings.role, settings.models)


NATIVE: Final = Hosting(_ground, serve, changelog)
"""Our own loop over Kafka's clients."""


def work(
    settings: Settings, number: int, pipe: Connection, quota: SharedQuota | None, hosting: Hosting = NATIVE
) -> None:
    """The main function of a worker's process."""
    link = _PipeLink(pipe, quota)
    # Ctrl-C reaches every process of the terminal; only the supervisor acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: link.stop())
    if settings.as_json:  # what models print must not stand in the run's summary
        sys.stdout = sys.stderr
    code = 0
    try:
        document = load(settings.path, settings.overlays)
        collector.calm()
        ground = hosting.ground(document, reach(document), settings)
        hosting.serve(document, ground, settings, number, link, alone=False)
    except PointsmanError as error:
        code = error.exit_code
        link.send("failed", code, str(error))
    pipe.close()
    # An abandoned model call may sit in a thread that never ends.
    os._exit(code)
