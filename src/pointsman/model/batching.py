"""Micro-batching: what comes within a moment goes to the model together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pointsman.base.config import Duration, Whole, key

__all__ = ["BatchKeys", "Batcher"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchKeys:
    """How many events share a request, and how long the first one waits for others."""

    size: int = key(Whole(1), "Events in one request, at most.", default=32, example="32")
    wait: float = key(
        Duration(zero=True),
        "How long a request that is not full waits for more events; `0s` sends what is there.",
        default=0.005,
        example="5ms",
    )


class Batcher(Generic[T]):
    """Puts portions of rows together, in order, up to `size` rows; a portion is never cut.

    Attributes:
        rows: Rows that wait.
    """

    __slots__ = ("_portions", "_size", "rows")

    def __init__(self, size: int) -> None:
        self._size = size
        self._portions: list[T] = []
        self.rows = 0

    def add(self, portion: T, rows: int) -> list[list[T]]:
        """Takes a portion of up to `size` rows; returns the batches that are to be sent now."""
        ready: list[list[T]] = []
        if self.rows + rows > self._size:
            ready.append(self.take())
        self._portions.append(portion)
        self.rows += rows
        if self.rows >= self._size:
            ready.append(self.take())
        return ready

    def take(self) -> list[T]:
        """What waits, which then waits no more; may be empty."""
        taken, self._portions = self._portions, []
        self.rows = 0
        return taken
