"""Calls models in threads of their own, so that one that hangs stalls nobody.

A model has one thread and a queue of calls; a call is a batch. Its timeout counts from the moment it begins:
what waits in the queue is bounded by the caps on events under way. A call that outlives its timeout is
answered with ModelTimeout for every row, its late answer is ignored, and its thread is abandoned: told to
stop (a loop written in Python then ends; a call that is stuck in C goes on) and replaced. With
`MOST_ABANDONED` such threads still alive the model gets no more: its calls fail at once as overloaded, until
one returns. A call that holds Python's global lock for ever cannot be helped.

Who finishes a call is settled by a claim that is taken once: by the model's thread with its answer, or by the
consumer that gives the call up. Only a thread whose call was given up is interrupted, and it shares no lock
with anybody, so wherever the interruption strikes nothing of the pool is left locked or half done.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from queue import SimpleQueue
from typing import Any, Final

from pointsman.base.clock import Clock
from pointsman.base.errors import InvalidReply, ModelError, ModelInternal, ModelOverloaded, ModelTimeout
from pointsman.model.base import Model, Row
from pointsman.model.desk import Desk
from pointsman.model.raised import kept, raised_text

__all__ = ["MOST_ABANDONED", "Pool", "Ticket"]

MOST_ABANDONED: Final = 4


class Ticket:
    """One call under way.

    Attributes:
        model: The model's name.
        rows: The inputs of the call.
        done: Whether `replies` are there; set by the pool's `wait` and `expire`.
        replies: A reply or a ModelError for each row, once done.
        latency_ms: How long the call took once it began, milliseconds.
        size_bytes: What the caller counted for its events.
        began: When the model was called, by the pool's clock; None while it waits in the queue.
        deadline: When its events are too late, by the same clock; infinity for never.
        landing: Where it is put once it is done, for whoever waits for many; None: nowhere.
    """

    __slots__ = (
        "_claim",
        "began",
        "deadline",
        "done",
        "landing",
        "latency_ms",
        "model",
        "replies",
        "rows",
        "size_bytes",
    )

    def __init__(self, model: str, rows: Sequence[Row], size_bytes: int = 0, deadline: float = inf) -> None:
        self.model = model
        self.rows = rows
        self.size_bytes = size_bytes
        self.done = False
        self.replies: Sequence[Any | ModelError] = ()
        self.latency_ms = 0.0
        self.began: float | None = None
        self.deadline = deadline
        self.landing: list[Ticket] | None = None
        self._claim = [True]

    def land(self) -> None:
        """Is done; in the thread that waits for it."""
        self.done = True
        if self.landing is not None:
            self.landing.append(self)

    def claim(self) -> bool:
        """Whether the caller is the first to ask, and so the one who finishes the call."""
        try:
            return self._claim.pop()  # one step of the interpreter: two threads cannot both succeed
        except IndexError:
            return False

    @property
    def claimed(self) -> bool:
        """Whether somebody finishes, or has finished, the call."""
        return not self._claim

    def fail(self, error: ModelError) -> None:
        """Every row has failed with `error`."""
        self.replies = [error] * len(self.rows)


class _Abandoned(BaseException):
    """Raised in a thread that is no longer waited for."""


class _Lane:
    """A model, its thread, and its calls in order, of which the first is the one that runs."""

    __slots__ = ("abandoned", "calls", "events", "model", "name", "queue", "thread", "timeout")

    def __init__(self, name: str, model: Model, timeout: float) -> None:
        self.name = name
        self.model = model
        self.timeout = timeout
        self.calls: deque[Ticket] = deque()
        self.queue: SimpleQueue[Ticket | None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self.events = 0
        self.abandoned: list[threading.Thread] = []

    def stuck(self) -> bool:
        """Whether too many abandoned threads are still alive."""
        if self.abandoned:
            self.abandoned = [thread for thread in self.abandoned if thread.is_alive()]
        return len(self.abandoned) >= MOST_ABANDONED


class Pool:
    """Answers batches of rows by calling models, each in a thread of its own.

    One thread uses a pool; others may read `load` and `room`.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        timeouts: Mapping[str, float],
        in_flight: int,
        clock: Clock,
        most_bytes: int | None = None,
        desk: Desk | None = None,
    ) -> None:
        """Args:
        models: The opened models by name; `close` closes them.
        timeouts: Seconds that one call may take, by model.
        in_flight: Events under way that `room` counts down from, per model and in all.
        clock: Measures the calls.
        most_bytes: Bytes of events under way at which there is no more room; None for no bound.
        desk: Where answers arrive, shared with whoever else is waited for; None makes one of its own.
        """
        self._lanes = {name: _Lane(name, model, timeouts[name]) for name, model in models.items()}
        self._in_flight = in_flight
        self._most_bytes = most_bytes
        self._monotonic = clock.monotonic
        self._desk = desk or Desk(clock.monotonic)
        self._desk.join(models, self._finish, self._expire)
        self._events = 0
        self._bytes = 0
        self._closed = False

    def submit(self, model: str, rows: Sequence[Row], size_bytes: int = 0, deadline: float = inf) -> Ticket:
        """Begins a call, or queues it behind the model's others.

        Never blocks, and accepts more than `room` says. A model that gets no more calls fails it at once. A
        call that is not answered by `deadline`, a moment of the clock, is given up as if it had timed out.
        """
        ticket = Ticket(model, rows, size_bytes, deadline)
        lane = self._lanes[model]
        lane.calls.append(ticket)
        lane.events += len(rows)
        self._events += len(rows)
        self._bytes += size_bytes
        if self._closed or (lane.thread is None and not self._staffed(lane)):
            self._refuse(lane)
        else:
            lane.queue.put(ticket)
        return ticket

    def wait(self, tickets: Iterable[Ticket], seconds: float) -> None:
        """Returns as soon as all are done or `seconds` have passed; gives up what outlives its timeout."""
        self._desk.wait(tickets, seconds)

    def expire(self) -> None:
        """Takes what was answered and gives up calls that outlive their timeout; does not wait."""
        self._desk.expire()

    def load(self, model: str | None = None) -> int:
        """Events under way for `model`, or in all."""
        return self._events if model is None else self._lanes[model].events

    def room(self, model: str) -> int:
        """How many more events `model` should be given now; 0 or less: wait until some are done."""
        if self._most_bytes is not None and self._bytes >= self._most_bytes:
            return 0
        return self._in_flight - max(self._lanes[model].events, self._events)

    def close(self, seconds: float = 1.0) -> None:
        """Fails what is queued as overloaded, waits up to `seconds` for what runs, and closes the models."""
        if self._closed:
            return
        self._closed = True
        for lane in self._lanes.values():
            self._refuse(lane)
            if lane.thread is not None:
                lane.queue.put(None)
        self.wait([ticket for lane in self._lanes.values() for ticket in lane.calls], seconds)
        for lane in self._lanes.values():
            if lane.thread is not None and not lane.calls:
                lane.thread.join(seconds)
            lane.model.close()

    def _staffed(self, lane: _Lane) -> bool:
        """Gives the lane a thread unless too many of its threads hang; returns whether it has one."""
        if lane.stuck():
            return False
        lane.thread = threading.Thread(
            target=_serve,
            args=(lane.model, lane.queue, self._desk.answered, self._monotonic),
            name=f"pointsman-model-{lane.name}",
            daemon=True,
        )
        lane.thread.start()
        return True

    def _finish(self, ticket: Ticket) -> None:
        """Counts a call as done; its replies are there."""
        lane = self._lanes[ticket.model]
        lane.calls.remove(ticket)
        lane.events -= len(ticket.rows)
        self._events -= len(ticket.rows)
        self._bytes -= ticket.size_bytes
        ticket.land()

    def _expire(self, now: float) -> float:
        """Gives up what is overdue; returns the moment before which nothing else will be."""
        due = float("inf")
        for lane in self._lanes.values():
            first = lane.calls[0] if lane.calls else None
            began = None if first is None else first.began
            if first and began is not None and now >= min(began + lane.timeout, first.deadline):
                self._give_up(lane, first, now - began)
            for ticket in [
                ticket for ticket in lane.calls if ticket.began is None and now >= ticket.deadline
            ]:
                if ticket.claim():
                    ticket.fail(ModelTimeout("the event's deadline has passed"))
                    self._finish(ticket)
            if lane.calls:
                began = lane.calls[0].began
                soonest = min(ticket.deadline for ticket in lane.calls)
                due = min(due, soonest, (now if began is None else began) + lane.timeout)
        return max(due, now)

    def _give_up(self, lane: _Lane, ticket: Ticket, took: float) -> None:
        """Ends the call that `lane` runs, unless its answer has just come, and abandons its thread."""
        if not ticket.claim():
            return
        if lane.thread is not None:
            lane.abandoned.append(lane.thread)
            _interrupt(lane.thread)
            lane.thread = None
        ticket.fail(ModelTimeout(f"no answer within {lane.timeout:g} s"))
        ticket.latency_ms = took * 1000
        self._finish(ticket)
        if lane.calls and not self._staffed(lane):
            self._refuse(lane)

    def _refuse(self, lane: _Lane) -> None:
        """Fails what no thread of the lane has taken up."""
        why = "the worker is stopping" if self._closed else f"{MOST_ABANDONED} calls that timed out still run"
        for ticket in list(lane.calls):
            if ticket.began is None and ticket.claim():
                ticket.fail(ModelOverloaded(why))
                self._finish(ticket)


