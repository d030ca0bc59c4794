"""From the client's messages to a batch, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, Message

from pointsman.base.errors import EnvironmentFault
from pointsman.base.records import Batch, Headers
from pointsman.bus.faults import about_group, fault, will_not_pass

__all__ = ["batch_of", "unreadable"]


class _HeadersOf:
    """Asks a message for its headers only when they are needed."""

    __slots__ = ("_messages",)

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages

    def __getitem__(self, index: int) -> Headers | None:
        message: Any = self._messages[index]
        try:
            found: Headers | None = message.headers()
        except UnicodeDecodeError:  # the client cannot hand over a header whose name is not UTF-8
            return None
        return found

    def __iter__(self) -> Iterator[Headers | None]:
        messages: Any = self._messages
        try:
            return iter([message.headers() for message in messages])
        except UnicodeDecodeError:
            return map(self.__getitem__, range(len(messages)))


class _TimestampsOf:
    """Asks a message for its timestamp only when it is needed."""

    __slots__ = ("_messages",)

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages

    def __getitem__(self, index: int) -> int:
        message: Any = self._messages[index]
        found: int = message.timestamp()[1]
        return found

    def __iter__(self) -> Iterator[int]:
        messages: Any = self._messages
        return iter([message.timestamp()[1] for message in messages])


def batch_of(messages: Sequence[Any], topics: Sequence[str], now_ms: int) -> Batch:
    """The messages as columns.

    Args:
        messages: None of them is an error.
        topics: What is consumed.
        now_ms: When they were polled, milliseconds since 1970.
    """
    one = len(topics) == 1
    return Batch(
        values=[m.value() for m in messages],
        keys=[m.key() for m in messages],
        topics=[topics[0]] * len(messages) if one else [m.topic() for m in messages],
        partitions=[m.partition() for m in messages],
        offsets=[m.offset() for m in messages],
        timestamps=_TimestampsOf(messages),
        headers=_HeadersOf(messages),
        now_ms=now_ms,
    )


def unreadable(error: Any, kafka: Mapping[str, Any], topic: str) -> EnvironmentFault | None:
    """The error to raise for what the consumer reports; None for what the client gets over by itself.

    Args:
        kafka: The consumer's properties.
    """
    gone = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
    if error.code() in gone:
        return EnvironmentFault(
            f"the topic {topic} does not exist any more: create it again, or correct source.topics"
        )
    if error.code() == KafkaError._FATAL and "group.instance.id" in error.str():
        error = KafkaError(KafkaError.FENCED_INSTANCE_ID)
    if will_not_pass(error) or error.fatal() or error.code() == KafkaError._FATAL:
        return fault(error, kafka, "cannot consume", str(kafka["group.id"]) if about_group(error) else topic)
    return None
