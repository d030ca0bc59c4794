"""`kafka: TOPIC`: a model behind a topic of requests, with a topic of replies or without an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from pointsman.base.config import MapOf, Text, TopicName, key
from pointsman.base.errors import (
    InvalidInput,
    InvalidReply,
    Misfit,
    ModelError,
    ModelInternal,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
)
from pointsman.model.base import DISPATCHED, CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.kafka_link import KafkaLink, Reply, leave, link_of
from pointsman.model.kafka_record import record_of
from pointsman.model.maps import mapper
from pointsman.model.remote import Ask, Health

__all__ = ["KafkaModel"]

ID, DEADLINE, ERROR, VERSION = (f"pointsman-{name}" for name in ("id", "deadline", "error", "model-version"))
"""Headers of a request (the event's id; when nobody waits any more, in milliseconds since 1970) and of a
reply (a failure class, its value then being the message; the version that answered)."""

_FAILURES: Final = {
    cls.failure: cls
    for cls in (InvalidInput, InvalidReply, ModelInternal, ModelOverloaded, ModelRefused, ModelTimeout)
}
_LONGEST: Final = 300
"""Characters of a reply's error message that are kept."""


@models.add("kafka")
class KafkaModel:
    """Writes each event to a topic, and waits for the record that answers it.

    A request's value is JSON: the inputs by name, or the enriched event. Its headers hold a correlation id,
    which the reply has to carry too, the topic of replies, the event's id and the deadline. The reply's value
    is JSON; a reply with a header `pointsman-error` that names a failure class fails, its value being the
    message. Without a topic of replies the event is dispatched once the brokers have it. Requests may repeat.
    """

    protocol: ClassVar[str] = "kafka"
    batches: bool = False

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a model behind a topic."""

        kafka: str = key(TopicName(), "The topic of requests.", example="fraud.requests", step=2)
        reply: str | None = key(
            TopicName(),
            "The topic of replies; left out: nobody answers, and the result's status is `dispatched`.",
            default=None,
            example="fraud.replies",
            step=2,
        )
        correlation: str = key(
            Text(),
            "The header of the correlation id, in requests and replies.",
            default="correlation-id",
            example="kafka_correlationId",
            step=2,
        )
        reply_to: str = key(
            Text(),
            "The header of requests that names the topic of replies.",
            default="reply-topic",
            example="kafka_replyTopic",
            step=2,
        )
        properties: Mapping[str, str] | None = key(
            MapOf(Text()),
            "Kafka client properties that differ from the document's `kafka`.",
            default=None,
            example='{bootstrap.servers: "models:9092"}',
            step=2,
        )

    def __init__(self, name: str, config: Config, inputs: Sequence[str] | None, common: CommonKeys) -> None:
        """Args:
        name: The model's name in the document.
        config: The model's own keys.
        inputs: The names of a row's values; None where rows are enriched events.
        common: The model's common keys.
        """
        self.version = common.version
        self._name = name
        self._config = config
        self._fixed_version = common.version is not None
        self._named = None if inputs is None else mapper(inputs)
        self._kafka: dict[str, Any] = dict(config.properties or {})
        self._link: KafkaLink | None = None
        self._headers = [] if config.reply is None else [(config.reply_to, config.reply.encode())]

    @classmethod
    def open(
        cls,
        name: str,
        config: Config,
        common: CommonKeys,
        folder: Path,  # noqa: ARG003  # the role's signature
        endpoint: Endpoint | None,
    ) -> KafkaModel:
        """Checks the topics.

        Raises:
            Misfit: Requests and replies are one topic, or an endpoint is named.
        """
        if endpoint is not None:
            raise Misfit("E205", "a model behind a topic has no endpoint", "give properties", ("endpoint",))
        if config.reply == config.kafka:
            raise Misfit("E205", "requests and replies are the same topic", "name two topics", ("reply",))
        return cls(name, config, None if common.inputs is None else tuple(common.inputs), common)

    def connect(self, kafka: Mapping[str, Any]) -> None:
        """Takes the document's Kafka properties, under the model's own; before the first request."""
        self._kafka = {**kafka, **(self._config.properties or {})}

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return "{kafka: fraud.requests, reply: fraud.replies, inputs: {amount: event.amount}}"

    @property
    def discarded(self) -> Mapping[tuple[str, str], int]:
        """Replies that came and were not used, of all models that share the clients, by topic and why."""
        return {} if self._link is None else dict(self._link.discarded)

    @property
    def late(self) -> int:
        """Replies to this model's requests that came after these were given up, or twice."""
        return 0 if self._link is None else self._link.late[self._name]

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One record for the one row, and its reply."""
        try:
            async with asyncio.timeout(ask.timeout):
                return [await self._one(rows[0], ask)]
        except TimeoutError:
            text = "the brokers did not take it" if self._config.reply is None else "no reply"
            raise ModelTimeout(f"{text} within {ask.timeout:g} s") from None

    async def _one(self, row: Row, ask: Ask) -> Any:
        link, config = self._linked(), self._config
        record_key, value = record_of(row, self._named, ask.ids[0])
        mark = link.correlation(self._name)
        until = int((time.time() + ask.timeout) * 1000)
        headers = [
            (config.correlation, mark.encode()),
            *self._headers,
            (ID, ask.ids[0].encode("utf-8", "replace")),
            (DEADLINE, str(until).encode()),
            *((name, text.encode("utf-8", "replace")) for name, text in ask.trace.items()),
        ]
        if config.reply is None:
            await link.send(config.kafka, record_key, value, headers)
            return DISPATCHED
        reply = await link.ask(
            config.kafka, record_key, value, headers, mark, config.reply, config.correlation
        )
        return self._value(reply)

    def _linked(self) -> KafkaLink:
        if self._link is None:
            self._link = link_of(self._kafka)
        return self._link

    def _value(self, reply: Reply) -> Any:
        """The reply's value; raises the ModelError that it stands for."""
        failure = reply.headers.get(ERROR)
        if failure is not None:
            said = " ".join((reply.value or b"").decode("utf-8", "replace").split())[:_LONGEST]
            cls = _FAILURES.get(failure.decode("ascii", "replace"), ModelInternal)
            raise cls(said or "the reply names a failure")
        if reply.value is None:
            raise InvalidReply("the reply has no value")
        try:
            value = msgspec.json.decode(reply.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidReply(f"the reply ({len(reply.value)} bytes) is not JSON: {error}") from None
        version = reply.headers.get(VERSION)
        if version and not self._fixed_version:
            self.version = version.decode("utf-8", "replace")[:100]
        return value

    async def health(self) -> Health:
        """Asks the brokers for the topics; whether somebody answers there, nobody can say.

        Raises:
            ModelRefused: No broker answers.
        """
        link = self._linked()
        for topic in filter(None, (self._config.kafka, self._config.reply)):
            if not await link.partitions(topic):
                return Health(False, self.version, why=f"there is no topic '{topic}'")
        note = "its topics exist; whether somebody answers there cannot be asked"
        return Health(True, self.version, note=note)

    async def close(self) -> None:
        """Leaves the clients, which end with their last model."""
        link, self._link = self._link, None
        if link is not None:
            await leave(link)