def _serve(
    model: Model,
    calls: SimpleQueue[Ticket | None],
    answered: SimpleQueue[Ticket],
    monotonic: Callable[[], float],
) -> None:
    """A model's thread: answers calls until it is told to stop or its call is given up."""
    try:
        while (ticket := calls.get()) is not None:
            if ticket.claimed:  # it was refused while it waited
                continue
            ticket.began = began = monotonic()
            replies = _answer(model, ticket.rows)
            latency_ms = (monotonic() - began) * 1000
            if not ticket.claim():
                return
            ticket.replies, ticket.latency_ms = replies, latency_ms
            answered.put(ticket)
    except _Abandoned:
        return


def _answer(model: Model, rows: Sequence[Row]) -> Sequence[Any | ModelError]:
    """The model's replies; whatever it raises becomes the error of every row."""
    try:
        replies = model.predict(rows)
        if len(replies) == len(rows):
            return replies
        error: ModelError = InvalidReply(f"it gave {len(replies)} replies for {len(rows)} events")
    except _Abandoned:
        raise
    except ModelError as raised:
        error = kept(raised)
    except BaseException as raised:
        error = ModelInternal(raised_text(raised))
    return [error] * len(rows)


def _interrupt(thread: threading.Thread) -> None:
    """Raises _Abandoned in `thread` as soon as it executes Python code again."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Abandoned))
