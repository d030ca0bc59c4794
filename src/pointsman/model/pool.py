"""Calls models in threads of their own, so that one that hangs stalls nobody.

A model has one thread and a queue of calls; a call is a batch. Its timeout counts from the moment it begins:
what waits in the queue is bounded by the caps on events under way. A call that outlives its timeout is
answered with ModelTimeout for every row, its late answer is ignored, and its thread is abandoned: told to
stop (a loop written in Python then ends; a call that is stuck in C goes on) and replaced. With
`MOST_ABANDONED` such threads still alive the model gets no more: its calls fail at once as overloaded, until
one returns. A call that holds Python's global lock for ever cannot be helped.
"""

from __future__ import annotations

import ctypes
import threading
import traceback
from collections.abc import Iterable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

from pointsman.base.clock import Clock
from pointsman.base.errors import InvalidReply, ModelError, ModelInternal, ModelOverloaded, ModelTimeout
from pointsman.model.base import Model, Row

__all__ = ["MOST_ABANDONED", "Pool", "Ticket"]

MOST_ABANDONED: Final = 4


class Ticket:
    """One call under way.

    Attributes:
        model: The model's name.
        rows: The inputs of the call.
        done: Whether `replies` are there.
        replies: A reply or a ModelError for each row, once done.
        latency_ms: How long the call took once it began, milliseconds.
        size_bytes: What the caller counted for its events.
    """

    __slots__ = ("done", "latency_ms", "model", "replies", "rows", "size_bytes")

    def __init__(self, model: str, rows: Sequence[Row], size_bytes: int) -> None:
        self.model = model
        self.rows = rows
        self.size_bytes = size_bytes
        self.done = False
        self.replies: Sequence[Any | ModelError] = ()
        self.latency_ms = 0.0


class _Abandoned(BaseException):
    """Raised in a thread that is no longer waited for."""


