"""Topics read as they were committed: from where one stands to where they end now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pointsman.bus.client import client_config, opened
from pointsman.bus.faults import fault

__all__ = ["Place", "read_committed"]

Place = tuple[str, int]
"""A topic and the number of one of its partitions."""

_BATCH = 5000
_WAIT_SECONDS = 0.2
_GROUPS = (
    "group.instance.id",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
)
_GONE = ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "TOPIC_AUTHORIZATION_FAILED")
_OWN = {
    "group.id": "pointsman-reader",  # librdkafka wants one; it is never joined
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "queued.max.messages.kbytes": 65_536,
    "fetch.wait.max.ms": 100,
}


def read_committed(
    kafka: Mapping[str, Any],
    begins: Mapping[Place, int],
    ends: Mapping[Place, int],
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[dict[Place, list[Any]]]:
    """Yields the messages of each partition from its begin to its end, a batch at a time.

    Ends are those of the log. Where a transaction is open before one, it is waited for: what it wrote is
    yielded if it is committed, and not if it is aborted.

    Args:
        kafka: The document's `kafka:`.
        stopping: Asked now and then; true ends it early.

    Raises:
        EnvironmentFault: The broker does not hand them over and will not.
    """
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    waited = {place for place, end in ends.items() if begins[place] < end}
    if not waited:
        return
    config = {**client_config(kafka, "throughput", "consumer"), **_OWN}
    consumer = opened(Consumer, {name: value for name, value in config.items() if name not in _GROUPS})
    try:
        consumer.assign([TopicPartition(*place, begins[place]) for place in waited])
        while waited and not stopping():
            found: dict[Place, list[Any]] = {}
            for message in consumer.consume(_BATCH, _WAIT_SECONDS):
                place = (message.topic(), message.partition())
                error = message.error()
                if error is None:
                    found.setdefault(place, []).append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    # Markers of transactions have offsets, too: only the client knows how far it is.
                    if message.offset() >= ends[place]:
                        waited.discard(place)
                elif error.fatal() or error.name() in _GONE:
                    raise fault(error, kafka, f"cannot read {place[0]}", place[0])
            for place, messages in found.items():
                if messages[-1].offset() + 1 >= ends[place]:
                    waited.discard(place)
            if found:
                yield found
    finally:
        consumer.close()
