"""Decision records and dead letters to Kafka: handed over by the batch, acknowledged before a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.faults import fault
from pointsman.runner.changes import Changes
from pointsman.runner.extracts import Extract
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.runner.records import ANY, Records, Target, beyond
from pointsman.state.base import Change

__all__ = ["Writer"]

_AT_ONCE = 1000
"""Changes of state that are handed over together: more would leave the processor's caches."""


class Writer(Records):
    """The producer of one worker.

    Attributes:
        bytes: Bytes handed over since everything was acknowledged last.
        changelogs: Where changes of state go, by store.
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
        """
        super().__init__(decisions, dead_letters, metrics, extracts, requests)
        self._most_records = int(config["queue.buffering.max.messages"])
        self._most_bytes = (
            int(config["queue.buffering.max.kbytes"]) * 512
        )  # half of it: the client counts more
        self._producer = Producer({**config, "on_delivery": self._reported})
        self._config = config
        self._address = config["bootstrap.servers"]
        self.changelogs: Mapping[str, str] = {}
        self._failure: tuple[KafkaError, str] | None = None

    def __len__(self) -> int:
        """Records handed over and not acknowledged, reports that were not looked at included."""
        return len(self._producer)

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
            return beyond(topic)
        if error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
            return EnvironmentFault(
                f"cannot write to {topic}: no right to write any topic at {self._address}; "
                "'pointsman topics --acls' prints what rights are needed"
            )
        return fault(error, self._config, f"cannot write to {topic}", topic)

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
                self._produce(topic, value, keys[n], (), 0, ANY if partitions is None else partitions[n])
        elif partitions is None:
            pairs = zip(keys, values, strict=True)
            self._hand_over(topic, [{"value": value, "key": key} for key, value in pairs], ANY)
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
        partition: int = ANY,
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
