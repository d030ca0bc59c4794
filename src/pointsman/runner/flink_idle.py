"""`--until-idle` of a job in another process: whether anything lies behind what its group has committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import admin as kafka_admin

from pointsman.bus.client import client_config
from pointsman.bus.topics import Topics
from pointsman.runner.start import group_of
from pointsman.spec.document import Document

__all__ = ["Idle"]

_SECONDS: Final = 10.0


class Idle:
    """Looks at the ends of topics and at what was committed, beside a job."""

    def __init__(self, document: Document, cluster: Topics, topics: Sequence[str]) -> None:
        """Args:
        topics: What the job consumes.
        """
        config = client_config(document.kafka, document.profile, "consumer", pipeline=document.pipeline)
        config |= {"group.id": group_of(document), "enable.partition.eof": True}
        self._admin = cluster.admin
        known = self._admin.list_topics(timeout=_SECONDS).topics
        self._places = [
            TopicPartition(topic, number) for topic in topics for number in sorted(known[topic].partitions)
        ]
        self._consumer = Consumer(config)
        self._empty: dict[tuple[str, int], tuple[int, int]] = {}

    def look(self) -> bool:
        """Whether nothing is left to read; False where nobody answers."""
        try:
            ends = self._ends()
            committed = self._consumer.committed(
                [TopicPartition(place.topic, place.partition) for place in self._places], timeout=_SECONDS
            )
            return all(self._is_empty(place, *ends[place.topic, place.partition]) for place in committed)
        except KafkaException:
            return False

    def close(self) -> None:
        """Lets go of the client."""
        self._consumer.close()

    def _ends(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Beginning and end of each partition."""
        spec: Any = kafka_admin.OffsetSpec  # type: ignore[attr-defined]  # it is there, but not listed
        found = []
        for side in (spec.earliest(), spec.latest()):
            reply = self._admin.list_offsets(dict.fromkeys(self._places, side), request_timeout=_SECONDS)
            found.append({(p.topic, p.partition): future.result().offset for p, future in reply.items()})
        begins, ends = found
        return {place: (begins[place], ends[place]) for place in ends}

    def _is_empty(self, place: TopicPartition, begin: int, end: int) -> bool:
        """Whether no record lies between what was committed and the end; markers of transactions may."""
        at = place.offset if place.offset >= 0 else begin
        if at >= end:
            return True
        where = (place.topic, place.partition)
        if self._empty.get(where) == (at, end):
            return True
        self._consumer.assign([TopicPartition(*where, at if place.offset >= 0 else OFFSET_BEGINNING)])
        try:
            message = self._consumer.poll(_SECONDS)
        finally:
            self._consumer.unassign()
        error = None if message is None else message.error()
        if error is None or error.code() != KafkaError._PARTITION_EOF:
            return False
        self._empty[where] = (at, end)
        return True
