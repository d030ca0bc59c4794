"""Many timers on one timer of the event loop.

A guard sets a timer for every attempt and cancels nearly all of them. One of the loop's own costs several
microseconds to make and to cancel; here it is an entry on a heap.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what only declares keys is not to load it
    from asyncio import AbstractEventLoop, TimerHandle

__all__ = ["Alarm", "Alarms"]


class Alarm:
    """One moment and what is called then.

    Attributes:
        when: By the loop's clock.
        call: None once it was called or cancelled.
    """

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call: Callable[[], None] | None = call


class Alarms:
    """Calls functions at given moments of the loop's clock; used in the loop's thread alone."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Alarm]] = []
        self._serial = count()
        self._timer: TimerHandle | None = None
        self._timer_at = inf
        self._cancelled = 0

    def __len__(self) -> int:
        """How many are remembered, cancelled ones included."""
        return len(self._heap)

    def at(self, when: float, call: Callable[[], None]) -> Alarm:
        """Has `call` called at `when`, or soon if that has passed; never before this returns."""
        alarm = Alarm(when, call)
        heappush(self._heap, (when, next(self._serial), alarm))
        if when < self._timer_at:
            self._set(when)
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Has it not called; may come too late."""
        if alarm.call is None:
            return
        alarm.call = None
        self._cancelled += 1
        if self._cancelled > 100 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapify(self._heap)
            self._cancelled = 0

    def close(self) -> None:
        """Forgets all."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)
        self._timer_at = when

    def _ring(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._loop.time()
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].call is None):
            alarm = heappop(self._heap)[2]
            call, alarm.call = alarm.call, None
            if call is None:
                self._cancelled -= 1
            else:
                call()
        if self._heap:  # what was called may have set the timer to a later moment
            self._set(self._heap[0][0])
