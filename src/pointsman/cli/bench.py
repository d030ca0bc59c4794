"""`pointsman bench`: what this machine does with this pipeline, by stage."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.base.errors import UsageError
from pointsman.cli import reading
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Overlays, Pipeline, existing
from pointsman.cli.screen import columns, say, write_json

if TYPE_CHECKING:
    from pointsman.base.records import Batch
    from pointsman.runner.host import Host
    from pointsman.spec.document import Document

__all__ = ["bench"]

_BATCH = 2000
_MOST_DIFFERENT = 100_000
"""Events of the file that are kept and repeated."""


@dataclass(slots=True)
class Stage:
    """Time spent in one stage.

    Attributes:
        wall: Seconds.
        cpu: CPU-seconds of this process, all threads.
    """

    wall: float = 0.0
    cpu: float = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Adds what passes inside."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


def bench(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Events to use, again and again; events.jsonl beside it by default."
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many events.")] = 200_000,
    produce: Annotated[
        bool, typer.Option("--produce", help="Write to Kafka too, to a topic made for it and removed.")
    ] = False,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Measures this pipeline on this machine: events per second by stage.

    One process, no consumer; the models are really called.

    Examples:

      pointsman bench

      pointsman bench payments.yaml --events sample.jsonl -n 1000000 --json
    """
    from pointsman.runner.host import Host
    from pointsman.runner.logs import quiet
    from pointsman.spec import load

    document = load(existing(pipeline), overlay or ())
    path = events or pipeline.with_name("events.jsonl")
    form = reading.format_of(path, document.source.format)
    values = list(itertools.islice(reading.values(path, form), _MOST_DIFFERENT))
    if not values:
        raise UsageError(f"{path} holds no events")
    host = Host.open(document)
    try:
        host.follow_tables(quiet, everything=True)
        with _topic(document, wanted=produce) as send:
            stages = _measured(host, _batches(document, values, count), send)
    finally:
        host.close()
    _tell(path, len(values), count, stages, as_json)


def _batches(document: Document, values: Sequence[bytes], count: int) -> Iterator[Batch]:
    """`count` records of one partition, as polls."""
    from pointsman.base.records import Batch

    every = itertools.cycle(values)
    for first in range(0, count, _BATCH):
        size = min(_BATCH, count - first)
        now = time.time_ns() // 1_000_000
        yield Batch(
            list(itertools.islice(every, size)),
            [None] * size,
            [document.source.topics[0]] * size,
            [0] * size,
            list(range(first, first + size)),
            [now] * size,
            [None] * size,
            now,
        )


Send = Callable[[Sequence[Any], Sequence[bytes | None]], None]


def _measured(host: Host, batches: Iterator[Batch], send: Send | None) -> dict[str, Stage]:
    names = ("decode, enrich, route", "models", "encode", *(("produce",) if send else ()))
    stages = {name: Stage() for name in names}
    decide, models, encode = (stages[name] for name in names[:3])
    for batch in batches:
        with decide.measured():
            decided = host.decide(batch)
        with models.measured():
            calls = host.ask(decided, decided.calls)
        while calls:
            with encode.measured():
                follow = [c for call, ticket in calls for c in host.finish(decided, call, ticket)]
            with models.measured():
                calls = host.ask(decided, follow)
        if send is not None:
            with stages["produce"].measured():
                send(decided.keys, decided.values)
    return stages


@contextmanager
def _topic(document: Document, *, wanted: bool) -> Iterator[Send | None]:
    """Writes to a topic that is there as long as the measurement."""
    if not wanted:
        yield None
        return
    from confluent_kafka import Producer

    from pointsman.bus.client import client_config, connect, opened
    from pointsman.cli.wire import ensure_topic

    topic = f"{document.pipeline}.bench-{time.time_ns()}"
    ensure_topic(document.kafka, topic, 4)
    producer = opened(Producer, client_config(document.kafka, document.profile, "producer"))

    def send(keys: Sequence[Any], values: Sequence[bytes | None]) -> None:
        pairs = zip(keys, values, strict=True)
        producer.produce_batch(
            topic, [{"key": key, "value": value} for key, value in pairs if value is not None]
        )
        producer.flush()

    try:
        yield send
    finally:
        admin = connect(document.kafka)
        admin.delete_topics([topic])[topic].result(10)


def _tell(path: Path, different: int, count: int, stages: Mapping[str, Stage], as_json: bool) -> None:
    whole = Stage(sum(one.wall for one in stages.values()), sum(one.cpu for one in stages.values()))
    every = {**stages, "all": whole}
    if as_json:
        told = {
            name: {
                "events_per_second": round(count / max(one.wall, 1e-9)),
                "events_per_cpu_second": round(count / max(one.cpu, 1e-9)),
            }
            for name, one in every.items()
        }
        write_json({"events": count, "different": different, "stages": told})
        return
    say(f"{count:,} events ({different:,} different, of {path}) in batches of {_BATCH:,}, one process")
    rows = [["stage", "events/s", "per CPU-second", "of all CPU"]]
    rows += [
        [
            name,
            f"{count / max(one.wall, 1e-9):>10,.0f}",
            f"{count / max(one.cpu, 1e-9):>14,.0f}",
            f"{one.cpu / max(whole.cpu, 1e-9):>9.0%}",
        ]
        for name, one in every.items()
    ]
    say("\n".join(columns(rows)))