class _Lane:
    """A model, its thread and what waits for it. Changed only with the pool's lock held."""

    __slots__ = ("abandoned", "events", "model", "name", "queue", "running", "started", "thread", "timeout")

    def __init__(self, name: str, model: Model, timeout: float) -> None:
        self.name = name
        self.model = model
        self.timeout = timeout
        self.queue: SimpleQueue[Ticket | None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self.running: Ticket | None = None
        self.started = 0.0
        self.events = 0
        self.abandoned: list[threading.Thread] = []

    def stuck(self) -> bool:
        """Whether too many abandoned threads are still alive."""
        if self.abandoned:
            self.abandoned = [thread for thread in self.abandoned if thread.is_alive()]
        return len(self.abandoned) >= MOST_ABANDONED


class Pool:
    """Answers batches of rows by calling models, each in a thread of its own."""

    def __init__(
        self,
        models: Mapping[str, Model],
        timeouts: Mapping[str, float],
        in_flight: int,
        clock: Clock,
        most_bytes: int | None = None,
    ) -> None:
        """Args:
        models: The opened models by name; `close` closes them.
        timeouts: Seconds that one call may take, by model.
        in_flight: Events under way that `room` counts down from, per model and in all.
        clock: Measures the calls.
        most_bytes: Bytes of events under way at which there is no more room; None for no bound.
        """
        self._lanes = {name: _Lane(name, model, timeouts[name]) for name, model in models.items()}
        self._in_flight = in_flight
        self._most_bytes = most_bytes
        self._monotonic = clock.monotonic
        self._changed = threading.Condition(threading.Lock())
        self._events = 0
        self._bytes = 0
        self._closed = False

    def submit(self, model: str, rows: Sequence[Row], size_bytes: int = 0) -> Ticket:
        """Begins a call, or queues it behind the model's others. Never blocks, and accepts more than `room`
        says."""
        ticket = Ticket(model, rows, size_bytes)
        lane = self._lanes[model]
        with self._changed:
            lane.events += len(rows)
            self._events += len(rows)
            self._bytes += size_bytes
            if self._closed or (lane.thread is None and not self._staffed(lane)):
                self._finish(lane, ticket, self._refusal(len(rows)), 0.0)
                return ticket
            lane.queue.put(ticket)
        return ticket

    def wait(self, tickets: Iterable[Ticket], seconds: float) -> None:
        """Returns as soon as all are done or `seconds` have passed; gives up calls that outlive their
        timeout."""
        waiting = [ticket for ticket in tickets if not ticket.done]
        if not waiting:
            self.expire()
            return
        end = self._monotonic() + seconds
        with self._changed:
            while True:
                now = self._monotonic()
                due = self._expire(now)
                waiting = [ticket for ticket in waiting if not ticket.done]
                if not waiting or now >= end:
                    return
                self._changed.wait(min(end, due) - now)

    def expire(self) -> None:
        """Gives up calls that outlive their timeout; `wait` does so too."""
        with self._changed:
            self._expire(self._monotonic())

    def load(self, model: str | None = None) -> int:
        """Events under way for `model`, or in all."""
        return self._events if model is None else self._lanes[model].events

    def room(self, model: str) -> int:
        """How many more events `model` should be given now; 0 or less: wait until some are done."""
        if self._most_bytes is not None and self._bytes >= self._most_bytes:
            return 0
        return self._in_flight - max(self._lanes[model].events, self._events)

    def close(self, seconds: float = 1.0) -> None:
        """Answers what is queued with ModelOverloaded, waits up to `seconds` for what runs, and closes the
        models."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            threads = []
            for lane in self._lanes.values():
                self._drain(lane)
                if lane.thread is not None:
                    lane.queue.put(None)
                    threads.append(lane.thread)
        end = self._monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, end - self._monotonic()))
        for lane in self._lanes.values():
            lane.model.close()

    # With the lock held.

    def _staffed(self, lane: _Lane) -> bool:
        """Gives the lane a thread unless too many of its threads hang; returns whether it has one."""
        if lane.stuck():
            return False
        lane.thread = threading.Thread(
            target=self._serve, args=(lane,), name=f"pointsman-model-{lane.name}", daemon=True
        )
        lane.thread.start()
        return True

    def _expire(self, now: float) -> float:
        """Gives up what is overdue; returns the moment before which nothing else will be."""
        due = float("inf")
        for lane in self._lanes.values():
            if lane.running is not None and now >= lane.started + lane.timeout:
                self._abandon(lane, lane.running, now)
            if lane.running is not None:
                due = min(due, lane.started + lane.timeout)
            elif lane.events:  # queued: it cannot be overdue before its whole timeout has passed
                due = min(due, now + lane.timeout)
        return due

    def _abandon(self, lane: _Lane, ticket: Ticket, now: float) -> None:
        """Gives up the call that `lane` runs, and its thread."""
        thread, lane.thread, lane.running = lane.thread, None, None
        if thread is not None:
            lane.abandoned.append(thread)
            _interrupt(thread)
        error = ModelTimeout(f"no answer within {lane.timeout:g} s")
        self._finish(lane, ticket, [error] * len(ticket.rows), (now - lane.started) * 1000)
        if not lane.queue.empty() and not self._staffed(lane):
            self._drain(lane)

    def _drain(self, lane: _Lane) -> None:
        """Answers what is queued without calling the model."""
        while True:
            try:
                ticket = lane.queue.get_nowait()
            except Empty:
                return
            if ticket is not None:
                self._finish(lane, ticket, self._refusal(len(ticket.rows)), 0.0)

    def _refusal(self, n: int) -> list[ModelError]:
        if self._closed:
            return [ModelOverloaded("the worker is stopping")] * n
        return [ModelOverloaded(f"{MOST_ABANDONED} calls that timed out still run")] * n

    def _finish(
        self, lane: _Lane, ticket: Ticket, replies: Sequence[Any | ModelError], latency_ms: float
    ) -> None:
        ticket.replies = replies
        ticket.latency_ms = latency_ms
        ticket.done = True
        lane.events -= len(ticket.rows)
        self._events -= len(ticket.rows)
        self._bytes -= ticket.size_bytes
        self._changed.notify_all()

    # In a model's thread.

    def _serve(self, lane: _Lane) -> None:
        """Answers the lane's calls until it is told to stop or abandoned."""
        me = threading.current_thread()
        try:
            while (ticket := lane.queue.get()) is not None:
                with self._changed:
                    lane.running, lane.started = ticket, self._monotonic()
                replies = _answer(lane.model, ticket.rows)
                now = self._monotonic()
                with self._changed:
                    if lane.thread is not me:
                        return
                    lane.running = None
                    self._finish(lane, ticket, replies, (now - lane.started) * 1000)
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
        error = raised
    except BaseException as raised:
        error = ModelInternal(_said(raised))
    return [error] * len(rows)


def _said(error: BaseException) -> str:
    """What was raised and where: `ValueError: no such user (baseline.py:12)`."""
    text = str(error)
    said = f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return said
    file = frames[-1].filename.replace("\\", "/").rpartition("/")[2]
    return f"{said} ({file}:{frames[-1].lineno})"


def _interrupt(thread: threading.Thread) -> None:
    """Raises _Abandoned in `thread` as soon as it executes Python code again."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Abandoned))
