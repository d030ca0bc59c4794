"""The little of Kafka that the data commands need: write records one by one, read a topic without a group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.client import client_config, connect, opened
from pointsman.bus.faults import fault
from pointsman.bus.topics import Topics

__all__ = ["Record", "Sender", "Start", "ensure_topic", "read"]

_REACH_SECONDS = 10.0
_IDLE_SECONDS = 0.2
_STALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic, as it stands there.

    Attributes:
        timestamp: Milliseconds since 1970; -1 where there is none.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading begins: so many records before the end, or at a time, or at the beginning.

    Attributes:
        last: Records before each partition's end; None where `at_ms` counts.
        at_ms: Milliseconds since 1970; 0 is the beginning.
    """

    last: int | None = None
    at_ms: int = 0


def ensure_topic(kafka: Mapping[str, Any], topic: str, partitions: int) -> bool:
    """Creates `topic` where it is missing; returns whether it was.

    Raises:
        EnvironmentFault: No broker answers, or it does not allow it.
    """
    topics = Topics(kafka)
    if topic in topics.admin.list_topics(timeout=_REACH_SECONDS).topics:
        return False
    return topics.create(topic, partitions)


class Sender:
    """Writes records and counts those that did not arrive."""

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        from confluent_kafka import Producer

        config = client_config(kafka, "throughput", "producer")
        self._producer = opened(Producer, {"delivery.timeout.ms": 30_000, **config})
        self.failed = 0
        self.first_error = ""

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush()

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self.failed += 1
            self.first_error = self.first_error or error.str()

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp: int = 0,
    ) -> None:
        """Queues one record; waits while the queue is full. `timestamp` 0 is now."""
        from confluent_kafka import KafkaException

        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    headers=list(headers) or None,
                    timestamp=timestamp,
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(0.1)
                continue
            except KafkaException as error:
                self._delivered(error.args[0], None)
            self._producer.poll(0)
            return


def read(
    kafka: Mapping[str, Any], topics: Sequence[str], start: Start, *, follow: bool
) -> Iterator[Record | None]:
    """The committed records of `topics`; None once those that were there have come, and in every idle moment.

    Args:
        kafka: The document's `kafka:`; no group is joined and no offset committed.
        topics: Each must exist.
        start: Where to begin.
        follow: Go on for ever; else end where the topics ended at the beginning.

    Raises:
        EnvironmentFault: No broker answers, or a topic does not exist or may not be read.
    """
    from confluent_kafka import Consumer, KafkaException

    connect(kafka)
    consumer = opened(
        Consumer, {**client_config(kafka, "throughput", "consumer"), "isolation.level": "read_committed"}
    )
    try:
        ends = _assign(consumer, topics, start)
        caught_up, moved = not ends, time.monotonic()
        while follow or not caught_up:
            messages = consumer.consume(500, _IDLE_SECONDS)
            for message in messages:
                error: Any = message.error()
                if error is None:
                    yield _record(message)
                elif error.fatal() or not error.retriable():
                    raise KafkaException(error)
            if not caught_up:
                _drop_reached(consumer, ends)
                moved = time.monotonic() if messages else moved
                _give_up_after(moved, topics)
            if (not ends and not caught_up) or (caught_up and not messages):
                yield None
            caught_up = not ends
    except KafkaException as error:
        raise fault(error.args[0], kafka, f"cannot read {', '.join(topics)}") from error
    finally:
        consumer.close()


def _assign(consumer: Any, topics: Sequence[str], start: Start) -> dict[tuple[str, int], int]:
    """Begins at `start`; returns the end of every partition that is not there yet."""
    from confluent_kafka import KafkaException, TopicPartition

    places, ends = [], {}
    for topic in topics:
        found = consumer.list_topics(topic, timeout=_REACH_SECONDS).topics[topic]
        if found.error is not None and found.error.name() == "UNKNOWN_TOPIC_OR_PART":
            raise EnvironmentFault(
                f"the topic {topic} does not exist yet: 'pointsman topics --create' makes it"
            )
        if found.error is not None:
            raise KafkaException(found.error)
        for partition in found.partitions:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=_REACH_SECONDS
            )
            place = _place(consumer, topic, partition, low, high, start)
            places.append(TopicPartition(topic, partition, place))
            if place < high:
                ends[topic, partition] = high
    consumer.assign(places)
    return ends


def _place(consumer: Any, topic: str, partition: int, low: int, high: int, start: Start) -> int:
    from confluent_kafka import TopicPartition

    if start.last is not None:
        return max(low, high - start.last)
    if not start.at_ms:
        return low
    [found] = consumer.offsets_for_times(
        [TopicPartition(topic, partition, start.at_ms)], timeout=_REACH_SECONDS
    )
    return high if found.offset < 0 else int(found.offset)


def _give_up_after(moved: float, topics: Sequence[str]) -> None:
    if time.monotonic() - moved > _STALL_SECONDS:
        raise EnvironmentFault(
            f"nothing came of {', '.join(topics)} for {_STALL_SECONDS:.0f} s: is the broker up?"
        )


def _drop_reached(consumer: Any, ends: dict[tuple[str, int], int]) -> None:
    """Forgets partitions whose end was reached; a transaction's markers count, though nobody sees them."""
    for place in consumer.position(consumer.assignment()):
        if place.offset >= ends.get((place.topic, place.partition), 0):
            ends.pop((place.topic, place.partition), None)


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or (),
    )
