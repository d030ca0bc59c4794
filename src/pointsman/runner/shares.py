"""Which partitions may have more events taken: a slow one does not use up the room of the others.

A partition whose events wait for a slow model may fill three quarters of the limits. The last quarter is for
those that hold less than their part of it: the slow one's next events wait, outside the limits, until it has
finished some.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from pointsman.runner.assignment import Place
from pointsman.runner.partitions import Partition

__all__ = ["Shares"]


class _Limit:
    """A limit, and what of it goes to whom.

    Attributes:
        most: What all may hold before shares count.
        share: What each may hold then.
    """

    def __init__(self, limit: int, lanes: int) -> None:
        kept = limit // 4
        self.most = limit - kept
        self.share = max(1, kept // lanes)
        self._low = self.most - max(1, limit // 8)

    def full(self, held: int, total: int) -> bool:
        return total >= self.most and held >= self.share

    def free(self, held: int, total: int) -> bool:
        """With some distance from `full`: little batches are dear."""
        return total <= self._low or held <= self.share // 2


class Shares:
    """The shares of the partitions of one worker.

    Attributes:
        full: The lanes that have their share; nothing more of them is taken.
    """

    def __init__(self, events: int, size: int, lane: Callable[[Partition], Hashable]) -> None:
        """Args:
        events: The most events under way.
        size: The most bytes of them.
        lane: What waits together: a partition, or all of one number.
        """
        self._events = events
        self._size = size
        self._lane = lane
        self.full: set[Hashable] = set()
        self._lanes: dict[Hashable, list[int]] = {}
        self._totals = [0, 0]
        self._limits = (_Limit(events, 1), _Limit(size, 1))

    @property
    def room(self) -> bool:
        """Whether a lane is full and another is not."""
        return bool(self.full) and len(self.full) < len(self._lanes)

    def look(self, owned: Iterable[Partition], events: int, size: int) -> None:
        """Takes in what waits of each partition, and in all."""
        if not events and not self.full:
            self._lanes = {}
            return
        lanes: dict[Hashable, list[int]] = {}
        for partition in owned:
            held = lanes.setdefault(self._lane(partition), [0, 0])
            held[0] += partition.waiting
            held[1] += partition.waiting_bytes
        self._lanes, self._totals = lanes, [events, size]
        self._limits = (_Limit(self._events, len(lanes) or 1), _Limit(self._size, len(lanes) or 1))
        self.full = {lane for lane, held in lanes.items() if self._is_full(lane, held)}

    def admit(self, messages: list[Any], owned: Mapping[Place, Partition]) -> tuple[list[Any], list[Any]]:
        """Those messages that may be taken, and those that have to wait."""
        if not self._lanes or (not self.full and self._fit(messages)):
            return messages, []
        taken: list[Any] = []
        left: list[Any] = []
        for message in messages:
            lane = self._lane(owned[message.topic(), message.partition()])
            if lane in self.full:
                left.append(message)
                continue
            taken.append(message)
            size, held = len(message.value() or b""), self._lanes[lane]
            for amounts in (held, self._totals):
                amounts[0] += 1
                amounts[1] += size
            if self._is_full(lane, held):
                self.full.add(lane)
        return taken, left

    def _fit(self, messages: list[Any]) -> bool:
        (events, size), (most_events, most_size) = self._totals, self._limits
        if events + len(messages) >= most_events.most:
            return False
        return size + sum(len(m.value() or b"") for m in messages) < most_size.most

    def _is_full(self, lane: Hashable, held: list[int]) -> bool:
        pairs = list(zip(self._limits, held, self._totals, strict=True))
        if lane in self.full:
            return not all(limit.free(mine, total) for limit, mine, total in pairs)
        return any(limit.full(mine, total) for limit, mine, total in pairs)
