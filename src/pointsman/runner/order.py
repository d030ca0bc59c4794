"""Order per key, tracked only while something waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from pointsman.base.records import DeadLetter
from pointsman.runner.partitions import Partition

__all__ = ["Key", "KeyOrder", "Waiting"]

Key = str | bytes | None
"""The unit of order: an event's key; None has no order."""


class Waiting:
    """One event that waits for its model, or for an earlier event of its key.

    Attributes:
        key: The unit of order; None has none.
        partition: The assignment it came with.
        offset: Its offset.
        size: Bytes of its value.
        decided: What was decided of its batch.
        index: Its place in that batch.
        done: Whether its effects are known.
        letter: Its dead letter; None where there is none.
    """

    __slots__ = ("decided", "done", "index", "key", "letter", "offset", "partition", "size")

    def __init__(
        self,
        key: Key,
        partition: Partition,
        offset: int,
        *,
        size: int = 0,
        decided: Any = None,
        index: int = 0,
        done: bool = False,
    ) -> None:
        self.key = key
        self.partition = partition
        self.offset = offset
        self.size = size
        self.decided = decided
        self.index = index
        self.done = done
        self.letter: DeadLetter | None = None


class KeyOrder:
    """Hands out events in the order they were taken in, key by key; keys do not wait for each other."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[Key, deque[Waiting]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def holds(self, key: Key) -> bool:
        """Whether a later event of `key` has to wait."""
        return key in self._queues

    def disjoint(self, keys: Iterable[Key]) -> bool:
        """Whether no event of these keys has to wait."""
        return not self._queues or self._queues.keys().isdisjoint(keys)

    def add(self, event: Waiting) -> None:
        """Puts `event` behind the earlier ones of its key; one without a key waits for nobody."""
        if event.key is None:
            return
        queue = self._queues.get(event.key)
        if queue is None:
            self._queues[event.key] = deque((event,))
        else:
            queue.append(event)

    def finish(self, event: Waiting) -> list[Waiting]:
        """`event` is done: returns those that may be written now, in order; often itself alone, or none."""
        event.done = True
        if event.key is None:
            return [event]
        queue = self._queues.get(event.key)
        if queue is None or queue[0] is not event:
            return []
        return self._drain(event.key, queue)

    def drop(self, partition: Partition) -> list[Waiting]:
        """Forgets the events of `partition`; returns those of others that need not wait any longer."""
        free: list[Waiting] = []
        for key, queue in list(self._queues.items()):
            if any(event.partition is partition for event in queue):
                kept = deque(event for event in queue if event.partition is not partition)
                self._queues[key] = kept
                free += self._drain(key, kept)
        return free

    def _drain(self, key: Key, queue: deque[Waiting]) -> list[Waiting]:
        free: list[Waiting] = []
        while queue and queue[0].done:
            free.append(queue.popleft())
        if not queue:
            del self._queues[key]
        return free
