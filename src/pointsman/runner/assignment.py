"""The partitions a worker has: how far each is finished, what of it is committed, how much is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.runner.partitions import Partition

__all__ = ["Assignment", "Place", "names"]

_REBALANCES = (KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS)
"""A commit that met a rebalance is no news: it is made again, or the partition went with its own commit."""

Place = tuple[str, int]
"""A topic and the number of one of its partitions."""


_ASK_SECONDS = 1.0


class Assignment:
    """The worker's partitions.

    Attributes:
        owned: The assignment of each partition it has.
        joined: Whether it is in the group and was told its partitions, be they none.
    """

    def __init__(self, metrics: Metrics, say: Say) -> None:
        self._metrics = metrics
        self._say = say
        self._gone: set[Place] = set()
        self._ended: set[Place] = set()
        self.owned: dict[Place, Partition] = {}
        self.joined = False

    # Coming and going.

    def add(self, places: Iterable[TopicPartition]) -> None:
        """Partitions were assigned."""
        self.joined = True
        for p in places:
            self.owned[p.topic, p.partition] = Partition(p.topic, p.partition)

    def remove(self, places: Iterable[TopicPartition], drop: Callable[[Partition], int]) -> Counter[str]:
        """Partitions are gone; `drop` forgets what waits of one. Returns how many events left, by topic."""
        left: Counter[str] = Counter()
        for p in places:
            place = (p.topic, p.partition)
            self._gone.add(place)
            self._ended.discard(place)
            partition = self.owned.pop(place, None)
            if partition is not None:
                left[p.topic] += drop(partition)
        self._metrics.count("pointsman_discarded_total", left.total())
        return left

    def renew(self, committed: Mapping[Place, int]) -> None:
        """All partitions begin again; `committed` says where, as far as that is known."""
        for place in list(self.owned):
            self._ended.discard(place)
            partition = self.owned[place] = Partition(*place)
            partition.began = committed.get(place)

    def begin(self) -> None:
        """Before messages are taken from the client."""
        self._gone.clear()

    def ours(self, messages: list[Any]) -> list[Any]:
        """Those messages whose partition did not go while they were being taken."""
        if not self._gone:
            return messages
        return [m for m in messages if (m.topic(), m.partition()) not in self._gone]

    def unseen(self, messages: Iterable[Any]) -> tuple[list[Any], Counter[str]]:
        """Those messages that were not handed out before in this assignment; how many were, by topic.

        A rebalance of the group stops fetching for a moment. Where that meets a batch that the client is just
        handing out, it goes on before that batch, and hands it out once more.
        """
        ends = dict[Place, int]()
        new, again = [], Counter[str]()
        for message in messages:
            place, offset = (message.topic(), message.partition()), message.offset()
            end = ends.get(place)
            if end is None:
                end = self.owned[place].position or 0
            if offset < end:
                again[place[0]] += 1
            else:
                ends[place] = offset + 1
                new.append(message)
        return new, again

    # Ends.

    def ended(self, topic: str, number: int) -> None:
        """The end of a partition was reached."""
        self._ended.add((topic, number))

    def moved(self, messages: Iterable[Any]) -> None:
        """Events came, so their partitions were not at their end."""
        if self._ended:
            self._ended.difference_update((m.topic(), m.partition()) for m in messages)

    def at_end(self, but: Collection[Place] = ()) -> bool:
        """Whether nothing is left in any partition, those of `but` aside."""
        return self.joined and self.owned.keys() - but <= self._ended

    # Committing.

    def prefixes(self, places: Iterable[TopicPartition] | None = None) -> list[TopicPartition]:
        """The offsets that stand for what is finished and not committed; they count as committed from now."""
        if places is None:
            partitions = list(self.owned.values())
        else:
            partitions = [found for p in places if (found := self.owned.get((p.topic, p.partition)))]
        offsets = []
        for partition in partitions:
            prefix = partition.prefix()
            if prefix is not None and prefix != partition.committed:
                partition.committed = prefix
                offsets.append(TopicPartition(partition.topic, partition.number, prefix))
        return offsets

    def committed(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        """Told how a commit went; what failed is committed again next time."""
        failed = [offset for offset in offsets if error is not None or offset.error is not None]
        if not failed:
            self._metrics.count("pointsman_commits_total")
            return
        said: Any = error or failed[0].error
        self._metrics.count("pointsman_commit_failures_total")
        if said.code() not in _REBALANCES:
            self._say("commit_failed", problem=said.str())
        for offset in failed:
            partition = self.owned.get((offset.topic, offset.partition))
            if partition is not None:
                partition.committed = None

    def commit_now(self, consumer: Consumer, places: Iterable[TopicPartition] | None = None) -> bool:
        """Commits the finished prefixes and waits for the answer; returns whether that worked."""
        offsets = self.prefixes(places)
        if not offsets:
            return True
        try:
            done: Any = consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self.committed(error.args[0], offsets)
            return False
        self.committed(None, done)
        return all(offset.error is None for offset in done)

    # How far.

    def count_lag(self, consumer: Consumer) -> None:
        """Sets the gauge of each partition to the events that were not taken yet, as far as that is known."""
        self._metrics.clear("pointsman_lag_events")
        for (topic, number), lag in self._behind(consumer):
            self._metrics.set("pointsman_lag_events", lag, topic, str(number))

    def lag(self, consumer: Consumer) -> int:
        """The events of all partitions that were not taken yet, those included of which none was taken."""
        return sum(lag for _, lag in self._behind(consumer))

    def _behind(self, consumer: Consumer) -> Iterator[tuple[Place, int]]:
        self._ask_where_it_began(consumer)
        for (topic, number), partition in self.owned.items():
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            at = partition.began if partition.position is None else partition.position
            if high >= 0 and at is not None and at >= 0:
                yield (topic, number), max(0, high - at)

    def _ask_where_it_began(self, consumer: Consumer) -> None:
        """Finds the committed offsets of partitions of which no event came yet; once for each."""
        silent = [p for p in self.owned.values() if p.position is None and p.began is None]
        if not silent:
            return
        for partition in silent:
            partition.began = -1
        with suppress(KafkaException):  # their lag is then told with their first event
            asked = [TopicPartition(p.topic, p.number) for p in silent]
            found = consumer.committed(asked, timeout=_ASK_SECONDS)
            for place in found:
                begin = place.offset
                if begin < 0:
                    begin, _ = consumer.get_watermark_offsets(place, timeout=_ASK_SECONDS)
                self.owned[place.topic, place.partition].began = begin


def names(places: Iterable[TopicPartition]) -> list[str]:
    """`topic-partition` of each."""
    return [f"{p.topic}-{p.partition}" for p in places]
