"""One real Kafka broker for all tests of a process, and what tests do with it."""

from __future__ import annotations

import itertools
import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from pointsman.bus.local import LocalBroker

SILENT = logging.getLogger("tests.librdkafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
_NO_LEADER = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError._NOENT,
)


@dataclass(frozen=True)
class Kafka:
    """A running broker as tests see it.

    Attributes:
        client_config: librdkafka properties with which a client may do everything.
    """

    client_config: Mapping[str, str]

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return self.client_config["bootstrap.servers"]

    @cached_property
    def admin(self) -> AdminClient:
        """An administrator's client."""
        return AdminClient({**self.client_config}, logger=SILENT)

    def _partitions(self, topic: str) -> list[int]:
        return list(self.admin.list_topics(topic, timeout=30).topics[topic].partitions)

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Creates a topic and waits until it exists."""
        self.admin.create_topics([NewTopic(name, partitions, 1, config=dict(config or {}))])[name].result(30)
        while not self._led(name):  # a client that is told of it may otherwise not find it yet
            time.sleep(0.02)
        return name

    def _led(self, name: str) -> bool:
        """Whether every partition of a topic has a leader."""
        found = self.admin.list_topics(name, timeout=30).topics[name]
        return found.error is None and all(one.leader >= 0 for one in found.partitions.values())

    def produce(self, topic: str, values: Iterable[bytes | str | tuple | None], **extra: object) -> int:
        """Writes values, or (key, value) or (key, value, partition) tuples, and waits for all of them.

        Args:
            extra: Handed to each `produce`, such as headers.

        Returns:
            How many were written.
        """
        failed: list[object] = []
        producer = Producer({**self.client_config, "partitioner": "murmur2_random"}, logger=SILENT)
        count = 0
        for item in values:
            key, value, *partition = item if isinstance(item, tuple) else (None, item)
            place = {"partition": partition[0]} if partition else {}
            while True:
                try:
                    producer.produce(
                        topic,
                        value,
                        key,
                        on_delivery=lambda error, _: failed.append(error) if error else None,
                        **place,
                        **extra,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
        assert producer.flush(60) == 0
        assert failed == []
        return count

    def count(self, topic: str) -> int:
        """How many records were ever written to a topic, uncommitted ones included; 0 where there is none."""
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in self._partitions(topic)}
        total = 0
        for found in self.admin.list_offsets(asked).values() if asked else ():
            try:
                total += found.result(30).offset
            except KafkaException as error:  # nobody leads it yet, or the broker has begun anew
                if error.args[0].code() not in _NO_LEADER:
                    raise
        return total

    def consume_all(self, *topics: str) -> list[Message]:
        """Reads topics from their beginning to their end now, partition by partition in offset order."""
        consumer = Consumer(
            {**self.client_config, "group.id": unique("reader"), "enable.partition.eof": True}, logger=SILENT
        )
        found: list[Message] = []
        open_ones = {(topic, number) for topic in topics for number in self._partitions(topic)}
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in open_ones])
        while open_ones:
            message = consumer.poll(30)
            assert message is not None, f"{sorted(open_ones)} did not reach their end in 30 s"
            error = message.error()
            if error is None:
                found.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                open_ones.discard((message.topic(), message.partition()))
        consumer.close()
        return sorted(found, key=lambda message: (message.topic(), message.partition(), message.offset()))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The broker of this process' tests; the one that POINTSMAN_TEST_BOOTSTRAP names where it is set."""
    if running := os.environ.get("POINTSMAN_TEST_BOOTSTRAP"):
        yield Kafka({"bootstrap.servers": running})
        return
    with LocalBroker(tmp_path_factory.mktemp("broker")) as local:
        yield Kafka(local.client_config)


_numbers = itertools.count(1)


class TopicFactory:
    """Makes topics with names of their own: `topic(partitions=4)` returns the name."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    def __call__(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        return self._kafka.create_topic(unique("topic"), partitions, config)


def unique(prefix: str) -> str:
    """Returns a name for a topic, group or pipeline that no other test uses."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def topic(broker: Kafka) -> TopicFactory:
    """Makes topics on the session's broker."""
    return TopicFactory(broker)
