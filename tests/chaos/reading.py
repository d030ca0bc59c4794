"""Reads topics as a read-committed reader sees them."""

from __future__ import annotations

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

__all__ = ["read"]


def read(bootstrap: str, topic: str) -> list[Message]:
    """All that a read-committed reader sees of a topic."""
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": "judge",
        "isolation.level": "read_committed",
        "log_level": 0,
    }
    consumer = Consumer({**config, "enable.partition.eof": True, "enable.auto.commit": False})
    known = consumer.list_topics(topic, timeout=15).topics[topic]
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in known.partitions])
    found, ends = [], set()
    while len(ends) < len(known.partitions):
        for message in consumer.consume(10_000, 1.0):
            if message.error() is None:
                found.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ends.add(message.partition())
    consumer.close()
    return found
