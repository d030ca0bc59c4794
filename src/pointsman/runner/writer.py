"""Decision records and dead letters to Kafka: handed over by the batch, acknowledged before a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from pointsman.base.errors import EnvironmentFault
from pointsman.base.records import DeadLetter
from pointsman.bus.faults import fault
from pointsman.runner.letters import kafka_headers
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.runner.placing import Places

__all__ = ["Target", "Writer"]


_LOOK_EVERY = 60
"""Flushes between two looks at the number of partitions."""


@dataclass(frozen=True, slots=True)
class Target:
    """A topic, and the bytes of the largest record that it takes."""

    topic: str
    largest: int


class Writer:
    """The producer of one worker.

    Attributes:
        bytes: Bytes handed over since everything was acknowledged last.
    """

    def __init__(
        self, config: Mapping[str, Any], decisions: Target, dead_letters: Target, metrics: Metrics
    ) -> None:
        """Args:
        config: Properties of the client, as `bus.client.client_config` makes them.
        """
        self._most_records = int(config["queue.buffering.max.messages"])
        self._most_bytes = (
            int(config["queue.buffering.max.kbytes"]) * 512
        )  # half of it: the client counts more
        self._producer = Producer({**config, "on_delivery": self._reported})
        self._config = config
        self._address = config["bootstrap.servers"]
        self._decisions = decisions
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._failure: tuple[KafkaError, str] | None = None
        self._places = Places(0)
        self._flushes = 1
        self.bytes = 0

    def __len__(self) -> int:
        """Records handed over and not acknowledged, reports that were not looked at included."""
        return len(self._producer)

    def write(
        self, keys: Sequence[Key], values: Sequence[bytes], headers: Sequence[Any] | None
    ) -> Sequence[int]:
        """Hands decision records over in order; returns the places of those that are too large for the topic.

        Raises:
            EnvironmentFault: Kafka does not take them.
        """
        written = sum(map(len, values))
        refused: list[int] = []
        if written > self._decisions.largest // 2:  # one of them may be too large
            most = self._decisions.largest
            refused = [n for n, value in enumerate(values) if len(value) + len(keys[n] or b"") > most]
            left = sorted(set(range(len(values))).difference(refused))
            keys, values = [keys[n] for n in left], [values[n] for n in left]
            headers = headers and [headers[n] for n in left]
            written = sum(map(len, values))
        if headers:
            for key, value, more in zip(keys, values, headers, strict=True):
                self._produce(self._decisions.topic, value, key, more or (), 0)
        elif values:
            self._produce_batch(keys, values, written)
        self.bytes += written
        self._metrics.count("pointsman_decisions_total", len(values))
        self._metrics.count("pointsman_decision_bytes_total", written)
        return refused

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Hands dead letters over, each with its record as it came.

        Raises:
            EnvironmentFault: Kafka does not take them.
        """
        for letter in letters:
            record, headers = letter.record, kafka_headers(letter)
            size = sum(
                len(part or b"") for part in (record.value, record.key, *(value for _, value in headers))
            )
            if size > self._dead_letters.largest:
                raise self._too_large(self._dead_letters.topic)
            self._produce(
                self._dead_letters.topic, record.value, record.key, headers, max(record.timestamp, 0)
            )
            self.bytes += size
            self._metrics.count("pointsman_dead_letters_total", 1, letter.reason)

    def flush(self, seconds: float) -> bool:
        """Waits until all is acknowledged; returns False where that takes longer than `seconds`.

        Raises:
            EnvironmentFault: Something was not delivered and will not be.
        """
        try:
            left = self._producer.flush(seconds)
        except KafkaException as error:  # what is fatal to the client is raised by whatever call comes next
            raise self._fault(error.args[0], self._decisions.topic) from error
        self._check()
        if self._flushes % _LOOK_EVERY == 0:
            self._count_partitions()
        self._flushes += 1
        if left == 0:
            self.bytes = 0
        return left == 0

    def purge(self) -> None:
        """Forgets what was not sent yet."""
        self._producer.purge(in_queue=True, in_flight=False, blocking=True)
        self._producer.poll(0)

    def close(self) -> None:
        """Forgets what was not acknowledged, and goes."""
        with suppress(KafkaException):  # after a fatal error there is nothing left to forget
            self._producer.purge(in_queue=True, in_flight=True, blocking=True)
            self._producer.flush(1.0)

    def _reported(self, error: KafkaError | None, message: Any) -> None:
        """Keeps the first record that could not be delivered; the loop stops before it commits."""
        purged = error is None or error.code() in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
        if error is not None and not purged and self._failure is None:
            self._failure = (error, message.topic())

    def _check(self) -> None:
        if self._failure is not None:
            raise self._fault(*self._failure)

    def _fault(self, error: KafkaError, topic: str) -> EnvironmentFault:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return self._too_large(topic)
        if error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
            return EnvironmentFault(
                f"cannot write to {topic}: no right to write any topic at {self._address}; "
                "'pointsman topics --acls' prints what rights are needed"
            )
        return fault(error, self._config, f"cannot write to {topic}", topic)

    def _too_large(self, topic: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"a record is larger than the topic {topic} takes: raise its max.message.bytes and start again; "
            "nothing is lost"
        )

    def _produce_batch(self, keys: Sequence[Key], values: Sequence[bytes], size: int) -> None:
        """Hands over records without headers, all at once where the client's queue surely takes them."""
        topic = self._decisions.topic
        if len(self._producer) + len(values) > self._most_records or self.bytes + size > self._most_bytes:
            for key, value in zip(keys, values, strict=True):
                self._produce(topic, value, key, (), 0)
            return
        if not self._places.partitions:
            self._count_partitions()
        for partition, messages in self._places.sort(keys, values):
            if self._producer.produce_batch(topic, messages, partition=partition) < len(messages):
                refused: Any = next(m["_error"] for m in messages if "_error" in m)
                raise self._fault(refused, topic)

    def _count_partitions(self) -> None:
        """Looks how many partitions decisions have now; some may have been added."""
        topic = self._decisions.topic
        try:
            count = len(self._producer.list_topics(topic, timeout=5.0).topics[topic].partitions)
        except KafkaException:
            return  # nobody answers: what is known still holds, and delivery will tell
        if count and count != self._places.partitions:
            self._places = Places(count)

    def _produce(
        self, topic: str, value: bytes | None, key: Key, headers: Sequence[Any], timestamp: int
    ) -> None:
        """Hands over one record; waits while the client's queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key, headers=list(headers) or None, timestamp=timestamp)
                return
            except BufferError:
                self.flush(0.1)
            except KafkaException as error:
                raise self._fault(error.args[0], topic) from error
