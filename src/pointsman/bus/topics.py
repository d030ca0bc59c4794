"""The topics of a pipeline: finding, creating and measuring them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.client import MAX_RECORD_BYTES, connect
from pointsman.bus.faults import fault

__all__ = [
    "CHANGELOG",
    "DEFAULT_LARGEST",
    "DERIVED",
    "PartitionLag",
    "Topic",
    "Topics",
]

SECONDS: Final = 15.0
_SOON: Final = 0.02
_NO_LEADER_YET: Final = {
    "NOT_LEADER_FOR_PARTITION",
    "LEADER_NOT_AVAILABLE",
    "UNKNOWN_TOPIC_OR_PART",
    "UNKNOWN_LEADER_EPOCH",
    "FENCED_LEADER_EPOCH",
}
DEFAULT_LARGEST: Final = 1_000_000
"""Bytes of a record that any broker takes which was not told otherwise."""

DERIVED: Final[dict[str, str]] = {
    # Replayed old events must not expire at once, nor hide that they were decided today.
    "message.timestamp.type": "LogAppendTime",
    # A decision is larger than its event.
    "max.message.bytes": str(MAX_RECORD_BYTES + (1 << 20)),
}
"""The settings of the topics that a pipeline writes, where Pointsman creates them."""


CHANGELOG: Final[dict[str, str]] = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.3"}
"""The settings of topics that keep state: the last record of each key is enough."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is.

    Attributes:
        partitions: How many.
        records: Offsets between beginning and end, over all partitions; markers and holes count.
        config: Its settings, those of the broker included; empty where they may not be read.
    """

    name: str
    partitions: int
    records: int = 0
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far a group is behind in one partition.

    Attributes:
        committed: The group's offset; None where it has none.
        end: The offset that the next record gets.
        lag: Offsets between, counted from the partition's beginning where nothing is committed.
    """

    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


