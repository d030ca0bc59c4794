"""What the changelogs of a pipeline hold, read as it is committed; for people, beside the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pointsman.bus.read import Place, read_committed
from pointsman.bus.topics import Topics
from pointsman.engine.build import stores_of
from pointsman.runner.changes import changelog
from pointsman.runner.restore import limits
from pointsman.spec.document import Document
from pointsman.state.base import StoreSpec, is_change, parted
from pointsman.state.memory import Memory

__all__ = ["Kept", "Stored", "look_up", "sizes"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A store as it is.

    Attributes:
        partitions: How many; None where there is no changelog yet.
        keys: Keys of which something is remembered.
        records: Records of those keys.
        bytes: Bytes of those records.
        log_records: Records in the changelog, replaced ones that were not cleaned away included.
    """

    field: str
    topic: str
    partitions: int | None
    keys: int = 0
    records: int = 0
    bytes: int = 0
    log_records: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of one key in one partition."""

    field: str
    partition: int
    value: Any


def sizes(document: Document, cluster: Topics) -> list[Stored]:
    """The stores of a document with how much they hold; reads the changelogs whole.

    Raises:
        EnvironmentFault: A changelog cannot be read.
    """
    found = []
    for spec in stores_of(document):
        topic = changelog(document, spec.name)
        partitions = _partitions(cluster, topic)
        if partitions is None:
            found.append(Stored(spec.field, topic, None))
            continue
        held: dict[tuple[int, bytes], int] = {}
        seen = 0
        for number, name, value in _records(document, topic, partitions):
            seen += 1
            if value is None:
                held.pop((number, name), None)
            else:
                held[number, name] = len(name) + len(value)
        keys = {(number, name[:-3]) for number, name in held}
        found.append(Stored(spec.field, topic, partitions, len(keys), len(held), sum(held.values()), seen))
    return found


def look_up(document: Document, cluster: Topics, key: str, field: str | None = None) -> list[Kept]:
    """What is remembered of `key`, in each partition where that is something.

    Args:
        field: Look there alone.

    Raises:
        EnvironmentFault: A changelog cannot be read.
    """
    found = []
    for spec in stores_of(document):
        if field in (None, spec.field):
            found += _look_up(document, cluster, spec, key)
    return found


def _look_up(document: Document, cluster: Topics, spec: StoreSpec, key: str) -> list[Kept]:
    topic = changelog(document, spec.name)
    partitions = _partitions(cluster, topic)
    if partitions is None:
        return []
    backings: dict[int, Memory] = {}
    for number, name, value in _records(document, topic, partitions):
        if parted(name)[0] == key:
            backings.setdefault(number, Memory()).load([(name, value)])
    shown = ((number, spec.make(backing).show(key)) for number, backing in sorted(backings.items()))
    return [Kept(spec.field, number, value) for number, value in shown if value is not None]


def _partitions(cluster: Topics, topic: str) -> int | None:
    known = cluster.describe([topic])[topic]
    return None if known is None else known.partitions


def _records(document: Document, topic: str, partitions: int) -> Any:
    """The partition, key and value of each committed record."""
    places: list[Place] = [(topic, number) for number in range(partitions)]
    begins, ends = limits(document.kafka, places)
    for batch in read_committed(document.kafka, begins, ends):
        for (_, number), messages in batch.items():
            for message in messages:
                if is_change(message.key()):
                    yield number, message.key(), message.value()
