"""What is written of a decided batch: which records, to which topics, and what is too large for them.

How they get there is another's: a Kafka client of ours, or the frames of a stream engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault
from pointsman.base.records import Batch, DeadLetter
from pointsman.engine.hops import Moved
from pointsman.runner.extracts import Extract
from pointsman.runner.letters import kafka_headers
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key

__all__ = ["ANY", "Records", "Target", "beyond"]

ANY: Final = -1
"""The partition that the key says."""


@dataclass(frozen=True, slots=True)
class Target:
    """A topic, and the bytes of the largest record that it takes."""

    topic: str
    largest: int


class Records(ABC):
    """Makes the records.

    Attributes:
        bytes: Bytes handed over since it was last set to 0.
        onward: Where events go on by another key, by the field that they go on to.
    """

    def __init__(
        self,
        decisions: Target,
        dead_letters: Target,
        metrics: Metrics,
        extracts: Sequence[Extract] = (),
        requests: Mapping[str, Target] | None = None,
    ) -> None:
        """Args:
        extracts: What else is written of each decision record.
        requests: Where a router's requests go, by the first model of their plan.
        """
        self._decisions = decisions
        self._dead_letters = dead_letters
        self._extracts = extracts
        self._requests = requests or {}
        self.onward: Mapping[str, Target] = {}
        self._largest = min([decisions.largest, *(extract.largest for extract in extracts)])
        self._metrics = metrics
        self.bytes = 0

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
            refused = places_beyond(keys, values, self._largest)
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
        return places_beyond(keys, values, self._requests[model].largest)

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
                raise beyond(self._dead_letters.topic)
            self._produce(
                self._dead_letters.topic, record.value, record.key, headers, max(record.timestamp, 0)
            )
            self.bytes += size
            self._metrics.count("pointsman_dead_letters_total", 1, letter.reason)

    @abstractmethod
    def _produce_batch(
        self,
        topic: str,
        keys: Sequence[Key],
        values: Sequence[bytes],
        size: int,
        partitions: Sequence[int] | None = None,
    ) -> None:
        """Hands over records without headers, of `size` bytes together."""

    @abstractmethod
    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: Key,
        headers: Sequence[Any],
        timestamp: int,
        partition: int = ANY,
    ) -> None:
        """Hands over one record; a timestamp of 0 is now."""


def places_beyond(keys: Sequence[Key], values: Sequence[bytes], most: int) -> list[int]:
    """The places of records that are larger than `most` bytes."""
    return [n for n, value in enumerate(values) if len(value) + len(keys[n] or b"") > most]


def beyond(topic: str) -> EnvironmentFault:
    """A record that cannot be put right is larger than its topic takes."""
    return EnvironmentFault(
        f"a record is larger than the topic {topic} takes: raise its max.message.bytes and start again; "
        "nothing is lost"
    )
