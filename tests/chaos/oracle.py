"""The wanted decision of each event, computed offline in plain Python from what stands in the source topic.

Nothing of the product is used here: this is the contract of docs/windows.md once more, written naively.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Oracle", "Record", "Wanted"]

HOUR, MINUTE = 3_600_000, 60_000
AHEAD = HOUR


@dataclass(frozen=True, slots=True)
class Record:
    """A source record as it lies in the log."""

    partition: int
    offset: int
    timestamp: int
    value: bytes | None


@dataclass(slots=True)
class Wanted:
    """What one event should lead to.

    Attributes:
        id: The event's id.
        dead: The reason of its dead letter; None where there is none.
        decided: Whether there is a decision record.
        metadata: Its metadata.
        late: Whether the windows did not take it.
    """

    id: str
    dead: str | None = None
    decided: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)
    event: dict[str, Any] = field(default_factory=dict)
    late: bool = False

    def route(self, limit: int) -> str:
        """The route by a document with this limit."""
        spend = self.metadata.get("spend")
        if self.event.get("device") == "toaster":
            return "toaster"
        if spend is not None and spend["n"] > limit:
            return "many"
        if spend is not None and spend["total"] > 4000.0:
            return "heavy"
        return "otherwise"

    def status(self, route: str) -> str:
        """How an event that took `route` ends."""
        if route == "toaster":
            return "failed"
        if route == "many":
            return "fallback"
        return "ok" if isinstance(self.event.get("amount"), (int, float)) else "failed"


@dataclass(slots=True)
class _Seen:
    """What one key's events were, each as (time, amount or None, device).

    Attributes:
        large: The times of those that the window of large ones took.
    """

    events: list[tuple[int, float | None, str]] = field(default_factory=list)
    large: list[int] = field(default_factory=list)


class Oracle:
    """Goes through the source partition by partition."""

    def __init__(self) -> None:
        self.seen: dict[str, _Seen] = defaultdict(_Seen)

    def judge(self, records: Sequence[Record], topic: str) -> dict[tuple[int, int], Wanted]:
        """What each record, in log order of its partition, should lead to."""
        found = {}
        for record in records:
            place = f"{topic}-{record.partition}-{record.offset}"
            found[record.partition, record.offset] = self._one(record, place)
        return found

    def _one(self, record: Record, place: str) -> Wanted:
        if record.value is None:
            return Wanted(place, dead="empty", decided=False)
        try:
            event = json.loads(record.value.decode())
        except ValueError:
            return Wanted(place, dead="undecodable", decided=False)
        if not isinstance(event, dict):
            return Wanted(place, dead="undecodable", decided=False)
        wanted = Wanted(event["txn_id"], event=event)
        amount = event.get("amount")
        usable = isinstance(amount, (int, float))
        self._windows(
            wanted, event["user_id"], event["ts"], float(amount) if usable else None, record.timestamp
        )
        return wanted

    def _windows(self, wanted: Wanted, user: str, when: int, amount: float | None, at: int) -> None:
        seen, device = self.seen[user].events, wanted.event["device"]
        if when > at + AHEAD:
            wanted.late = True
            return
        metadata = wanted.metadata
        spend = [e for e in seen if e[0] // MINUTE > when // MINUTE - 60 and e[0] // MINUTE <= when // MINUTE]
        newest = max((e[0] for e in seen), default=when)
        if when > newest - HOUR:
            spend.append((when, amount, device))
            total = sum(e[1] for e in spend if e[1] is not None)
            metadata["spend"] = {"total": total, "n": len(spend), "devices": len({e[2] for e in spend})}
            hour = [e for e in [*seen, (when, amount, device)] if e[0] // HOUR == when // HOUR]
            largest = max((e[1] for e in hour if e[1] is not None), default=None)
            if largest is not None:
                metadata["hourly"] = largest
        else:
            wanted.late = True
        self._big(wanted, self.seen[user].large, when, amount)
        if when > newest - HOUR:
            seen.append((when, amount, device))

    @staticmethod
    def _big(wanted: Wanted, seen: list[int], when: int, amount: float | None) -> None:
        """Its newest event is that of the events which it took."""
        if when <= max(seen, default=when) - 10 * MINUTE:
            wanted.late = True
            return
        counts = amount is not None and amount > 500.0
        wanted.metadata["big"] = sum(when - 10 * MINUTE < one <= when for one in seen) + counts
        if counts:
            seen.append(when)
