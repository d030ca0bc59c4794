"""One request's worth of rows on its way through a guard, and what a guard counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.base.errors import ModelError
from pointsman.model.alarms import Alarm
from pointsman.model.ticket import RemoteTicket

__all__ = ["FLYING", "OVER", "PAUSED", "QUEUED", "Item", "Job", "Numbers"]

QUEUED: Final = 0
FLYING: Final = 1
PAUSED: Final = 2
OVER: Final = 3

Item = tuple[RemoteTicket, int]
"""A row: its ticket and its place there."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a guard has counted since it was made, and what is so now.

    Attributes:
        attempts: Attempts by how they ended: `ok` or a failure class.
        sizes: Attempts by how many rows they carried.
        retries: Repeated attempts.
        splits: Requests that were cut in two to find a bad row.
        refused: Rows that were not sent because a breaker was open.
        expired: Rows whose deadline passed before they had an answer.
        late: Rows whose reply came after they had been given up; it was not used.
        breaker: The state of the breaker that is furthest from closed: 0 closed, 1 half-open, 2 open.
        opened: How often its breakers have opened.
        queued: Requests that wait for capacity.
        under_way: Attempts under way now.
    """

    attempts: Mapping[str, int]
    sizes: Mapping[int, int]
    retries: int
    splits: int
    refused: int
    expired: int
    late: int
    breaker: int
    opened: int
    queued: int
    under_way: int


class Job:
    """The rows of one request, from the batch to its answers; `guard` says how it goes.

    Attributes:
        tried: Attempts that were begun.
        serial: Grows when an attempt is given up or over: what comes of an older one is late.
        end: When the attempt under way, or the pause, is over.
        error: How the last attempt failed.
    """

    __slots__ = ("alarm", "began", "end", "error", "items", "permits", "serial", "state", "task", "tried")

    def __init__(self, items: list[Item], tried: int = 0, error: ModelError | None = None) -> None:
        self.items = items
        self.tried = tried
        self.error = error
        self.state = QUEUED
        self.serial = 0
        self.began = self.end = 0.0
        self.permits: Sequence[int] = ()
        self.task: asyncio.Task[None] | None = None
        self.alarm: Alarm | None = None
