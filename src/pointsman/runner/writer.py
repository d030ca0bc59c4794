"""Decision records and dead letters to Kafka: handed over by the batch, acknowledged before a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from pointsman.base.errors import EnvironmentFault
from pointsman.base.records import Batch, DeadLetter
from pointsman.bus.faults import fault
from pointsman.engine.hops import Moved
from pointsman.runner.changes import Changes
from pointsman.runner.extracts import Extract
from pointsman.runner.letters import kafka_headers
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.state.base import Change

__all__ = ["Target", "Writer"]

_AT_ONCE = 1000
"""Changes of state that are handed over together: more would leave the processor's caches."""

_ANY = -1
"""The partition that the key says."""


@dataclass(frozen=True, slots=True)
class Target:
    """A topic, and the bytes of the largest record that it takes."""

    topic: str
    largest: int


class Writer:
    """The producer of one worker.

    Attributes:
        bytes: Bytes handed over since everything was acknowledged last.
        changelogs: Where changes of state go, by store.
        onward: Where events go on by another key, by the field that they go on to.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        decisions: Target,
        dead_letters: Target,
        metrics: Metrics,
        extracts: Sequence[Extract] = (),
        requests: Mapping[str, Target] | None = None,
    ) -> None:
        """Args:
        config: Properties of the client, as `bus.client.client_config` makes them.
        extracts: What else is written of each decision record.
        requests: Where a router's requests go, by the first model of their plan.
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
        self._extracts = extracts
        self._requests = requests or {}
        self.changelogs: Mapping[str, str] = {}
        self.onward: Mapping[str, Target] = {}
        self._largest = min([decisions.largest, *(extract.largest for extract in extracts)])
        self._metrics = metrics
        self._failure: tuple[KafkaError, str] | None = None
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
        if written > self._largest // 2:  # one of them may be too large
            refused = _too_large(keys, values, self._largest)
            left = sorted(set(range(len(values))).difference(refused))
            keys, values = [keys[n] for n in left], [values[n] for n in left]
            headers = headers and [headers[n] for n in left]
            written = sum(map(len, values))
        if headers:
            for key, value, more in zip(keys, values, headers, strict=True):
                self._produce(self._decisions.topic, value, key, more or (), 0)
        elif values:
            self._produce_batch(self._decisions.topic, keys, values, written)
        self.bytes += written
        for extract in self._extracts if values else ():
            made = list(map(extract.make, keys, values))
            size = sum(map(len, made))
            self._produce_batch(extract.topic, keys, made, size)
            self.bytes += size
        self._metrics.count("pointsman_decisions_total", len(values))
        self._metrics.count("pointsman_decision_bytes_total", written)
        return refused

    def ask(
        self,
        model: str,
        keys: Sequence[Key],
        values: Sequence[bytes],
        partitions: Sequence[int],
        headers: Sequence[Any] | None,
    ) -> Sequence[int]:
        """Hands requests over in order, each to its partition; returns the places of those too large.

        Raises:
            EnvironmentFault: Kafka does not take them.
        """
        target = self._requests[model]
        refused = self.too_large(model, keys, values)
        left = [n for n in range(len(values)) if n not in refused] if refused else range(len(values))
        size = sum(len(values[n]) for n in left)
        if headers:
            for n in left:
                self._produce(target.topic, values[n], keys[n], headers[n], 0, partitions[n])
        elif left:
            self._produce_batch(
                target.topic,
                [keys[n] for n in left],
                [values[n] for n in left],
                size,
                [partitions[n] for n in left],
            )
        self.bytes += size
        self._metrics.count("pointsman_requests_total", len(left), model)
        return refused

    def too_large(self, model: str, keys: Sequence[Key], values: Sequence[bytes]) -> list[int]:
        """The places of requests that are larger than the topic of `model` takes."""
        return _too_large(keys, values, self._requests[model].largest)

    def send_on(self, batch: Batch, moved: Moved) -> Sequence[int]:
        """Hands over events that go on by another key; returns the places of those too large for the topic.

        Raises:
            EnvironmentFault: Kafka does not take them.
        """
        target, refused, written = self.onward[moved.name], [], 0
        records = zip(moved.indices, moved.keys, moved.headers(batch), strict=True)
        for place, (index, key, headers) in enumerate(records):
            value = batch.values[index] or b""
            size = len(value) + len(key or b"") + sum(len(n) + len(v or b"") + 8 for n, v in headers)
            if size > target.largest:
                refused.append(place)
                continue
            self._produce(target.topic, value, key, headers, 0)
            written += size
        self.bytes += written
        self._metrics.count("pointsman_hops_total", len(moved.indices) - len(refused), moved.name)
        return refused

    def keep(self, changes: Changes) -> None:
        """Hands changes of state over, each to the partition of the source whose state it is.

        Raises:
            EnvironmentFault: Kafka does not take them.
        """
        for number, store, found in changes:
            for first in range(0, len(found), _AT_ONCE):
                self._keep(self.changelogs[store], found[first : first + _AT_ONCE], number)

    def _keep(self, topic: str, found: Sequence[Change], partition: int) -> None:
        messages = [{"key": key, "value": value} for key, value in found]
        size = sum([len(key) if value is None else len(key) + len(value) for key, value in found])
        if self._has_room(len(messages), size):
            self._hand_over(topic, messages, partition)
        else:
            for key, value in found:
                self._produce(topic, value, key, (), 0, partition)
        self.bytes += size
        self._metrics.count("pointsman_state_records_total", len(messages))
        self._metrics.count("pointsman_state_bytes_total", size)

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
        except (KafkaException, SystemError) as error:
            # What is fatal to the client is raised by whatever call comes next, or from among its callbacks.
            said = error.__cause__ if isinstance(error, SystemError) else error
            if not isinstance(said, KafkaException):
                raise
            raise self._fault(said.args[0], self._decisions.topic) from error
        self._check()
        if left == 0:
            self.bytes = 0
        return left == 0

    def purge(self) -> None:
        """Forgets what was not sent yet."""
        self._producer.purge(in_queue=True, in_flight=False, blocking=True)
        self._producer.poll(0)

    def close(self) -> None:
        """Forgets what was not acknowledged, and goes."""
        with suppress(KafkaException, SystemError):  # after a fatal error there is nothing left to forget
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

    def _produce_batch(
        self,
        topic: str,
        keys: Sequence[Key],
        values: Sequence[bytes | None],
        size: int,
        partitions: Sequence[int] | None = None,
    ) -> None:
        """Hands over records without headers, all at once where the client's queue surely takes them."""
        if not self._has_room(len(values), size):
            for n, value in enumerate(values):
                self._produce(topic, value, keys[n], (), 0, _ANY if partitions is None else partitions[n])
        elif partitions is None:
            pairs = zip(keys, values, strict=True)
            self._hand_over(topic, [{"value": value, "key": key} for key, value in pairs], _ANY)
        else:
            batches: dict[int, list[dict[str, Any]]] = {}
            for n, partition in enumerate(partitions):
                batches.setdefault(partition, []).append({"value": values[n], "key": keys[n]})
            for partition, messages in batches.items():
                self._hand_over(topic, messages, partition)

    def _has_room(self, records: int, size: int) -> bool:
        """Whether the client's queue surely takes so many records of `size` bytes together."""
        return len(self._producer) + records <= self._most_records and self.bytes + size <= self._most_bytes

    def _hand_over(self, topic: str, messages: list[dict[str, Any]], partition: int) -> None:
        """Hands over records all at once."""
        if self._producer.produce_batch(topic, messages, partition=partition) < len(messages):
            refused: Any = next(m["_error"] for m in messages if "_error" in m)
            raise self._fault(refused, topic)

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: Key,
        headers: Sequence[Any],
        timestamp: int,
        partition: int = _ANY,
    ) -> None:
        """Hands over one record; waits while the client's queue is full."""
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, headers=list(headers) or None, timestamp=timestamp
                )
                return
            except BufferError:
                self.flush(0.1)
            except KafkaException as error:
                raise self._fault(error.args[0], topic) from error


def _too_large(keys: Sequence[Key], values: Sequence[bytes], most: int) -> list[int]:
    """The places of records that are larger than `most` bytes."""
    return [n for n, value in enumerate(values) if len(value) + len(keys[n] or b"") > most]
