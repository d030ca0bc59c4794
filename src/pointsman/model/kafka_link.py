"""A worker's own Kafka clients for models behind topics: one producer, one consumer of replies.

The producer is never part of a transaction: a request inside one would be invisible until the transaction
ends, which waits for the reply. The consumer takes all partitions of the reply topics by itself, from where
they end when it starts; it joins no group and commits nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pointsman.base.errors import ModelError, ModelOverloaded, ModelRefused
from pointsman.model.kafka_clients import consumer, failure, producer, said

__all__ = ["KafkaLink", "Reply", "leave", "link_of"]

_POLL: Final = 0.2
"""Seconds after which a thread that has nothing to do looks whether it should end."""

_LOOK: Final = 30.0
"""Seconds after which reply topics are looked at for new partitions."""

_SLOW: Final = 10.0
"""Seconds that a broker has to answer a question about a topic."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A record that answers a request."""

    value: bytes | None
    headers: Mapping[str, bytes]


@dataclass(slots=True)
class _Topic:
    """A reply topic: its partitions once they are read, and who waits for that."""

    correlation: str
    waiting: list[asyncio.Future[None]]
    partitions: set[int]
    read: bool = False


class KafkaLink:
    """One producer and one consumer of replies, shared by the worker's models with the same properties.

    Used from one event loop; two threads of its own speak to librdkafka.

    Attributes:
        epoch: What every correlation id of this link begins with; replies of another epoch are discarded.
        discarded: Replies that were not used, by topic and why: `late` came after their request was given up
            or twice, `foreign` are of another worker or another life of this one, `unmarked` carry no
            correlation id.
        late: The late ones by the model whose request it was.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """Args:
        properties: librdkafka properties.
        """
        self.epoch = secrets.token_hex(8)
        self.discarded: Counter[tuple[str, str]] = Counter()
        self.late: Counter[str] = Counter()
        self.users = 0
        self._properties = dict(properties)
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, asyncio.Future[Any]] = {}
        self._topics: dict[str, _Topic] = {}
        self._count = 0
        self._ended = False
        self._producer = producer(self._properties)
        self._threads = [threading.Thread(target=self._deliver, name="pointsman-kafka-out", daemon=True)]
        self._threads[0].start()

    def serves(self, loop: asyncio.AbstractEventLoop, properties: Mapping[str, Any]) -> bool:
        """Whether it may be used in this loop for these properties."""
        return self._loop is loop and self._properties == dict(properties)

    def correlation(self, model: str) -> str:
        """A new correlation id for a request to a model."""
        self._count += 1
        return f"{self.epoch}-{self._count}-{model}"

    async def send(
        self, topic: str, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        """Writes a record and waits until the brokers have it.

        Raises:
            ModelError: They do not take it.
        """
        done = self._loop.create_future()
        self._produce(topic, key, value, headers, partial(self._delivered, done))
        await done

    async def ask(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: Sequence[tuple[str, bytes]],
        correlation: str,
        replies: str,
        header: str,
    ) -> Reply:
        """Writes a request and waits for its reply.

        Args:
            topic: Of requests.
            key: The record's.
            value: The record's.
            headers: The record's, correlation included.
            correlation: A correlation id.
            replies: The topic of replies.
            header: The header of a reply that holds the correlation id.

        Raises:
            ModelError: The request could not be written, or the reply topic not be read.
        """
        await self._reading(replies, header)
        done = self._pending[correlation] = self._loop.create_future()
        try:
            self._produce(topic, key, value, headers, partial(self._refused, done))
            reply: Reply = await done
            return reply
        finally:
            self._pending.pop(correlation, None)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 where there is none.

        Raises:
            ModelRefused: Nobody answers.
        """
        return len(await asyncio.to_thread(self._numbers, self._producer, topic))

    def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: Sequence[tuple[str, bytes]],
        delivered: Callable[[Any, Any], None],
    ) -> None:
        from confluent_kafka import KafkaException

        if self._ended:
            raise ModelRefused("the model is closed")
        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)
        except BufferError:
            raise ModelOverloaded("the producer's queue is full") from None
        except KafkaException as error:
            raise failure(error.args[0]) from None

    def _delivered(self, done: asyncio.Future[None], error: Any, _message: Any) -> None:
        self._post(_settle, done, None if error is None else failure(error), None)

    def _refused(self, done: asyncio.Future[Any], error: Any, _message: Any) -> None:
        if error is not None:
            self._post(_settle, done, failure(error), None)

    def _post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Calls a function in the event loop, as long as that runs."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop was closed before the link
            self._ended = True

    def _deliver(self) -> None:
        """The thread that serves the producer."""
        while not self._ended:
            self._producer.poll(_POLL)

    async def _reading(self, topic: str, header: str) -> None:
        """Waits until all that is written to a reply topic from now on will be read."""
        found = self._topics.get(topic)
        if found is None:
            found = self._topics[topic] = _Topic(header, [], set())
            if len(self._threads) == 1:
                self._threads.append(
                    threading.Thread(target=self._receive, name="pointsman-kafka-in", daemon=True)
                )
                self._threads[1].start()
        if not found.read:
            waiter: asyncio.Future[None] = self._loop.create_future()
            found.waiting.append(waiter)
            await waiter

    def _receive(self) -> None:
        """The thread that serves the consumer; when it fails, the next request starts another."""
        try:
            made = consumer(self._properties)
            try:
                self._read(made)
            finally:
                made.close()
        except ModelRefused as error:
            self._post(self._deaf, error)
        except Exception as error:
            self._post(self._deaf, ModelRefused(f"replies cannot be read: {said(error)}"))

    def _deaf(self, error: ModelError) -> None:
        """Nobody reads replies any more."""
        del self._threads[1:]
        self._unread(list(self._topics), error)
        for done in list(self._pending.values()):
            _settle(done, error, None)

    def _read(self, consumer: Any) -> None:
        looked = time.monotonic()
        while not self._ended:
            fresh = [name for name, topic in list(self._topics.items()) if not topic.read]
            for name in fresh:
                self._begin(consumer, name)
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                self._grow(consumer)
            first = consumer.poll(_POLL)
            if first is not None:
                self._take([first, *consumer.consume(1000, 0)])

    def _begin(self, consumer: Any, name: str) -> None:
        """Begins to read a topic at its end."""
        from confluent_kafka import KafkaException, TopicPartition

        topic = self._topics.get(name)
        if topic is None:  # closed meanwhile
            return
        try:
            numbers = self._numbers(consumer, name)
            if not numbers:
                raise ModelRefused(f"there is no topic '{name}' to read replies from")
            ends = [
                consumer.get_watermark_offsets(TopicPartition(name, number), timeout=_SLOW)[1]
                for number in numbers
            ]
            places = [TopicPartition(name, number, end) for number, end in zip(numbers, ends, strict=True)]
            consumer.incremental_assign(places)
        except ModelRefused as error:
            self._post(self._unread, [name], error)
            return
        except (KafkaException, TypeError) as error:  # no offsets in time: a TypeError, None has no items
            self._post(self._unread, [name], ModelRefused(f"replies cannot be read: {said(error)}"))
            return
        topic.partitions.update(numbers)
        topic.read = True
        self._post(self._readable, name)

    def _grow(self, consumer: Any) -> None:
        """Reads partitions that were added, from their beginning."""
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        for name, topic in list(self._topics.items()):
            try:
                added = set(self._numbers(consumer, name)) - topic.partitions if topic.read else set()
            except ModelRefused:
                continue
            if added:
                consumer.incremental_assign(
                    [TopicPartition(name, n, OFFSET_BEGINNING) for n in sorted(added)]
                )
                topic.partitions |= added

    def _numbers(self, client: Any, topic: str) -> list[int]:
        from confluent_kafka import KafkaException

        try:
            found = client.list_topics(topic, timeout=_SLOW).topics[topic]
        except KafkaException as error:
            raise ModelRefused(f"Kafka does not answer: {said(error)}") from None
        return sorted(found.partitions) if found.error is None else []

    def _readable(self, name: str) -> None:
        topic = self._topics.get(name)
        if topic is None:
            return
        waiting, topic.waiting = topic.waiting, []
        for waiter in waiting:
            _settle(waiter, None, None)

    def _unread(self, names: Sequence[str], error: ModelError) -> None:
        """Nobody reads these topics yet: whoever waits is told, and the next request tries again."""
        for name in names:
            topic = self._topics.pop(name, None)
            for waiter in topic.waiting if topic else ():
                _settle(waiter, error, None)

    def _take(self, messages: Sequence[Any]) -> None:
        """Hands replies of this epoch to the event loop, in one go."""
        found: list[tuple[str, str, Reply]] = []
        for message in messages:
            name = message.topic()
            topic = None if message.error() is not None else self._topics.get(name)
            if topic is None:
                continue
            headers = dict(message.headers() or ())
            mark = headers.get(topic.correlation)
            if mark is None:
                self.discarded[name, "unmarked"] += 1
            elif not mark.startswith(f"{self.epoch}-".encode()):
                self.discarded[name, "foreign"] += 1
            else:
                found.append((name, mark.decode("ascii", "replace"), Reply(message.value(), headers)))
        if found:
            self._post(self._answer, found)

    def _answer(self, found: Sequence[tuple[str, str, Reply]]) -> None:
        for topic, mark, reply in found:
            done = self._pending.pop(mark, None)
            if done is None or done.done():
                self.discarded[topic, "late"] += 1
                self.late[mark.partition("-")[2].partition("-")[2]] += 1
            else:
                done.set_result(reply)

    async def close(self) -> None:
        """Ends the threads; what waits is told."""
        self._ended = True
        for done in list(self._pending.values()):
            _settle(done, ModelRefused("the model is closed"), None)
        self._unread(list(self._topics), ModelRefused("the model is closed"))
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        for thread in self._threads:
            thread.join(_SLOW)
        self._producer.flush(_SLOW)


_links: Final[list[KafkaLink]] = []
"""The links in use."""


def link_of(properties: Mapping[str, Any]) -> KafkaLink:
    """The link of the running event loop with these properties; `leave` gives it back.

    Raises:
        ModelRefused: librdkafka does not accept the properties.
    """
    loop = asyncio.get_running_loop()
    link = next((one for one in _links if one.serves(loop, properties)), None)
    if link is None:
        link = KafkaLink(properties)
        _links.append(link)
    link.users += 1
    return link


async def leave(link: KafkaLink) -> None:
    """One user less; the last one closes it."""
    link.users -= 1
    if link.users == 0:
        _links.remove(link)
        await link.close()


def _settle(done: asyncio.Future[Any], error: ModelError | None, value: Any) -> None:
    """Ends a wait that was not given up."""
    if done.done():
        return
    if error is None:
        done.set_result(value)
    else:
        done.set_exception(error)
