"""Calls remote models from a thread that must not wait: one event loop in a thread of its own.

The consumer hands rows over and goes on; the loop's thread sends, repeats and gives up, each model behind its
guard; full tickets come back through the desk at which the consumer waits. Nothing is shared but the desk's
queue, an inbox, and the tickets, which are finished by whoever claims them first.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, Final, NamedTuple, TypeVar

from pointsman.base.errors import ModelError, ModelOverloaded, ModelTimeout
from pointsman.model.alarms import Alarms
from pointsman.model.base import Row
from pointsman.model.desk import Desk
from pointsman.model.gate import Terms
from pointsman.model.guard import Guard
from pointsman.model.job import Numbers
from pointsman.model.loops import new_loop
from pointsman.model.pool import Ticket
from pointsman.model.remote import RemoteModel
from pointsman.model.ticket import RemoteTicket

__all__ = ["GRACE", "Caller", "Part"]

T = TypeVar("T")

GRACE: Final = 0.05
"""Seconds after its deadline at which a ticket is given up even if the event loop does not come to it."""


CLOSING: Final = 1.0
"""Seconds that cancelled requests, and then models and endpoints, have to let go."""


class Part(NamedTuple):
    """Rows of one submission that come back together.

    Attributes:
        places: Which rows of the submission.
        ticket: Their answers.
    """

    places: range
    ticket: RemoteTicket


class Caller:
    """Answers rows by calling remote models, each behind its guard.

    One thread uses a caller; others may read `load`, `room` and `numbers`. The thread and its loop begin with
    the first call.

    Attributes:
        names: The models it calls.
    """

    def __init__(
        self,
        models: Mapping[str, RemoteModel],
        terms: Mapping[str, Terms],
        in_flight: int,
        *,
        desk: Desk | None = None,
        closing: Sequence[Callable[[], Awaitable[None]]] = (),
        loop: Callable[[], asyncio.AbstractEventLoop] = new_loop,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Args:
        models: The opened models by name; `close` closes them.
        terms: On which terms each is called.
        in_flight: Events under way, per model and in all; more are answered as overloaded.
        desk: Where answers arrive, shared with whoever else is waited for; None makes one of its own.
        closing: What `close` awaits after the models: endpoints.
        loop: Makes the event loop; its clock is that of deadlines.
        chance: A number in [0, 1), for the jitter of retries.
        """
        self.names: Sequence[str] = tuple(models)
        self._models = models
        self._loop = loop()
        self._alarms = Alarms(self._loop)
        self._monotonic = self._loop.time
        self._desk = desk or Desk(self._monotonic)
        self._desk.join(models, self._finish, self._expire)
        self._guards = {
            name: Guard(name, model, terms[name], self._alarms, self._loop, self._desk.answered, chance)
            for name, model in models.items()
        }
        self._closing = closing
        self._in_flight = in_flight
        self._thread: threading.Thread | None = None
        self._inbox: deque[tuple[Guard, RemoteTicket]] = deque()
        self._told = False
        self._events = 0
        self._load = dict.fromkeys(models, 0)
        self._bytes = 0
        self._open: set[Ticket] = set()
        self._due: list[tuple[float, int, RemoteTicket]] = []
        self._serial = 0
        self._closed = False

    def submit(
        self,
        model: str,
        rows: Sequence[Row],
        ids: Sequence[str] | None = None,
        deadline: float | None = None,
        traces: Sequence[Mapping[str, str]] = (),
        size_bytes: int = 0,
    ) -> list[Part]:
        """Hands rows to a model; each part of them comes back when it is done.

        Never blocks. Rows over the cap are done at once, as overloaded.

        Args:
            model: The model's name.
            rows: Their inputs.
            ids: Event ids, one a row; None: empty ones.
            deadline: When they are too late, in seconds of the loop's clock, which is `time.monotonic`.
            traces: Trace headers of each row; empty where none are forwarded.
            size_bytes: What the caller counts for the events, for `bytes`.
        """
        guard, count = self._guards[model], len(rows)
        due = inf if deadline is None else deadline
        ids = ids or [""] * count
        share = size_bytes // count if count else 0
        parts: list[Part] = []
        for start in range(0, count, guard.size):
            end = min(start + guard.size, count)
            ticket = RemoteTicket(
                model, rows[start:end], ids[start:end], due, traces[start:end], share * (end - start)
            )
            parts.append(Part(range(start, end), ticket))
            if self._closed or end - start > self.room(model):
                self._refuse(ticket)
            else:
                self._accept(guard, ticket)
        if self._inbox and not self._told:
            self._told = True
            if self._thread is None:
                self._start()
            self._loop.call_soon_threadsafe(self._drain)
        return parts

    def wait(self, tickets: Iterable[Ticket], seconds: float) -> None:
        """Returns as soon as all are done or `seconds` have passed."""
        self._desk.wait(tickets, seconds)

    def _expire(self, now: float) -> float:
        """Gives up what the loop should have given up by `now`; returns when it is to be asked again."""
        while self._due:
            deadline, _, ticket = self._due[0]
            if not ticket.done and now < deadline + GRACE:
                return deadline + GRACE
            heappop(self._due)
            if not ticket.done and ticket.claim():
                self._give_up(ticket, ModelTimeout("the event's deadline has passed"))
        return inf

    def _finish(self, ticket: Ticket) -> None:
        """Counts an accepted ticket as done."""
        self._open.discard(ticket)
        self._events -= len(ticket.rows)
        self._load[ticket.model] -= len(ticket.rows)
        self._bytes -= ticket.size_bytes
        ticket.land()
        if len(self._due) > 2 * len(self._open) + 1000:  # long deadlines keep what is done
            self._due = [entry for entry in self._due if not entry[2].done]
            heapify(self._due)

    def load(self, model: str | None = None) -> int:
        """Events under way for `model`, or in all."""
        return self._events if model is None else self._load[model]

    def room(self, model: str) -> int:
        """How many more events `model` takes now."""
        return self._in_flight - max(self._load[model], self._events)

    @property
    def bytes(self) -> int:
        """Bytes of the events under way."""
        return self._bytes

    def numbers(self, model: str) -> Numbers:
        """What the guard of a model has counted."""
        return self._guards[model].numbers()

    def run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Awaits something in the event loop, such as a model's `health`; blocks up to `seconds`.

        Raises:
            TimeoutError: It was not done by then; it is cancelled.
        """
        if self._thread is None:
            self._start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def close(self, seconds: float = 1.0) -> None:
        """Waits up to `seconds` for what is under way, fails the rest as overloaded, closes the models."""
        if self._closed:
            return
        self._closed = True
        self.wait(list(self._open), seconds)
        for ticket in list(self._open):
            if ticket.claim():
                self._give_up(ticket, ModelOverloaded("the worker is stopping"))
        if self._thread is None:
            self._loop.run_until_complete(self._shut())
        else:
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop)
            self._thread.join(3 * CLOSING)  # it is a daemon: a protocol that blocks it does not block the end
        if self._thread is None or not self._thread.is_alive():
            self._loop.close()

    def _accept(self, guard: Guard, ticket: RemoteTicket) -> None:
        rows = len(ticket.rows)
        self._events += rows
        self._load[ticket.model] += rows
        self._bytes += ticket.size_bytes
        self._open.add(ticket)
        if ticket.deadline < inf:
            self._serial += 1
            heappush(self._due, (ticket.deadline, self._serial, ticket))
        self._inbox.append((guard, ticket))

    def _refuse(self, ticket: RemoteTicket) -> None:
        """Over the cap, or closing: done at once."""
        why = "the worker is stopping" if self._closed else f"{self._in_flight} events are under way"
        ticket.claim()
        ticket.fail(ModelOverloaded(why))
        ticket.done = True

    def _give_up(self, ticket: Ticket, error: ModelError) -> None:
        """Ends a ticket that was just claimed."""
        ticket.fail(error)
        if ticket.began is not None:
            ticket.latency_ms = (self._monotonic() - ticket.began) * 1000
        self._finish(ticket)

    # In the loop's thread

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="pointsman-remote", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _drain(self) -> None:
        """Takes over what was submitted; what comes from now on tells the loop again."""
        self._told = False
        inbox = self._inbox
        while inbox:
            guard, ticket = inbox.popleft()
            guard.add(ticket)

    async def _shut(self) -> None:
        """Cancels what still runs, closes models and endpoints, and stops the loop."""
        try:
            self._alarms.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=CLOSING)
            closing: list[Awaitable[None]] = [model.close() for model in self._models.values()]
            closing += [close() for close in self._closing]
            await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), CLOSING)
        except TimeoutError:
            return
        finally:
            self._loop.call_soon(self._loop.stop)
