"""`pointsman run`: decides the events of a topic, or of a file."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.base.errors import UsageError
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Engine, Overlays, Pipeline, existing
from pointsman.cli.screen import is_terminal, prints_aside, say, warn, write_json

if TYPE_CHECKING:
    from pointsman.runner.native import Summary

__all__ = ["run"]


class Role(StrEnum):
    """What a run does."""

    all = "all"
    route = "route"
    dispatch = "dispatch"


def run(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    overlay: Overlays = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that share the work.")] = 1,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="earliest|latest|TIME",
            help="Begin there; by default at the committed offset, else the earliest.",
        ),
    ] = None,
    until_idle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="End after so long at the end of all partitions."),
    ] = None,
    max_events: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Decide the events of a file, one a line, with no broker; - is standard input.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Serve /metrics, /healthz and /readyz on this port; for this machine only."
        ),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Serve them there; 0.0.0.0 is for other machines too.")
    ] = "127.0.0.1",
    instance: Annotated[
        str | None, typer.Option(help="Names this deployment among several; the host's name by default.")
    ] = None,
    role: Annotated[
        Role | None,
        typer.Option(
            help="all; route decides and writes requests; dispatch reads those and calls models. All by "
            "default; on an engine, remote models are dispatched to unless all is said.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A model to dispatch to; may be given several times."),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep what is remembered of events on disk there, and not in memory alone.",
        ),
    ] = None,
    on: Annotated[
        Engine, typer.Option("--on", help="Who hosts the pipeline: Pointsman's own loop, or an engine.")
    ] = Engine.native,
    threads: Annotated[
        int | None, typer.Option(min=1, max=64, help="Stream threads of each worker on kafka-streams; 1.")
    ] = None,
    standbys: Annotated[
        int | None,
        typer.Option(min=0, max=8, help="Copies of the state that other workers keep on kafka-streams; 0."),
    ] = None,
    parallelism: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Parallel tasks of the job on flink; 1.")
    ] = None,
    master: Annotated[
        str | None,
        typer.Option(metavar="local|local-session|HOST:PORT", help="Where the job runs on flink; local."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the engine would run, and run nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decides events: enriches them, picks a model for each, calls it, writes the decision.

    Goes on until Ctrl-C or SIGTERM, which finish what was taken and commit it; a second Ctrl-C ends at once.
    With --events decisions go to standard output and dead letters to standard error, one JSON object a line.

    Examples:

      pointsman run

      pointsman run payments.yaml --workers 4 --metrics-port 9400

      pointsman run --from 2026-01-31T12:00:00Z --until-idle 5

      pointsman run --instance blue --state-dir /var/lib/pointsman

      pointsman run --role dispatch --model fraud-model-v2 --workers 2

      pointsman run --on kafka-streams --workers 2 --state-dir /var/lib/pointsman

      pointsman run --on flink --master local-session --parallelism 2

      pointsman run --events events.jsonl > decisions.jsonl
    """
    path = existing(pipeline)
    models = tuple(dict.fromkeys(model or ()))
    if bool(models) != (role is Role.dispatch):
        raise UsageError("--role dispatch and --model NAME go together: which model to dispatch to")
    _refuse_for(
        on,
        {
            Engine.kafka_streams: {"threads": threads, "standbys": standbys},
            Engine.flink: {"parallelism": parallelism, "master": master},
        },
        dry_run=dry_run,
    )
    if events is not None:
        split = None if role is Role.all else role
        _refuse_with_events(
            on=None if on is Engine.native else on,
            begin=begin,
            until_idle=until_idle,
            metrics_port=metrics_port,
            workers=workers,
            role=split,
            state_dir=state_dir,
        )
        _run_file(path, overlay, events, max_events)
        return
    from pointsman.runner import collector
    from pointsman.runner.settings import Settings
    from pointsman.spec import load

    settings = Settings(
        path=path,
        overlays=tuple(overlay or ()),
        workers=workers,
        begin=begin,
        until_idle=until_idle,
        max_events=max_events,
        instance=instance or socket.gethostname(),
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        as_json=as_json,
        role=role.value if role is not None else "all" if on is Engine.native else "engine",
        models=models,
        state_dir=None if state_dir is None else state_dir.absolute(),
        threads=threads or 1,
        standbys=standbys or 0,
    )
    collector.calm()
    # A dumb terminal cannot draw a line anew.
    watch = (
        not as_json and os.environ.get("TERM") != "dumb" and all(map(is_terminal, (sys.stdout, sys.stderr)))
    )
    with prints_aside() if as_json and not dry_run else nullcontext():
        host = _host(on, master, parallelism, dry_run)
        summary = host(load(path, settings.overlays), settings, watch=watch)
    if summary is None:
        return
    if as_json:
        write_json(asdict(summary))
    elif watch:
        say(_told(summary))


def _host(
    on: Engine, master: str | None, parallelism: int | None, dry_run: bool
) -> Callable[..., Summary | None]:
    """What runs a document there; it has no summary where it only says what it would do."""
    if on is Engine.kafka_streams:
        from pointsman.runner import kafka_streams

        return partial(kafka_streams.run, dry_run=dry_run)
    if on is Engine.flink:
        from pointsman.runner import flink

        return partial(flink.run, master=master or "local", parallelism=parallelism or 1, dry_run=dry_run)
    from pointsman.runner import native

    return native.run


def _refuse_for(on: Engine, options: dict[Engine, dict[str, Any]], *, dry_run: bool) -> None:
    """Options of one host mean nothing on another."""
    for host, its in options.items():
        given = [name for name, value in its.items() if value is not None]
        if given and host is not on:
            raise UsageError(f"--{given[0]} is for --on {host.value}: leave it out, or say so")
    if dry_run and on is Engine.native:
        raise UsageError(
            "--dry-run is for --on kafka-streams and --on flink; 'pointsman check' checks a document"
        )


def _refuse_with_events(*, workers: int, **options: Any) -> None:
    """Options that mean something only with a broker."""
    given = [name for name, value in options.items() if value is not None]
    given += ["workers"] if workers > 1 else []
    if given:
        name = "from" if given[0] == "begin" else given[0].replace("_", "-")
        raise UsageError(f"--{name} is for a topic and --events is a file: leave one of them out")


def _run_file(path: Path, overlay: list[Path] | None, events: str, max_events: int | None) -> None:
    from pointsman.runner.file import run_file
    from pointsman.runner.metrics import numbers
    from pointsman.spec import load

    document = load(path, tuple(overlay or ()))
    decisions = sys.stdout.buffer
    with prints_aside():
        metrics = run_file(document, events, most=max_events, decisions=decisions)
    if is_terminal(sys.stderr):
        found = numbers(metrics.snapshot())
        told = f"{found['decisions']:,} decisions, {found['dead_letters']:,} dead letters"
        warn(f"{found['events']:,} events: {told}")


def _told(summary: Summary) -> str:
    """What a run did, in a line."""
    rate = summary.events / summary.seconds if summary.seconds else 0.0
    skipped = f", {summary.skipped:,} skipped" if summary.skipped else ""
    return (
        f"{summary.events:,} events in {summary.seconds:.1f} s ({rate:,.0f} a second): "
        f"{summary.decisions:,} decisions, {summary.dead_letters:,} dead letters{skipped}"
    )
