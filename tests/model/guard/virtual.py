"""An event loop whose time passes only when there is nothing to do, and models that answer by a script."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from pointsman.model.alarms import Alarms
from pointsman.model.batching import BatchKeys
from pointsman.model.breaker import Breaker, BreakerKeys
from pointsman.model.gate import Gate, Terms
from pointsman.model.guard import Guard
from pointsman.model.limits import Limits
from pointsman.model.pool import Ticket
from pointsman.model.remote import Ask
from pointsman.model.retry import RetryKeys
from pointsman.model.ticket import RemoteTicket

__all__ = ["Bench", "Scripted", "VirtualLoop", "terms"]


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: moves the clock to where the loop would have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "the loop would wait for ever"
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own that begins at 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


@dataclass
class Scripted:
    """A remote model that does what `answer` says; it may be a coroutine function.

    Attributes:
        answer: Takes the rows; returns replies or raises.
        takes: Seconds that a request takes.
        seen: The rows of every request, with the time at which it began.
        asks: What each was told.
        cancelled: Requests that were cancelled.
    """

    answer: Callable[[Sequence[Any]], Any]
    takes: float = 0.0
    batches: bool = True
    protocol = "scripted"
    version: str | None = None
    seen: list[tuple[float, list[Any]]] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    cancelled: int = 0
    under_way: int = 0
    most: int = 0

    async def request(self, rows: Sequence[Any], ask: Ask) -> Sequence[Any]:
        self.seen.append((round(asyncio.get_running_loop().time(), 6), [row[0] for row in rows]))
        self.asks.append(ask)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.takes:
                await asyncio.sleep(self.takes)
            found = self.answer([row[0] for row in rows])
            return (await found) if asyncio.iscoroutine(found) else found
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        return

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.seen]

    @property
    def requests(self) -> list[list[Any]]:
        return [rows for _, rows in self.seen]


def terms(
    timeout: float = 1.0,
    *,
    attempts: int = 1,
    budget: Any = None,
    wait: float = 0.025,
    batch: BatchKeys | None = None,
    breaker: BreakerKeys | None = None,
    concurrency: int | None = None,
    rate: float | None = None,
    shared: Gate | None = None,
) -> Terms:
    """Terms with a gate of the model's own, and no retries or breaker unless told."""
    retry = RetryKeys(attempts=attempts, wait=wait, **({} if budget is None else {"budget": budget}))
    gate = Gate(None if breaker is None else Breaker(breaker), Limits(concurrency, rate))
    return Terms(timeout, retry, batch, (gate,) if shared is None else (gate, shared))


class Bench:
    """Guards in a virtual loop."""

    def __init__(self, chance: Callable[[], float] = lambda: 0.5) -> None:
        self.loop = VirtualLoop()
        self.alarms = Alarms(self.loop)
        self.answered: SimpleQueue[Ticket] = SimpleQueue()
        self.chance = chance

    def guard(self, model: Any, terms: Terms, name: str = "m") -> Guard:
        return Guard(name, model, terms, self.alarms, self.loop, self.answered, self.chance)

    def add(
        self, guard: Guard, values: Iterable[Any], deadline: float = float("inf"), ids: Sequence[str] = ()
    ) -> list[RemoteTicket]:
        """Tickets with these rows, each as large as the guard takes them, handed over now."""
        values = list(values)
        size = guard.size
        tickets = [
            RemoteTicket(
                guard.name,
                [(value,) for value in values[at : at + size]],
                [*(ids or [str(value) for value in values])][at : at + size],
                deadline,
            )
            for at in range(0, len(values), size)
        ]
        for ticket in tickets:
            self.loop.call_soon(guard.add, ticket)
        return tickets

    def pass_(self, seconds: float) -> None:
        """Lets time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def finished(self) -> list[Ticket]:
        """The tickets that were handed over since the last look."""
        return [self.answered.get() for _ in range(self.answered.qsize())]

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))
        self.loop.close()
