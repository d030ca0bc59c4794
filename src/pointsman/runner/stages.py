"""Events that go on by another key: which topics that takes, and which part of the policy reads each.

    source topics ──► fields before the first such window ──► <p>.by.<field> ──► that field and those after it
    ──► … ──► the last part: the rest of the fields, routes, models, decision records

One worker does all parts. It consumes the topics of all of them; partitions of one number are its own in
every topic, and what is remembered of a partition belongs to the field's own part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from pointsman.base.records import Batch
from pointsman.engine.hops import arrived
from pointsman.engine.policy import Policy
from pointsman.spec.document import Document
from pointsman.spec.keyed import hops

__all__ = ["BY_TOPIC", "Stages", "by_topics"]

BY_TOPIC: Final[dict[str, str]] = {"cleanup.policy": "delete", "retention.ms": str(7 * 86_400_000)}
"""Settings of these topics besides those of all that are written: what waits there for a week is gone."""

_ASK_SECONDS = 10.0


def by_topics(document: Document) -> dict[str, str]:
    """The topics through which events go on by another key, by the field that they go on to."""
    fields = [document.enrich[number].field for number in hops(document.enrich, document.source)]
    return {field: f"{document.pipeline}.by.{field}" for field in fields}


class Stages:
    """The parts of a policy.

    Attributes:
        topics: Those through which events go on, in order.
    """

    def __init__(self, document: Document, policy: Policy) -> None:
        """Args:
        policy: That of `document`, which has such topics.
        """
        self.topics = tuple(by_topics(document).values())
        self._first, *rest = policy.stages
        self._by = dict(zip(self.topics, rest, strict=True))

    def open(self, batch: Batch) -> tuple[Batch, Policy]:
        """The events of a batch that is all of one part, and that part."""
        policy = self._by.get(batch.topics[0])
        return (batch, self._first) if policy is None else (arrived(batch), policy)

    def part(self, topic: str) -> Policy:
        """The part of the policy that reads a topic."""
        return self._by.get(topic, self._first)

    def begins(self, topic: str) -> bool:
        """Whether a topic is one of the source."""
        return topic not in self._by

    def split(self, messages: Sequence[Any]) -> list[list[Any]]:
        """The messages of each part, in their order; later parts first, so that what is nearly done ends."""
        found: dict[str, list[Any]] = {}
        for message in messages:
            topic = message.topic()
            found.setdefault(topic if topic in self._by else "", []).append(message)
        return [found[topic] for topic in (*reversed(self.topics), "") if topic in found]

    def place(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Has these partitions begin at their beginning where nothing is committed, as all of it is ours.

        `auto.offset.reset` is about the source. Called with partitions before they are taken on.
        """
        ours = [p for p in partitions if p.topic in self._by]
        if not ours:
            return
        known = {
            (p.topic, p.partition): p.offset
            for p in consumer.committed(
                [TopicPartition(p.topic, p.partition) for p in ours], timeout=_ASK_SECONDS
            )
        }
        for p in ours:
            if known.get((p.topic, p.partition), 0) < 0:
                p.offset = OFFSET_BEGINNING
