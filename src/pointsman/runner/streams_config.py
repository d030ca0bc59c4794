"""What Kafka Streams is told: our terms, the document's over them, and last what guarantees rest on."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from pointsman.runner.settings import Settings
from pointsman.runner.start import Ground, group_of
from pointsman.runner.streams_properties import java_properties
from pointsman.spec.document import Document

__all__ = ["RECORDS", "WAIT_MS", "config", "folder_of"]

RECORDS: Final = 2000
"""Of a full frame."""

WAIT_MS: Final = {"throughput": 50, "latency": 5}
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

_TEMPORARY: Final = "pointsman-streams-"
"""How temporary folders are called; the process' number follows."""

_LINGER_MS: Final = {"throughput": "20", "latency": "0"}
_BATCH_BYTES: Final = 512 << 10

_COMMIT_MS: Final = {"exactly_once": "100", "at_least_once": "1000"}

_LEAST_SECONDS = 10
"""What a transaction may take in any case."""

_LONGEST_MS = 900_000
"""What brokers allow by default."""


def config(
    document: Document, ground: Ground, settings: Settings, number: int, folder: Path
) -> dict[str, str]:
    """The properties of Kafka Streams.

    Args:
        number: Which of the run's workers it is for.
        folder: Where Kafka Streams keeps its state.

    Raises:
        Misfit: A property of the document has no counterpart in Java; `hosts.require` tells before.
    """
    own = java_properties(document.kafka)
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
        "poll.ms": str(WAIT_MS[document.profile]),  # while it waits for records it does not look at the clock
        "max.task.idle.ms": "-1",  # events that went on by another key do not wait for others
        "enable.metrics.push": "false",
        "auto.include.jmx.reporter": "false",
        "isolation.level": "read_committed",
        "max.poll.records": str(RECORDS),
        "buffered.records.per.partition": str(2 * RECORDS),
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


def folder_of(document: Document, settings: Settings, number: int, stack: ExitStack) -> Path:
    """Where Kafka Streams keeps its state: a process has a folder of its own.

    Args:
        stack: Removes what is temporary.
    """
    if settings.state_dir is not None:
        return settings.state_dir / document.pipeline / f"kafka-streams-{number}"
    for left in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*-*"):
        owner = left.name.removeprefix(_TEMPORARY).partition("-")[0]
        if owner.isdecimal() and not _lives(int(owner)):  # it was killed
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{os.getpid()}-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
