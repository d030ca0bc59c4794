"""A call of a remote model, as the consumer that waits for it sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Final

from pointsman.base.errors import ModelError
from pointsman.model.base import Row
from pointsman.model.pool import Ticket

__all__ = ["Attempt", "RemoteTicket"]

Attempt = dict[str, Any]
"""`{model, status, class, latency_ms}`, as it stands in `result.attempts`."""

_UNANSWERED: Final = object()
_NOTHING: Final[Mapping[int, list[Attempt]]] = {}


class RemoteTicket(Ticket):
    """Rows under way to a remote model that come back together.

    The event loop fills it row by row and hands it over when it is full; whoever claims it finishes it.

    Attributes:
        ids: Event ids, one a row.
        traces: Trace headers of each row; empty where none are forwarded.
        attempts: The attempts that all rows took part in, in order, as in `result.attempts`; empty where the
            model was never asked.
        own: By row, the attempts that not all rows took part in, or that ended differently for them; they
            come after `attempts`.
    """

    __slots__ = ("_left", "_slots", "attempts", "ids", "own", "traces")

    def __init__(
        self,
        model: str,
        rows: Sequence[Row],
        ids: Sequence[str],
        deadline: float = inf,
        traces: Sequence[Mapping[str, str]] = (),
        size_bytes: int = 0,
    ) -> None:
        super().__init__(model, rows, size_bytes, deadline)
        self.ids = ids
        self.traces = traces
        self.attempts: list[Attempt] = []
        self.own: Mapping[int, list[Attempt]] = _NOTHING
        self._slots: list[Any] = [_UNANSWERED] * len(rows)
        self._left = len(rows)

    def attempts_of(self, row: int) -> list[Attempt]:
        """All attempts that a row took part in, in order."""
        own = self.own.get(row)
        return self.attempts if own is None else self.attempts + own

    def note(self, row: int, attempt: Attempt) -> None:
        """Remembers an attempt of one row alone."""
        if len(self.rows) == 1:
            self.attempts.append(attempt)
            return
        if self.own is _NOTHING:
            self.own = {row: [] for row in range(len(self.rows))}
        self.own[row].append(attempt)

    def fill(self, row: int, reply: Any | ModelError) -> bool:
        """Keeps the answer of one row, the first one; returns whether it was the last that was missing."""
        if self._slots[row] is not _UNANSWERED:
            return False
        self._slots[row] = reply
        self._left -= 1
        return self._left == 0

    def fill_rest(self, error: ModelError) -> int:
        """Fails every row that is not answered; returns how many those were."""
        left = self._left
        self._slots = [error if reply is _UNANSWERED else reply for reply in self._slots]
        self._left = 0
        return left

    def complete(self, now: float) -> None:
        """Shows the answers; only by who claimed it."""
        self.replies = self._slots
        if self.began is not None:
            self.latency_ms = (now - self.began) * 1000
