"""What is to run inside Flink, as data: the Java program makes a job of it, and `--dry-run` shows it.

source   topics, the consumer's properties, where to begin without a checkpoint
frame    how much goes to Python at once
worker   how a task starts its Python process, what that opens, and what is shipped for it
sink     the producer's properties, delivery, the prefix of transactional ids
flink    Flink's own settings
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pointsman.bus.client import MAX_RECORD_BYTES
from pointsman.engine.build import stores_of
from pointsman.runner.extracts import EXTRACTS
from pointsman.runner.framed import away
from pointsman.runner.requests import request_topic
from pointsman.runner.settings import Settings
from pointsman.runner.stages import by_topics
from pointsman.runner.start import group_of
from pointsman.runner.streams_properties import java_properties
from pointsman.spec.document import Document

__all__ = ["Place", "plan_of", "shown", "told"]

_CHECKPOINT_MS: Final = 1000
"""Between two checkpoints: exactly once, a record is seen after the next one."""

_TRANSACTION_MS: Final = 600_000
"""How long a run may be down before the broker drops what it had written and not committed."""

_GROUPS: Final = 128
"""Groups of keys, the largest parallelism; as many as partitions where those are more."""

_FRAMES: Final = {
    "throughput": {"records": 1000, "bytes": 1 << 20, "milliseconds": 50},
    "latency": {"records": 500, "bytes": 1 << 20, "milliseconds": 5},
}
_PRODUCER: Final = {
    "throughput": {"linger.ms": "20", "batch.size": str(1 << 17)},
    "latency": {"linger.ms": "0"},
}
_PACKED: Final = "org.apache.flink.kafka.shaded."
"""Before the names of Kafka's classes in Flink's connector."""

_FLINK: Final = {
    "execution.checkpointing.interval": f"{_CHECKPOINT_MS} ms",
    "execution.checkpointing.min-pause": f"{_CHECKPOINT_MS // 2} ms",
    "execution.checkpointing.num-retained": "2",
    # Kept where the run fails or is killed; a savepoint stands for them.
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    "execution.checkpointing.tolerable-failed-checkpoints": "3",
    # A worker that fails is started anew; one that does so over and over ends the run.
    "restart-strategy.type": "failure-rate",
    "restart-strategy.failure-rate.max-failures-per-interval": "10",
    "restart-strategy.failure-rate.failure-rate-interval": "10 min",
    "restart-strategy.failure-rate.delay": "1 s",
}
_STATEFUL: Final = {"state.backend.type": "rocksdb", "execution.checkpointing.incremental": "true"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job runs.

    Attributes:
        master: As it was asked for.
        parallelism: Tasks that decide.
        cluster: The address of its REST interface; empty for a cluster in the program's own process.
        checkpoints: Where they go; empty leaves that to the cluster.
        savepoints: The same.
        restore: What to begin with; empty begins with nothing.
        begun: How often `--from` set the beginning anew.
        jars: What the cluster does not have.
        python: The program of a worker.
        ship: Folders that come with the job, by name.
        environment: Variables of the worker.
        document: Where the worker finds the document.
        overlays: The same of what is merged over it.
        flink: Further settings of Flink's.
    """

    master: str
    parallelism: int
    python: str
    document: str
    overlays: Sequence[str] = ()
    cluster: str = ""
    checkpoints: str = ""
    savepoints: str = ""
    restore: str = ""
    begun: int = 0
    jars: Sequence[Path] = ()
    ship: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    flink: Mapping[str, str] = field(default_factory=dict)


def plan_of(document: Document, settings: Settings, partitions: int, place: Place) -> dict[str, Any]:
    """The whole plan; it holds what the document's `kafka:` holds, secrets included.

    Args:
        partitions: How many the source has.

    Raises:
        Misfit: Java's clients cannot do what a property of `kafka:` says.
    """
    onward = list(by_topics(document).values())
    role = "all" if settings.role == "all" else "engine"
    return {
        "job": f"{document.pipeline} ({settings.instance})",
        "master": place.master,
        "cluster": place.cluster,
        "parallelism": place.parallelism,
        "partitions": partitions,
        "groups": max(_GROUPS, 1 << (partitions - 1).bit_length()),
        "jars": [str(jar) for jar in place.jars],
        "savepoints": place.savepoints,
        "source": {
            "topics": [*document.source.topics, *onward],
            "own": onward,
            "reset": _reset(document),
            # Another name is another source, whose offsets no checkpoint knows.
            "uid": f"source-{place.begun}" if place.begun else "source",
            "properties": _consumer(document),
        },
        "frame": _FRAMES[document.profile],
        "worker": {
            "command": [place.python, "-m", "pointsman.runner.flink_worker"],
            "environment": dict(place.environment),
            "ship": {name: str(folder) for name, folder in place.ship.items()},
            "open": {
                "document": place.document,
                "overlays": list(place.overlays),
                "role": role,
            },
        },
        "stores": [spec.name for spec in stores_of(document)],
        "sink": {
            "topics": _written(document, onward, away(document, role)),
            "delivery": document.delivery,
            "prefix": f"{document.pipeline}-{settings.instance}",
            "properties": _producer(document),
        },
        "flink": _settings(document, place),
    }


