"""What stands between the events and a remote model: attempts with a timeout, repeated where that may help,
held back where it may not, and answered by their deadline whatever the model does.

A *job* is the rows of one request. It waits for capacity (`QUEUED`), is sent (`FLYING`), waits to be sent
again (`PAUSED`), and is over when each of its rows has a reply or an error. One task runs per attempt;
everything else is plain calls in the event loop's thread, so that a guard adds microseconds to a call:

    add ─► batcher ─► QUEUED ──gates──► FLYING ──► every row has its answer
                        ▲  ▲              │ failed
                        │  └── PAUSED ◄───┤ the class allows it, an attempt is left, the budget has one
                        └── two halves ◄──┘ one bad row may have failed the others

There is no other retry loop. An attempt that is past its time is answered as a timeout and its task
cancelled; should the task bring a reply all the same, that is counted and not used.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from queue import SimpleQueue
from typing import Any

from pointsman.base.errors import (
    InvalidReply,
    ModelError,
    ModelInternal,
    ModelRefused,
    ModelTimeout,
)
from pointsman.model.alarms import Alarm, Alarms
from pointsman.model.batching import Batcher
from pointsman.model.breaker import CLOSED
from pointsman.model.gate import Terms
from pointsman.model.job import FLYING, OVER, PAUSED, QUEUED, Item, Job, Numbers
from pointsman.model.pool import Ticket
from pointsman.model.raised import kept
from pointsman.model.remote import Ask, RemoteModel
from pointsman.model.retry import Budget, pause, rule_of
from pointsman.model.ticket import Attempt, RemoteTicket

__all__ = ["Guard"]

_NO_TRACE: Mapping[str, str] = {}


class Guard:
    """Calls one remote model on its terms. Used in the event loop's thread alone; `numbers` from any."""

    def __init__(
        self,
        name: str,
        model: RemoteModel,
        terms: Terms,
        alarms: Alarms,
        loop: asyncio.AbstractEventLoop,
        answered: SimpleQueue[Ticket],
        chance: Callable[[], float],
    ) -> None:
        """Args:
        name: The model's name.
        model: What is called.
        terms: How.
        alarms: Timers of `loop`, whose clock measures everything.
        answered: Takes the tickets that are full.
        chance: A number in [0, 1), for the jitter.
        """
        self.name = name
        self.model = model
        self.size = terms.batch.size if terms.batch is not None and model.batches else 1
        self._wait = terms.batch.wait if terms.batch is not None else 0.0
        self._timeout = terms.timeout
        self._retry = terms.retry
        self._gates = terms.gates
        self._alarms = alarms
        self._loop = loop
        self._now = loop.time
        self._answered = answered
        self._chance = chance
        self._batcher: Batcher[RemoteTicket] = Batcher(self.size)
        self._batch_alarm: Alarm | None = None
        self._budget = Budget(terms.retry.budget)
        self._queue: deque[Job] = deque()
        self._blocked = False
        self._attempts: Counter[str] = Counter()
        self._sizes: Counter[int] = Counter()
        self._retries = self._splits = self._refused = self._expired = self._late = self._under_way = 0

    def add(self, ticket: RemoteTicket) -> None:
        """Takes the rows of a ticket, at most `size`; its answers come through `answered`."""
        if self.size == 1:
            self._enqueue(Job([(ticket, 0)]))
            return
        for batch in self._batcher.add(ticket, len(ticket.rows)):
            self._send(batch)
        if not self._batcher.rows:
            return
        alarm = self._batch_alarm
        when = min(self._now() + self._wait if alarm is None else alarm.when, ticket.deadline)
        if alarm is None or when < alarm.when:  # a batch waits for no row's deadline
            self._stop_batch_alarm()
            self._batch_alarm = self._alarms.at(when, self._flush)

    def numbers(self) -> Numbers:
        """What was counted so far."""
        breakers = [gate.breaker for gate in self._gates if gate.breaker is not None]
        return Numbers(
            attempts=dict(self._attempts),
            sizes=dict(self._sizes),
            retries=self._retries,
            splits=self._splits,
            refused=self._refused,
            expired=self._expired,
            late=self._late,
            breaker=max((breaker.state for breaker in breakers), default=CLOSED),
            opened=sum(breaker.opened for breaker in breakers),
            queued=len(self._queue),
            under_way=self._under_way,
        )

    # Waiting

    def _flush(self) -> None:
        """The first of a batch has waited long enough."""
        self._batch_alarm = None
        if self._batcher.rows:
            self._send(self._batcher.take())

    def _send(self, tickets: list[RemoteTicket]) -> None:
        self._stop_batch_alarm()
        self._enqueue(Job([(ticket, row) for ticket in tickets for row in range(len(ticket.rows))]))

    def _stop_batch_alarm(self) -> None:
        if self._batch_alarm is not None:
            self._alarms.cancel(self._batch_alarm)
            self._batch_alarm = None

    def _enqueue(self, job: Job) -> None:
        """The job waits for capacity from now on, behind the others; one that comes again, before them."""
        job.state = QUEUED
        if job.tried:
            self._queue.appendleft(job)
        else:
            self._queue.append(job)
        if not self._blocked:
            self.pump()
        self._mind(job)

    def _mind(self, job: Job) -> None:
        """Keeps the deadlines of a job that has to wait for capacity."""
        if job.state == QUEUED:
            deadlines = [ticket.deadline for ticket, _ in job.items]
            self._arm(job, min(deadlines) if deadlines else inf)

    def pump(self) -> None:
        """Sends the jobs that may go out now, in their order; fails those that a breaker holds back."""
        queue, gates = self._queue, self._gates
        self._blocked = False
        while queue:
            job, now = queue[0], self._now()
            for gate in gates:
                if gate.breaker is not None and gate.breaker.state and gate.breaker.refuses(now):
                    self._hold_back(queue.popleft(), gate.breaker.why(now))
                    break
                if (when := gate.limits.ready(now)) > now:
                    self._blocked = True
                    gate.wait(self, when, self._alarms)
                    return
            else:
                queue.popleft()
                self._launch(job, now)

    def _hold_back(self, job: Job, why: str) -> None:
        """Fails a job that a breaker does not let out: as its last attempt failed, or as refused."""
        self._refused += len(job.items)
        self._settle(job, job.error or ModelRefused(f"not asked: {why}"))

    def _drop(self, job: Job, now: float, attempt: Attempt | None = None) -> tuple[float, float]:
        """Takes out rows that have their answer and fails those whose deadline is over.

        Returns:
            The earliest and the latest deadline of the others; infinity and less than nothing without any.
        """
        items = job.items
        if len(items) == 1 and (alone := items[0][0]).deadline > now and not alone.claimed:
            return alone.deadline, alone.deadline
        earliest, latest, gone, last = inf, -inf, False, None
        for ticket, _ in items:
            if ticket is last:
                continue
            last = ticket
            deadline = ticket.deadline
            if deadline <= now and not ticket.claimed:
                if attempt is not None:
                    self._note([item for item in items if item[0] is ticket], attempt)
                self._expired += ticket.fill_rest(ModelTimeout("the event's deadline has passed"))
                self._finish(ticket, now)
            if ticket.claimed:
                gone = True
                continue
            earliest = min(earliest, deadline)
            latest = max(latest, deadline)
        if gone and job.state != FLYING:  # the replies of what flies come in the order of all its rows
            job.items = [item for item in items if not item[0].claimed]
        return earliest, latest

    def _arm(self, job: Job, when: float) -> None:
        """Has the job looked at again at `when` and not before."""
        if job.alarm is not None:
            if job.alarm.when == when:
                return
            self._alarms.cancel(job.alarm)
        job.alarm = None if when == inf else self._alarms.at(when, partial(self._ring, job))

    # Attempts

    def _launch(self, job: Job, now: float) -> None:
        """Begins an attempt, unless all deadlines are over."""
        earliest, latest = self._drop(job, now)
        items = job.items
        if not items:
            self._end(job)
            return
        job.state = FLYING
        job.tried += 1
        job.began = now
        job.end = min(now + self._timeout, latest)
        job.permits = [gate.enter(now) for gate in self._gates]
        if job.tried == 1:
            self._budget.call(now)
        else:
            self._retries += 1
        self._under_way += 1
        self._sizes[len(items)] += 1
        rows, ids, trace = [], [], _NO_TRACE
        for ticket, row in items:
            if ticket.began is None:
                ticket.began = now
            if ticket.traces and not trace:
                trace = ticket.traces[row]
            rows.append(ticket.rows[row])
            ids.append(ticket.ids[row])
        ask = Ask(job.end - now, ids, trace)
        job.task = self._loop.create_task(self._attempt(job, job.serial, rows, ask))
        self._arm(job, min(job.end, earliest))

    async def _attempt(self, job: Job, serial: int, rows: Sequence[Any], ask: Ask) -> None:
        """One request, and what becomes of it; nothing is raised but the cancellation it was told."""
        outcome: Sequence[Any] | ModelError
        try:
            outcome = await self.model.request(rows, ask)
            if len(outcome) != len(rows):
                outcome = InvalidReply(f"it gave {len(outcome)} replies for {len(rows)} events")
        except ModelError as error:
            outcome = kept(error)
        except TimeoutError:
            outcome = ModelTimeout("the connection timed out")
        except OSError as error:
            outcome = ModelRefused(f"{type(error).__name__}: {error}"[:500])
        except asyncio.CancelledError:
            if job.serial != serial:
                raise
            outcome = ModelInternal("the request was cancelled")
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # the last two would end the loop
            outcome = ModelInternal(f"{type(error).__name__}: {error}"[:500])
        if job.serial == serial:
            self._conclude(job, outcome)
        elif not isinstance(outcome, ModelError):
            self._late += len(rows)

    def _ring(self, job: Job) -> None:
        """A deadline, the attempt's timeout or the pause is over."""
        job.alarm = None
        now = self._now()
        flying = job.state == FLYING
        attempt = self._told("timeout", now - job.began) if flying else None
        earliest, latest = self._drop(job, now, attempt)
        if flying and (now >= job.end or latest < 0):
            task = job.task
            self._conclude(job, ModelTimeout(f"no answer within {job.end - job.began:.3g} s"))
            if task is not None:
                task.cancel()
        elif not job.items:
            if job.state == PAUSED:
                self._end(job)  # a queued one is left to `pump`
        elif job.state == PAUSED and now >= job.end:
            self._enqueue(job)
        else:
            self._arm(job, earliest if job.state == QUEUED else min(earliest, job.end))

    def _conclude(self, job: Job, outcome: Sequence[Any] | ModelError) -> None:
        """The attempt under way is over."""
        now = self._now()
        took = now - job.began
        permits, job.permits = job.permits, ()
        self._end(job)
        self._under_way -= 1
        if isinstance(outcome, ModelError):
            job.items = [item for item in job.items if not item[0].claimed]
            self._attempts[outcome.failure] += 1
            halves = self._cut(job, outcome, now)
            failed = None if halves else rule_of(outcome).breaker
        else:
            errors = [kept(reply) for reply in outcome if isinstance(reply, ModelError)]
            self._attempts["ok" if len(errors) < len(outcome) else errors[0].failure] += 1
            halves = ()
            failed = len(errors) == len(outcome) and all(rule_of(error).breaker for error in errors)
            if [True for ticket, _ in job.items if ticket.claimed]:
                outcome = self._without_late(job, outcome)
        shut = False
        for gate, permit in zip(self._gates, permits, strict=True):
            gate.leave(permit, now, took, failed)  # a request that is cut is judged by its halves
            shut = shut or (gate.breaker is not None and gate.breaker.state != CLOSED)
        if isinstance(outcome, ModelError):
            self._note(job.items, self._told(outcome.failure, took))
            if halves:
                self._queue.extendleft(reversed(halves))
            else:
                self._again(job, outcome, now)
        elif errors:
            self._sort(job, outcome, took, now)
        else:
            self._note(job.items, self._told("ok", took))
            for (ticket, row), reply in zip(job.items, outcome, strict=True):
                if ticket.fill(row, reply):
                    self._finish(ticket, now)
        for gate in reversed(self._gates):  # those who wait for a shared one first
            gate.pump()
        if self._queue and (halves or shut):
            self.pump()
        for half in halves:
            self._mind(half)

    def _without_late(self, job: Job, replies: Sequence[Any]) -> list[Any]:
        """The replies of the rows that still wait for one; the others are counted."""
        pairs = [pair for pair in zip(job.items, replies, strict=True) if not pair[0][0].claimed]
        self._late += len(replies) - len(pairs)
        job.items = [item for item, _ in pairs]
        return [reply for _, reply in pairs]

    def _cut(self, job: Job, error: ModelError, now: float) -> Sequence[Job]:
        """The two halves of a request that one bad row may have failed, each to be sent for itself."""
        split = rule_of(error).split
        if len(job.items) < 2 or split == "no" or (split == "budget" and not self._budget.take(now)):
            return ()
        self._splits += 1
        middle = len(job.items) // 2
        return [Job(items, job.tried - 1, error) for items in (job.items[:middle], job.items[middle:])]

    def _sort(self, job: Job, replies: Sequence[Any], took: float, now: float) -> None:
        """Some rows have a reply and some an error of their own, which may be worth another attempt."""
        pairs = list(zip(job.items, replies, strict=True))
        for (ticket, row), reply in pairs:
            ticket.note(row, self._told(reply.failure if isinstance(reply, ModelError) else "ok", took))
        again: list[tuple[Item, ModelError]] = []
        for (ticket, row), reply in pairs:
            if isinstance(reply, ModelError) and rule_of(reply).retryable:
                again.append(((ticket, row), reply))
            elif ticket.fill(row, reply):
                self._finish(ticket, now)
        if not again:
            return
        job.items = [item for item, _ in again]
        delay = self._delay(job, again[0][1], now)
        if delay is not None:
            self._pause(job, again[0][1], now + delay)
            return
        for (ticket, row), error in again:
            if ticket.fill(row, error):
                self._finish(ticket, now)

    def _again(self, job: Job, error: ModelError, now: float) -> None:
        """Repeats the attempt after a pause, where that may help; else its rows have failed."""
        if job.items:
            delay = self._delay(job, error, now)
            if delay is None:
                self._settle(job, error)
            else:
                self._pause(job, error, now + delay)

    def _delay(self, job: Job, error: ModelError, now: float) -> float | None:
        """Seconds until the next attempt; None: class, deadline, a breaker or the budget forbid it."""
        delay = pause(self._retry, job.tried, error, self._chance)
        if delay is None or now + delay >= max(ticket.deadline for ticket, _ in job.items):
            return None
        if any(gate.breaker is not None and gate.breaker.refuses(now + delay) for gate in self._gates):
            return None
        return delay if self._budget.take(now) else None

    def _pause(self, job: Job, error: ModelError, until: float) -> None:
        job.state = PAUSED
        job.error = error
        job.end = until
        self._arm(job, min(until, min(ticket.deadline for ticket, _ in job.items)))

    # Ends

    def _end(self, job: Job) -> None:
        """Nothing more is awaited of the job's attempt."""
        job.state = OVER
        job.serial += 1
        job.task = None
        if job.alarm is not None:
            self._alarms.cancel(job.alarm)
            job.alarm = None

    def _settle(self, job: Job, error: ModelError) -> None:
        """Every row of the job has failed."""
        self._end(job)
        now = self._now()
        for ticket, row in job.items:
            if ticket.fill(row, error):
                self._finish(ticket, now)

    def _finish(self, ticket: RemoteTicket, now: float) -> None:
        """Hands over a full ticket, unless its consumer has given it up."""
        if ticket.claim():
            ticket.complete(now)
            self._answered.put(ticket)
        else:
            self._late += len(ticket.rows)

    def _told(self, status: str, took: float) -> Attempt:
        """An attempt as the record tells it; `status` is `ok` or a failure class."""
        latency_ms = round(took * 1000, 3)
        if status == "ok":
            return {"model": self.name, "status": "ok", "latency_ms": latency_ms}
        return {"model": self.name, "status": "failed", "class": status, "latency_ms": latency_ms}

    def _note(self, items: Sequence[Item], attempt: Attempt) -> None:
        """Remembers an attempt that ended the same for all these rows; a ticket's rows stand together."""
        if len(items) == 1:
            ticket, row = items[0]
            ticket.note(row, attempt)
            return
        place = 0
        while place < len(items):
            ticket = items[place][0]
            end = place + 1
            while end < len(items) and items[end][0] is ticket:
                end += 1
            if end - place == len(ticket.rows) and not ticket.own:
                ticket.attempts.append(attempt)
            else:
                for _, row in items[place:end]:
                    ticket.note(row, attempt)
            place = end
