"""What a worker takes from Kafka: messages while there is room, none while it is paused."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from pointsman.runner.assignment import Assignment
from pointsman.runner.link import Link
from pointsman.runner.messages import unreadable

__all__ = ["Intake"]

_MOST_KEPT = 1000
_MOST_KEPT_BYTES = 1 << 20
"""What is kept back of a partition before the client stops reading it."""

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
        self._kept: dict[tuple[str, int], deque[Any]] = {}
        self._full: set[tuple[str, int]] = set()
        self._halted: set[tuple[str, int]] = set()
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
        messages = self._kept_ones(room)
        self._partitions.begin()
        fresh: list[Any] = []
        if not messages:
            first = self.consumer.poll(wait)
            if first is not None:
                fresh.append(first)
        if (messages or fresh) and len(messages) + len(fresh) < room:
            fresh += self.consumer.consume(room - len(messages) - len(fresh), 0)
        messages = self._partitions.ours(messages + self._events(fresh))
        if quota is not None:
            counted = sum(m.topic() not in self._free for m in messages) if self._free else len(messages)
            if counted < taken:
                quota.give_back(taken - counted)
        return messages

    def _kept_ones(self, room: int) -> list[Any]:
        """Up to `room` of those that were kept back and of those in the stash, but for what has to wait."""
        messages: list[Any] = []
        for place, kept in list(self._kept.items()):
            if place in self._full or self._is_spent(place[0]):
                continue
            while kept and len(messages) < room:
                messages.append(kept.popleft())
            if not kept:
                del self._kept[place]
            if place in self._halted and len(kept) < _MOST_KEPT // 2:
                self._halted.discard(place)
                self._go_on([TopicPartition(*place)])
        if self.stash and len(messages) < room:
            free = [m for m in self.stash if not self._is_spent(m.topic())][: room - len(messages)]
            handed = set(map(id, free))
            self.stash = [m for m in self.stash if id(m) not in handed]
            messages += free
        return messages

    def keep_back(self, messages: list[Any]) -> None:
        """These were handed out and not taken; nothing of their partitions is handed out before `let_go`.

        The client goes on for a while: to stop it and let it go on costs more than what it brings meanwhile.
        """
        for place in {(m.topic(), m.partition()) for m in messages}:
            mine = [m for m in messages if (m.topic(), m.partition()) == place]
            kept = deque(sorted([*self._kept.get(place, ()), *mine], key=lambda message: message.offset()))
            self._kept[place] = kept
            self._full.add(place)
            many = len(kept) >= _MOST_KEPT or sum(len(m.value() or b"") for m in kept) >= _MOST_KEPT_BYTES
            if many and place not in self._halted:
                self._halted.add(place)
                self.consumer.pause([TopicPartition(*place)])
        self.give_back(Counter(m.topic() for m in messages))

    def let_go(self, full: Callable[[tuple[str, int]], bool]) -> None:
        """Partitions that were kept back hand out again, but for those that still are `full`."""
        self._full = {place for place in self._full if full(place)}

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
            self.consumer.pause([p for p in self.consumer.assignment() if p.topic not in self._free])

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
        self._go_on(self.consumer.assignment())

    def withhold(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions wait, whatever else does not; before they are taken on."""
        self._withheld.update((p.topic, p.partition) for p in partitions)

    def release(self, partitions: Sequence[TopicPartition], *, resume: bool = True) -> None:
        """These partitions need not wait any longer; without `resume` they are another worker's."""
        if not partitions:
            return
        self._withheld.difference_update((p.topic, p.partition) for p in partitions)
        if resume:
            self._go_on(partitions)

    @property
    def holds(self) -> bool:
        """Whether it has messages that the client handed out."""
        return bool(self.stash or self._kept)

    def forget(self) -> None:
        """Drops what was fetched and not handed out: it will be fetched again."""
        self.stash.clear()
        self._kept.clear()
        self._full.clear()
        self._halted.clear()

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
        owned = self._partitions.owned.keys()
        self._full &= owned
        self._halted &= owned
        self._kept = {place: kept for place, kept in self._kept.items() if place in owned}
        self.give_back(left)

    def close(self) -> None:
        """Leaves the group."""
        self.consumer.close()

    def _is_withheld(self, place: TopicPartition) -> bool:
        found = (place.topic, place.partition)
        return self._is_spent(place.topic) or found in self._withheld or found in self._halted

    def _is_spent(self, topic: str) -> bool:
        """Whether the run's number of events leaves none for a topic."""
        return self.exhausted and topic not in self._free

    def _go_on(self, partitions: Iterable[TopicPartition]) -> None:
        """Has the client go on with those that nothing holds."""
        if not self.paused:
            self.consumer.resume([p for p in partitions if not self._is_withheld(p)])

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
