"""The Kafka clients of models behind topics: how they are set up, and what their errors mean."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from pointsman.base.errors import InvalidInput, ModelError, ModelRefused

__all__ = ["consumer", "failure", "producer", "said"]

_LOGGER: Final = logging.getLogger("pointsman.kafka")
_LOGGER.addHandler(logging.NullHandler())
_LOGGER.propagate = False

_COMMON: Final[Mapping[str, Any]] = {
    "bootstrap.servers": "localhost:9092",
    "client.id": "pointsman",
    "socket.nagle.disable": True,
    "reconnect.backoff.max.ms": 2000,
}
_PRODUCER: Final[Mapping[str, Any]] = {
    "compression.type": "lz4",
    "linger.ms": 2,
    "message.timeout.ms": 30_000,
    "message.max.bytes": 16 << 20,
    "partitioner": "murmur2_random",
}
_CONSUMER: Final[Mapping[str, Any]] = {
    "group.id": "pointsman-replies",  # librdkafka wants one; it is never joined
    "fetch.queue.backoff.ms": 1,
    "allow.auto.create.topics": False,
}
_OWN_PRODUCER: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "delivery.report.only.error": False,
}
_OWN_CONSUMER: Final[Mapping[str, Any]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "latest",
}
_GROUPS: Final = ("group.", "session.", "heartbeat.", "partition.assignment", "max.poll", "enable.auto")
_SENDS: Final = ("transaction", "linger", "batch.", "compression", "queue.buffering", "acks", "enable.idem")


def producer(properties: Mapping[str, Any]) -> Any:
    """A producer that is never part of a transaction.

    Raises:
        ModelRefused: librdkafka does not accept the properties.
    """
    given = {n: v for n, v in properties.items() if not n.startswith((*_GROUPS, "transactional."))}
    return _made({**_COMMON, **_PRODUCER, **given, **_OWN_PRODUCER, "logger": _LOGGER}, "Producer")


def consumer(properties: Mapping[str, Any]) -> Any:
    """A consumer that joins no group and commits nothing.

    Raises:
        ModelRefused: librdkafka does not accept the properties.
    """
    given = {n: v for n, v in properties.items() if not n.startswith(_SENDS)}
    return _made({**_COMMON, **_CONSUMER, **given, **_OWN_CONSUMER, "logger": _LOGGER}, "Consumer")


def _made(config: Mapping[str, Any], kind: str) -> Any:
    import confluent_kafka

    try:
        return getattr(confluent_kafka, kind)(dict(config))
    except (confluent_kafka.KafkaException, TypeError, ValueError) as error:
        raise ModelRefused(f"the Kafka client refuses its properties: {said(error)}") from None


def failure(error: Any) -> ModelError:
    """What the producer's error means."""
    from confluent_kafka import KafkaError

    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD):
        return InvalidInput(f"the request cannot be written: {error.str()}")
    return ModelRefused(f"the request cannot be written: {error.str()}")


def said(error: BaseException) -> str:
    """What went wrong, in the client's words."""
    inner = error.args[0] if error.args else error
    return inner.str() if hasattr(inner, "str") else str(inner)