class Topics:
    """The topics of one Kafka cluster.

    Args:
        kafka: The document's `kafka:`.
        seconds: How long to try while no broker answers.

    Attributes:
        admin: The client, connected.
        address: Where the cluster is, for messages.

    Raises:
        EnvironmentFault: If no broker answers, it refuses, or it does not allow what is asked.
    """

    def __init__(self, kafka: Mapping[str, Any], *, seconds: float = 10.0) -> None:
        self.kafka = kafka
        self.address = str(kafka.get("bootstrap.servers", "localhost:9092"))
        self.admin = connect(kafka, seconds=seconds)

    def require_sources(self, names: Sequence[str]) -> int:
        """Returns the partition count of the source topics.

        Raises:
            EnvironmentFault: If one does not exist or may not be described, or their counts differ: events
                of one key would then meet different workers.
        """
        known = self._metadata()
        counts = {}
        for name in names:
            found = self._find(name, known)
            if found is None:
                raise self._missing(name, known)
            counts[name] = len(found.partitions)
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise EnvironmentFault(
                f"the source topics differ in partitions ({shown}); give them the same number, "
                "or a pipeline each"
            )
        return next(iter(counts.values()))

    def ensure_derived(
        self, names: Iterable[str], partitions: int, more: Mapping[str, str] | None = None
    ) -> list[str]:
        """Creates those of `names` that are missing, as topics that a pipeline writes; returns their names.

        What exists is left as it is.

        Args:
            more: Settings besides those of all such topics.
        """
        known = self._metadata()
        missing = [name for name in dict.fromkeys(names) if self._find(name, known) is None]
        return [name for name in missing if self.create(name, partitions, {**DERIVED, **(more or {})})]

    def create_changelog(self, name: str, partitions: int) -> bool:
        """Creates a topic that keeps state; returns False where it exists."""
        if self._find(name, self._metadata()) is not None:
            return False
        return self.create(name, partitions, CHANGELOG)

    def create(self, name: str, partitions: int, config: Mapping[str, str] | None = None) -> bool:
        """Creates a topic and waits until each partition has a leader; returns False where it exists."""
        from confluent_kafka import KafkaException
        from confluent_kafka.cimpl import NewTopic

        new = NewTopic(name, num_partitions=partitions, config=dict(config or {}))
        with self._or_fault(f"cannot create the topic {name}", name):
            try:
                self.admin.create_topics([new], request_timeout=SECONDS)[name].result()
            except KafkaException as error:
                if error.args[0].name() == "TOPIC_ALREADY_EXISTS":
                    return False
                raise
        self._settle(name)
        return True

    def describe(self, names: Iterable[str]) -> dict[str, Topic | None]:
        """Returns each topic by name; None for one that does not exist."""
        known = self._metadata()
        described: dict[str, Topic | None] = {}
        for name in dict.fromkeys(names):
            found = self._find(name, known)
            if found is None:
                described[name] = None
                continue
            numbers = sorted(found.partitions)
            records = sum(self._offsets(name, numbers, end=True)) - sum(
                self._offsets(name, numbers, end=False)
            )
            described[name] = Topic(name, len(numbers), records, self._config(name))
        return described

    def seen(self, names: Iterable[str]) -> set[str]:
        """Returns those that exist, as far as this user may see them."""
        return self._metadata().keys() & set(names)

    def largest_record(self, names: Iterable[str]) -> int:
        """Returns the bytes of the largest record that all of these topics take.

        A broker refuses a larger one together with the innocent records beside it, so the producer must
        know. Where the settings may not be read it is what any broker takes.
        """
        limits = [int(self._config(name).get("max.message.bytes", DEFAULT_LARGEST)) for name in names]
        # The broker counts the batch around the record too.
        return min([MAX_RECORD_BYTES, *(limit - 512 for limit in limits)])

    def lag(self, group: str, names: Iterable[str]) -> list[PartitionLag]:
        """Returns how far `group` is behind, partition by partition; absent topics are left out."""
        from confluent_kafka import ConsumerGroupTopicPartitions

        with self._or_fault(f"cannot read the offsets of the group {group}", group):
            request = [ConsumerGroupTopicPartitions(group)]
            reply = self.admin.list_consumer_group_offsets(request, request_timeout=SECONDS)[group].result()
        committed = {
            (one.topic, one.partition): one.offset for one in reply.topic_partitions if one.offset >= 0
        }
        known = self._metadata()
        rows = []
        for name in dict.fromkeys(names):
            numbers = sorted(known[name].partitions) if name in known else []
            firsts, ends = (self._offsets(name, numbers, end=end) for end in (False, True))
            for number, first, end in zip(numbers, firsts, ends, strict=True):
                at = committed.get((name, number))
                rows.append(PartitionLag(name, number, at, end, end - max(first, at or 0)))
        return rows

    @contextmanager
    def _or_fault(self, doing: str, name: str = "") -> Iterator[None]:
        from confluent_kafka import KafkaException

        try:
            yield
        except KafkaException as error:
            raise fault(error.args[0], self.kafka, doing, name) from error

    def _metadata(self) -> dict[str, Any]:
        with self._or_fault("cannot list topics"):
            return dict(self.admin.list_topics(timeout=SECONDS).topics)

    def _find(self, name: str, known: Mapping[str, Any]) -> Any:
        """Returns a topic's metadata, None where there is none; raises for one that this user may not see."""
        if name in known:
            return known[name]
        with self._or_fault(f"cannot look up the topic {name}", name):
            found = self.admin.list_topics(name, timeout=SECONDS).topics[name]
        if found.error is None:
            return found
        if found.error.name() == "UNKNOWN_TOPIC_OR_PART":
            return None
        raise fault(found.error, self.kafka, f"cannot look up the topic {name}", name)

    def _missing(self, name: str, known: Iterable[str]) -> EnvironmentFault:
        near = get_close_matches(name, [other for other in known if not other.startswith("__")], 3, 0.6)
        hint = f"did you mean {' or '.join(repr(other) for other in near)}? " if near else ""
        return EnvironmentFault(
            f"the source topic '{name}' does not exist at {self.address}; {hint}"
            "'pointsman topics --create' or 'pointsman send' creates it"
        )

    def _settle(self, name: str) -> None:
        """Returns once the new topic's partitions answer; a quicker producer meets an unknown topic."""
        deadline = time.monotonic() + SECONDS
        while (found := self._find(name, self._metadata())) is None and time.monotonic() < deadline:
            time.sleep(_SOON)
        self._offsets(name, sorted(found.partitions) if found else [0], end=True)

    def _offsets(self, name: str, numbers: Sequence[int], *, end: bool) -> list[int]:
        """Returns where the partitions of a topic that exists begin or end; waits for their leaders."""
        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

        spec = OffsetSpec.latest() if end else OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # theirs
        request = {TopicPartition(name, number): spec for number in numbers}
        deadline = time.monotonic() + SECONDS
        while request:
            with self._or_fault(f"cannot measure the topic {name}", name):
                try:
                    reply = self.admin.list_offsets(request, request_timeout=SECONDS)
                    found = {place.partition: future.result().offset for place, future in reply.items()}
                    return [found[number] for number in numbers]
                except KafkaException as error:
                    if error.args[0].name() not in _NO_LEADER_YET or time.monotonic() > deadline:
                        raise
            time.sleep(_SOON)
        return []

    def _config(self, name: str) -> dict[str, str]:
        """Returns a topic's settings; none where this user may not read them."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]  # as above

        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        with self._or_fault(f"cannot read the settings of the topic {name}", name):
            try:
                entries = self.admin.describe_configs([resource], request_timeout=SECONDS)[resource].result()
            except KafkaException as error:
                if error.args[0].name() == "TOPIC_AUTHORIZATION_FAILED":
                    return {}
                raise
        return {entry.name: entry.value for entry in entries.values()}
