"""What lies behind the offsets that a job elsewhere has committed: its lag, and whether it is idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import admin as kafka_admin

from pointsman.bus.client import client_config
from pointsman.bus.topics import Topics
from pointsman.runner.start import group_of
from pointsman.spec.document import Document

__all__ = ["Behind"]

_SECONDS: Final = 10.0

Where = tuple[str, int]


class Behind:
    """Looks at the ends of topics and at what was committed, beside a job."""

    def __init__(self, document: Document, cluster: Topics, topics: Sequence[str]) -> None:
        """Args:
        topics: What the job consumes.
        """
        config = client_config(document.kafka, document.profile, "consumer", pipeline=document.pipeline)
        config |= {"group.id": group_of(document), "enable.partition.eof": True}
        config |= {"fetch.message.max.bytes": 1}  # one record tells that there is one
        self._admin = cluster.admin
        known = self._admin.list_topics(timeout=_SECONDS).topics
        self._places = [
            TopicPartition(topic, number) for topic in topics for number in sorted(known[topic].partitions)
        ]
        self._consumer = Consumer(config)
        self._empty: dict[Where, tuple[int, int]] = {}

    def lags(self) -> Mapping[Where, int]:
        """How many offsets lie behind, by topic and partition; none where nobody answers."""
        try:
            ranges = self._ranges()
        except KafkaException:
            return {}
        return {
            where: 0 if self._empty.get(where) == (at, end) else max(0, end - at)
            for where, (at, end, _) in ranges.items()
        }

    def nothing(self) -> bool:
        """Whether nothing is left to read; False where nobody answers."""
        try:
            return all(self._is_empty(where, *found) for where, found in self._ranges().items())
        except KafkaException:
            return False

    def close(self) -> None:
        """Lets go of the client."""
        self._consumer.close()

    def _ranges(self) -> dict[Where, tuple[int, int, bool]]:
        """Of each partition, where the job is, the end, and whether that was committed."""
        spec: Any = kafka_admin.OffsetSpec  # type: ignore[attr-defined]  # it is there, but not listed
        begins, ends = (self._offsets(side) for side in (spec.earliest(), spec.latest()))
        asked = [TopicPartition(place.topic, place.partition) for place in self._places]
        found = {}
        for place in self._consumer.committed(asked, timeout=_SECONDS):
            where = (place.topic, place.partition)
            at = place.offset if place.offset >= 0 else begins[where]
            found[where] = (at, ends[where], place.offset >= 0)
        return found

    def _offsets(self, side: Any) -> dict[Where, int]:
        reply = self._admin.list_offsets(dict.fromkeys(self._places, side), request_timeout=_SECONDS)
        return {(p.topic, p.partition): future.result().offset for p, future in reply.items()}

    def _is_empty(self, where: Where, at: int, end: int, committed: bool) -> bool:
        """Whether no record lies between what was committed and the end; markers of transactions may."""
        if at >= end or self._empty.get(where) == (at, end):
            return True
        self._consumer.assign([TopicPartition(*where, at if committed else OFFSET_BEGINNING)])
        try:
            message = self._consumer.poll(_SECONDS)
        finally:
            self._consumer.unassign()
        error = None if message is None else message.error()
        if error is None or error.code() != KafkaError._PARTITION_EOF:
            return False
        self._empty[where] = (at, end)
        return True
