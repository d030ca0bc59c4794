"""What a worker takes from Kafka: messages while there is room, none while it is paused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from pointsman.runner.assignment import Assignment
from pointsman.runner.link import Link
from pointsman.runner.messages import unreadable

__all__ = ["Intake"]

Gone = Callable[[Consumer, list[TopicPartition]], None]
"""Called by the client, inside `fetch`, `serve` and `close`, with partitions that came or went."""


class Intake:
    """The consumer of one worker.

    Attributes:
        consumer: The client.
        exhausted: Whether the run's number of events was reached.
        paused: Whether nothing is taken.
        stash: Messages that came while nothing was taken, for the next `fetch`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        topics: Sequence[str],
        partitions: Assignment,
        link: Link,
        free: Collection[str] = (),
    ) -> None:
        """Args:
        config: Properties of the client.
        topics: What to consume; all exist.
        free: Those of them whose messages the run's number of events is not about.
        """
        self._free = frozenset(free)
        self._config = config
        self._topics = list(topics)
        self._partitions = partitions
        self._link = link
        self.stash: list[Any] = []
        self._withheld: set[tuple[str, int]] = set()
        self._full: set[tuple[str, int]] = set()
        self._eager = config.get("partition.assignment.strategy") != "cooperative-sticky"
        self.consumer = Consumer({**config, "on_commit": partitions.committed})
        self.exhausted = False
        self.paused = False

    def join(self, *, assigned: Gone, revoked: Gone, lost: Gone) -> None:
        """Joins the group."""
        self.consumer.subscribe(self._topics, on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def fetch(self, room: int, wait: float) -> list[Any]:
        """Up to `room` messages, those that are there; waits up to `wait` seconds for the first.

        Raises:
            EnvironmentFault: Kafka does not hand them over and will not.
        """
        quota, taken = self._link.quota, 0
        if quota is not None:
            taken = quota.take(room)
            if taken:
                self._replenished()  # another worker gave some back
            if not taken and not self._free:
                self.exhausted = True
                return []
            if not taken:
                self._exhaust()
            room = taken or room
        messages = self._from_stash(room)
        self._partitions.begin()
        if not messages:
            first = self.consumer.poll(wait)
            if first is not None:
                messages.append(first)
        if messages and len(messages) < room:
            messages += self.consumer.consume(room - len(messages), 0)
        messages = self._partitions.ours(self._events(messages))
        if quota is not None:
            counted = sum(m.topic() not in self._free for m in messages) if self._free else len(messages)
            if counted < taken:
                quota.give_back(taken - counted)
        return messages

    def _from_stash(self, room: int) -> list[Any]:
        messages: list[Any] = []
        rest: list[Any] = []
        for message in self.stash:
            waits = len(messages) == room or (message.topic(), message.partition()) in self._full
            (rest if waits else messages).append(message)
        self.stash = rest
        return messages

    def keep_back(self, messages: list[Any]) -> None:
        """These were handed out and not taken; their partitions hand out no more until `let_go`."""
        self.stash = sorted(messages + self.stash, key=lambda message: message.offset())
        places = {(m.topic(), m.partition()) for m in messages} - self._full
        self._full |= places
        if places:
            self.consumer.pause([TopicPartition(*place) for place in places])
        self.give_back(Counter(m.topic() for m in messages))

    def let_go(self, full: Callable[[tuple[str, int]], bool]) -> None:
        """Partitions that were kept back hand out again, but for those that still are `full`."""
        free = [TopicPartition(*place) for place in self._full if not full(place)]
        self._full.difference_update((p.topic, p.partition) for p in free)
        if free and not self.paused:
            self.consumer.resume([p for p in free if not self._is_withheld(p)])

    def give_back(self, events: Mapping[str, int]) -> None:
        """So many events of each topic were handed out, and will be again: the run's number is not spent."""
        counted = sum(n for topic, n in events.items() if topic not in self._free)
        if counted and self._link.quota is not None:
            self._link.quota.give_back(counted)
            self._replenished()

    def _replenished(self) -> None:
        """The source may give more events after all."""
        if self.exhausted:
            self.exhausted = False
            if not self.paused:
                self.resume()

    def _exhaust(self) -> None:
        """The source has given its number of events; what goes on by another key goes on."""
        if not self.exhausted:
            self.exhausted = True
            held = [p for p in self.consumer.assignment() if p.topic not in self._free]
            self.consumer.pause(held)
        self.stash = [m for m in self.stash if m.topic() in self._free]

    def serve(self) -> None:
        """Lets the client do its callbacks while all partitions are paused."""
        self._partitions.begin()
        message = self.consumer.poll(0)
        if message is not None:
            self.stash += self._partitions.ours(self._events([message]))

    def pause(self) -> None:
        """Takes nothing from now on; the group is served by `serve`."""
        self.paused = True
        self.consumer.pause(self.consumer.assignment())

    def resume(self) -> None:
        """Takes again."""
        self.paused = False
        self.consumer.resume([p for p in self.consumer.assignment() if not self._is_withheld(p)])

    def withhold(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions wait, whatever else does not; before they are taken on."""
        self._withheld.update((p.topic, p.partition) for p in partitions)

    def release(self, partitions: Sequence[TopicPartition], *, resume: bool = True) -> None:
        """These partitions need not wait any longer; without `resume` they are another worker's."""
        if not partitions:
            return
        self._withheld.difference_update((p.topic, p.partition) for p in partitions)
        if resume and not self.paused:
            self.consumer.resume([p for p in partitions if not self._is_withheld(p)])

    def forget(self) -> None:
        """Drops what was fetched and not handed out: it will be fetched again."""
        self.stash.clear()
        self._full.clear()

    def take_on(self, partitions: list[TopicPartition]) -> None:
        """Partitions were assigned.

        The client keeps whether a partition is paused even while another worker has it.
        """
        if self._eager:
            self.consumer.assign(partitions)
        else:
            self.consumer.incremental_assign(partitions)
        waits = [p for p in partitions if self.paused or self._is_withheld(p)]
        goes_on = [p for p in partitions if not (self.paused or self._is_withheld(p))]
        if waits:
            self.consumer.pause(waits)
        if goes_on:
            self.consumer.resume(goes_on)

    def given_up(self, left: Mapping[str, int]) -> None:
        """Partitions are gone; so many events of each topic were taken and will be by their next owner."""
        self.stash = self._partitions.ours(self.stash)
        self._full &= self._partitions.owned.keys()
        self.give_back(left)

    def close(self) -> None:
        """Leaves the group."""
        self.consumer.close()

    def _is_withheld(self, place: TopicPartition) -> bool:
        if self.exhausted and place.topic not in self._free:
            return True
        found = (place.topic, place.partition)
        return found in self._withheld or found in self._full

    def _events(self, messages: list[Any]) -> list[Any]:
        """Those messages that are events; acts on what the client reports in their place."""
        faulty = [m for m in messages if m.error() is not None]
        events = [m for m in messages if m.error() is None] if faulty else messages
        self._partitions.moved(events)  # first: an end among them stands behind its partition's events
        for message in faulty:
            error, topic = message.error(), message.topic()
            if error.code() == KafkaError._PARTITION_EOF:
                self._partitions.ended(topic, message.partition())
                continue
            found = unreadable(error, self._config, topic or ", ".join(self._topics))
            if found is not None:
                raise found
            self._link.say("broker_trouble", problem=error.str())
        return events
