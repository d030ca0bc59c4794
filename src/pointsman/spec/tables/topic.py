"""`tables.NAME: {topic, key, scope}`: rows kept in a compacted topic."""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.base.config import Choice, Text, TopicName
from pointsman.base.config import key as declare
from pointsman.spec.tables.base import tables

__all__ = ["Topic"]


@tables.add("topic")
class Topic:
    """Rows kept in a compacted topic: JSON objects, named by the text of their Kafka key.

    The topic is read from its beginning to its end before the first event, then followed. A record without
    value deletes its row.
    """

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `tables.<name>: {topic: …}`."""

        topic: str = declare(TopicName(), "A compacted topic.", example="customer-profiles")
        key: str | None = declare(
            Text(),
            "The column whose value names a row; left out: the Kafka key does.",
            default=None,
            example="user_id",
        )
        scope: str = declare(
            Choice(("global", "partition")),
            "Whether every worker holds all rows, or only those of its partitions; the topic then has the "
            "source's keys, partitioner and number of partitions.",
            default="global",
            example="partition",
        )

    @staticmethod
    def example() -> str:
        """A valid value of `tables.<name>`, as YAML."""
        return "{topic: customer-profiles}"
