"""Which events of a partition are finished: all that is lower than the offset to commit was written."""

from __future__ import annotations

from collections import deque

__all__ = ["Partition"]


class Partition:
    """One assignment of one partition.

    A partition that comes back is a new object, so that results which belong to the old assignment are told
    apart by `owned`. Offsets are taken in rising order; only those that wait are remembered one by one.

    Attributes:
        owned: False once the partition was revoked or lost.
        began: The offset it was committed at when it came; negative is unknown, None not asked for.
        position: The offset after the last event taken; None before the first.
        waiting: Events taken and not finished.
        waiting_bytes: Bytes of their values.
        committed: What was committed last in this assignment; None before the first time.
    """

    __slots__ = (
        "_finished",
        "_unfinished",
        "began",
        "committed",
        "number",
        "owned",
        "position",
        "topic",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.owned = True
        self.began: int | None = None
        self.position: int | None = None
        self.waiting = 0
        self.waiting_bytes = 0
        self.committed: int | None = None
        self._unfinished: deque[int] = deque()
        self._finished: set[int] = set()

    def __repr__(self) -> str:
        return f"{self.topic}-{self.number}"

    def took(self, last: int) -> None:
        """Everything up to and with offset `last` was taken."""
        self.position = last + 1

    def wait(self, offset: int, size: int) -> None:
        """The event at `offset`, of `size` bytes, is not finished yet; offsets come in rising order."""
        self._unfinished.append(offset)
        self.waiting += 1
        self.waiting_bytes += size

    def finish(self, offset: int, size: int) -> None:
        """The event at `offset`, which waited, was written."""
        self._finished.add(offset)
        self.waiting -= 1
        self.waiting_bytes -= size

    def prefix(self) -> int | None:
        """The offset to commit: every event below it is finished. None before the first event."""
        unfinished, finished = self._unfinished, self._finished
        while unfinished and unfinished[0] in finished:
            finished.remove(unfinished.popleft())
        return unfinished[0] if unfinished else self.position

    def release(self) -> int:
        """Gives the partition up; returns how many events were taken and are left to the next owner."""
        self.owned = False
        return self.waiting