def _written(document: Document, onward: Sequence[str], gone: Sequence[str]) -> list[str]:
    write = document.write
    extracts = [topic for key in EXTRACTS if (topic := getattr(write, key)) is not None]
    requests = [request_topic(document, model) for model in gone]
    return list(dict.fromkeys([write.decisions, write.dead_letters, *extracts, *requests, *onward]))


def _reset(document: Document) -> str:
    found = str(document.kafka.get("auto.offset.reset", "earliest"))
    return "latest" if found in ("latest", "end", "largest") else "earliest"


def _consumer(document: Document) -> dict[str, str]:
    return {
        "metadata.max.age.ms": "10000",
        **_properties(document),
        "group.id": group_of(document),
        "isolation.level": "read_committed",
        # State belongs to the number of a partition among so many.
        "partition.discovery.interval.ms": "-1" if stores_of(document) else "10000",
        "enable.auto.commit": "false",
    }


def _producer(document: Document) -> dict[str, str]:
    return {
        "compression.type": "lz4",
        "buffer.memory": str(64 << 20),
        "max.request.size": str(MAX_RECORD_BYTES + (1 << 20)),
        "transaction.timeout.ms": str(_TRANSACTION_MS),
        **_PRODUCER[document.profile],
        **_properties(document),
        "acks": "all",
        "enable.idempotence": "true",
    }


def _properties(document: Document) -> dict[str, str]:
    found = {"bootstrap.servers": "localhost:9092", **java_properties(document.kafka)}
    return {
        name: value.replace("org.apache.kafka.", f"{_PACKED}org.apache.kafka.")
        if name.startswith("sasl.")
        else value
        for name, value in found.items()
    }


def _settings(document: Document, place: Place) -> dict[str, str]:
    found = {**_FLINK, **(_STATEFUL if stores_of(document) else {}), **place.flink}
    if document.delivery == "at_least_once":
        found["execution.checkpointing.mode"] = "AT_LEAST_ONCE"
    if place.checkpoints:
        found["execution.checkpointing.storage"] = "filesystem"
        found["execution.checkpointing.dir"] = place.checkpoints
    if place.restore:
        found["execution.state-recovery.path"] = place.restore
        found["execution.state-recovery.ignore-unclaimed-state"] = str(place.begun > 0).lower()
    return found


def shown(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan without secrets."""
    found = dict(plan)
    for side in ("source", "sink"):
        properties = {
            name: value if not _secret(name) else "…" for name, value in plan[side]["properties"].items()
        }
        found[side] = {**plan[side], "properties": properties}
    return found


def _secret(name: str) -> bool:
    return "jaas" in name or "password" in name or "secret" in name or name.endswith("keystore.key")


def told(plan: Mapping[str, Any]) -> str:
    """The plan for people."""
    source, frame, sink, worker = (plan[name] for name in ("source", "frame", "sink", "worker"))
    flink = plan["flink"]
    where = f"{plan['master']} ({plan['cluster']})" if plan["cluster"] else plan["master"]
    rows = [
        ("job", f"{plan['job']}, parallelism {plan['parallelism']} of {plan['groups']}, on {where}"),
        ("source", f"{', '.join(source['topics'])} ({plan['partitions']} partitions)"),
        ("", f"group {source['properties']['group.id']}, without a commit from the {source['reset']}"),
        ("frames", f"{frame['records']} records or {frame['milliseconds']} ms, by partition"),
        ("decide", " ".join(worker["command"])),
        ("", worker["open"]["document"]),
        ("state", ", ".join(plan["stores"]) or "none"),
        ("sink", f"{sink['delivery']}, transactional ids {sink['prefix']}…"),
        ("checkpoints", f"every {flink['execution.checkpointing.interval']}"),
        ("", flink.get("execution.checkpointing.dir", "where the cluster says")),
        ("begins with", flink.get("execution.state-recovery.path", "nothing")),
        *(("ships", f"{name}: {folder}") for name, folder in worker["ship"].items()),
    ]
    return "\n".join(f"{name:<13}{text}" for name, text in rows)
