"""The caller: remote models from a thread that never waits but when it wants to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from model.guard.virtual import Scripted, terms
from pointsman.base.clock import SystemClock
from pointsman.base.errors import ModelError, ModelRefused
from pointsman.model.batching import BatchKeys
from pointsman.model.caller import Caller, Part
from pointsman.model.desk import Desk
from pointsman.model.gate import Terms
from pointsman.model.pool import Pool

LONG = 30.0
"""Seconds that no test waits for unless it fails."""


def echo(rows: Sequence[Any]) -> Sequence[Any]:
    return [f"reply {row}" for row in rows]


class Gate:
    """A model that answers when it is let."""

    batches = True
    version = None

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.open: asyncio.Event | None = None
        self.cancelled = threading.Event()
        self.closed = threading.Event()

    async def request(self, rows: Sequence[Any], ask: Any) -> Sequence[Any]:  # noqa: ARG002  # the role's signature
        self.open = self.open or asyncio.Event()
        self.began.release()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return echo([row[0] for row in rows])

    async def let(self) -> None:
        assert self.open is not None
        self.open.set()

    async def close(self) -> None:
        self.closed.set()


Make = Callable[..., Caller]


@pytest.fixture
def make() -> Iterator[Make]:
    """A function that makes a caller of the model `m`; the callers are closed at the end."""
    callers: list[Caller] = []

    def made(model: Any, on: Terms | None = None, in_flight: int = 1000, **more: Any) -> Caller:
        caller = Caller({"m": model}, {"m": on or terms(LONG)}, in_flight, **more)
        callers.append(caller)
        return caller

    yield made
    for caller in callers:
        caller.close(0.0)


def told(parts: Sequence[Part]) -> list[Any]:
    """The replies of a submission by row, or their failure classes."""
    found: dict[int, Any] = {}
    for part in parts:
        found.update(zip(part.places, part.ticket.replies, strict=True))
    return [reply.failure if isinstance(reply, ModelError) else reply for _, reply in sorted(found.items())]


def test_replies_are_in_the_order_of_rows(make: Make) -> None:
    """Each part says which rows are its own, and together they are all of them."""
    caller = make(Scripted(echo), terms(LONG, batch=BatchKeys(size=8, wait=0.0)))
    parts = caller.submit("m", [(n,) for n in range(100)])
    caller.wait([part.ticket for part in parts], LONG)
    assert told(parts) == [f"reply {n}" for n in range(100)]
    assert [len(part.places) for part in parts] == [8] * 12 + [4]
    assert all(part.ticket.done for part in parts)
    assert caller.load() == 0


def test_submitting_never_waits(make: Make) -> None:
    """A model that hangs holds up nobody who submits, and `wait` returns when its time is over."""
    model = Gate()
    caller = make(model)
    (first,), (second,) = caller.submit("m", [("a",)]), caller.submit("m", [("b",)])
    caller.wait([first.ticket, second.ticket], 0.0)
    assert not first.ticket.done
    assert (caller.load("m"), caller.load()) == (2, 2)
    for _ in range(2):
        assert model.began.acquire(timeout=LONG)
    caller.run(model.let(), LONG)
    caller.wait([first.ticket, second.ticket], LONG)
    assert told([first]) + told([second]) == ["reply a", "reply b"]


def test_over_the_cap_is_overloaded(make: Make) -> None:
    """What the cap has no room for is done at once, and may go to a fallback."""
    caller = make(Gate(), in_flight=2)
    parts = caller.submit("m", [("a",), ("b",), ("c",)])
    assert [part.ticket.done for part in parts] == [False, False, True]
    assert told(parts[2:]) == ["overloaded"]
    assert caller.room("m") == 0


def test_bytes_under_way_are_counted(make: Make) -> None:
    """What was submitted with a size is counted until it is done."""
    caller = make(Scripted(echo))
    parts = caller.submit("m", [("a",), ("b",)], size_bytes=100)
    assert caller.bytes == 100
    caller.wait([part.ticket for part in parts], LONG)
    assert caller.bytes == 0


def test_a_deadline_holds_even_if_the_loop_is_stuck(make: Make) -> None:
    """A protocol that blocks the event loop cannot keep an event beyond its deadline and a grace."""
    blocked, go = threading.Event(), threading.Event()

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        blocked.set()
        go.wait(LONG)
        return echo(rows)

    caller = make(Scripted(answer))
    (part,) = caller.submit("m", [("a",)], deadline=time.monotonic() + 0.01)
    assert blocked.wait(LONG)
    caller.wait([part.ticket], LONG)
    assert told([part]) == ["timeout"]
    go.set()
    caller.run(asyncio.sleep(0), LONG)
    assert caller.numbers("m").late == 1
    assert caller.load() == 0


def test_closing_fails_what_is_under_way(make: Make) -> None:
    """Requests are cancelled, models and endpoints closed, and nobody waits for ever."""
    model, endpoint = Gate(), threading.Event()

    async def close_endpoint() -> None:
        endpoint.set()

    caller = make(model, closing=[close_endpoint])
    (part,) = caller.submit("m", [("a",)])
    assert model.began.acquire(timeout=LONG)
    caller.close(0.0)
    assert told([part]) == ["overloaded"]
    assert model.cancelled.is_set()
    assert model.closed.is_set()
    assert endpoint.is_set()
    (late,) = caller.submit("m", [("b",)])
    assert told([late]) == ["overloaded"]


def test_closing_waits_a_while_for_what_is_under_way(make: Make) -> None:
    """What is answered within the bound is used."""
    model = Gate()
    caller = make(model)
    (part,) = caller.submit("m", [("a",)])
    assert model.began.acquire(timeout=LONG)
    caller.run(model.let(), LONG)
    caller.close(LONG)
    assert told([part]) == ["reply a"]


def test_closing_what_was_never_used_closes_its_models(make: Make) -> None:
    """Without a call there is no thread, and still nothing stays open."""
    model = Gate()
    make(model).close()
    assert model.closed.is_set()


def test_one_waits_at_the_desk_for_local_and_remote_models_alike(make: Make) -> None:
    """A pool and a caller that share a desk are waited for together, by either."""

    class Local:
        protocol = "local"
        version = None

        def predict(self, rows: Sequence[Any]) -> Sequence[Any]:
            return [row[0] for row in rows]

        def close(self) -> None:
            return

    desk = Desk(time.monotonic)
    pool = Pool({"local": Local()}, {"local": LONG}, 100, SystemClock(), desk=desk)
    caller = make(Scripted(echo), desk=desk)
    here, (there,) = pool.submit("local", [("a",)]), caller.submit("m", [("b",)])
    desk.wait([here, there.ticket], LONG)
    assert (list(here.replies), told([there])) == (["a"], ["reply b"])
    pool.close()


def test_health_is_asked_in_the_loop(make: Make) -> None:
    """What a model knows of its server is awaited from outside, within a bound."""

    async def health() -> str:
        return "ready"

    async def hangs() -> None:
        await asyncio.sleep(LONG)

    caller = make(Scripted(echo))
    assert caller.run(health(), LONG) == "ready"
    with pytest.raises(TimeoutError):
        caller.run(hangs(), 0.01)


def test_many_threads_of_time_lose_nothing(make: Make) -> None:
    """Submissions while others are answered and fail: each is answered once, with its own reply."""

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        if any(row % 7 == 3 for row in rows):
            raise ModelRefused("no")
        return echo(rows)

    caller = make(Scripted(answer), terms(LONG, batch=BatchKeys(size=4, wait=0.0)), in_flight=100_000)
    parts: list[list[Part]] = []
    for start in range(0, 5000, 5):
        parts.append(caller.submit("m", [(n,) for n in range(start, start + 5)]))
        caller.wait([], 0.0)
    caller.wait([part.ticket for some in parts for part in some], LONG)
    replies = [reply for some in parts for reply in told(some)]
    assert len(replies) == 5000
    assert all(reply in (f"reply {n}", "refused") for n, reply in enumerate(replies))
    assert all(reply == "refused" for n, reply in enumerate(replies) if n % 7 == 3)
