"""`pointsman run --on kafka-streams`: the pipeline inside Kafka Streams, which runs in this process.

    source topics, <p>.by.<field> ──► Decide ──frame──► Framed.handle ──effects──► Decide ──► the topics named
                                        │                    │ fetch
                                        └── stores of bytes ◄┘

Kafka Streams consumes, keeps state in RocksDB with changelogs, commits and balances; `jvm/` collects its
records into frames. One frame at a time and stream thread is decided in Python.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import UsageError
from pointsman.bus.topics import CHANGELOG, Topics
from pointsman.engine.build import stores_of
from pointsman.runner import native
from pointsman.runner.framed import ground_of
from pointsman.runner.hosts import KAFKA_STREAMS, require
from pointsman.runner.link import Link
from pointsman.runner.native import Summary
from pointsman.runner.settings import Settings
from pointsman.runner.stages import by_topics
from pointsman.runner.start import Ground, group_of
from pointsman.runner.streams_config import RECORDS, WAIT_MS, config, folder_of
from pointsman.runner.streams_jvm import Java
from pointsman.runner.streams_worker import Brain, StreamsWorker
from pointsman.runner.worker import Hosting
from pointsman.spec.document import Document

__all__ = ["HOSTING", "run"]

_BYTES: Final = 4 << 20
"""Of a full frame."""

_NOTHING: Final = {"application.id": "dry-run", "bootstrap.servers": "localhost:9092"}
"""For a topology that is only shown."""

_RETRIES: Final = 3
"""How often a stream thread that failed is replaced, before the run ends."""

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


def _serve(
    document: Document, ground: Ground, settings: Settings, number: int, link: Link, *, alone: bool
) -> None:
    """Runs one worker of the run."""
    with ExitStack() as stack:
        folder = folder_of(document, settings, number, stack)
        java = Java(folder / "native")
        brains: list[Brain] = []
        seats = []
        for _ in range(settings.threads):
            seat = java.named("Seat")()
            brain = Brain(java, seat, document, ground, settings, link)
            stack.callback(brain.framed.close)
            seat.seat(java.implement("Brain", brain))
            brains.append(brain)
            seats.append(seat)
        host = _host(java, document, seats, config(document, ground, settings, number, folder))
        worker = StreamsWorker(java, host, brains, link, bool(by_topics(document)))
        worker.run(settings.until_idle if alone else None)


def _host(java: Java, document: Document, seats: Sequence[Any], properties: dict[str, str]) -> Any:
    """Kafka Streams with the topology of a document, not begun yet."""
    begin = str(document.kafka.get("auto.offset.reset", "earliest"))
    listed = java.strings(())
    for seat in seats:
        listed.add(seat)
    return java.named("Host")(
        java.texts(properties),
        listed,
        java.strings(document.source.topics),
        _RESETS.get(begin, begin),
        java.strings(list(by_topics(document).values())),
        java.strings([spec.name for spec in stores_of(document)]),
        java.texts(CHANGELOG),
        RECORDS,
        _BYTES,
        WAIT_MS[document.profile],
        _RETRIES,
    )


def _ground(document: Document, cluster: Topics, settings: Settings) -> Ground:
    """The topics of the pipeline; those of requests where dispatchers run plans."""
    return ground_of(document, cluster, settings.role)


def _changelog(document: Document, store: str) -> str:
    return f"{group_of(document)}-{store}-changelog"


HOSTING: Final = Hosting(_ground, _serve, _changelog)
