"""Calling models: one that raises, hangs or answers nonsense stalls nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pointsman.base.clock import SystemClock
from pointsman.base.errors import InvalidReply, ModelInternal, ModelOverloaded, ModelRefused, ModelTimeout
from pointsman.model.pool import MOST_ABANDONED, Pool, Ticket

LONG = 30.0
"""Seconds that no test waits for unless it fails."""


class Fake:
    """A model that does what its function does with the rows."""

    protocol = "fake"
    version = None

    def __init__(self, answer: Callable[[Sequence[Any]], Any]) -> None:
        self.answer = answer
        self.closed = 0

    def predict(self, rows: Sequence[Any]) -> Sequence[Any]:
        found: Sequence[Any] = self.answer(rows)
        return found

    def close(self) -> None:
        self.closed += 1


class Gate:
    """A model that hangs in C until it is let go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        self.entered.release()
        self.open.wait(LONG)
        return [row[0] for row in rows]


def echo(rows: Sequence[Any]) -> Sequence[Any]:
    return [row[0] for row in rows]


Make = Callable[..., Pool]


@pytest.fixture
def make() -> Iterator[Make]:
    """A function that makes a pool of the given models; the pools are closed at the end."""
    pools: list[Pool] = []

    def made(
        timeout: float = LONG, in_flight: int = 100, most_bytes: int | None = None, **models: Any
    ) -> Pool:
        fakes = {name: Fake(answer) for name, answer in models.items()}
        pool = Pool(fakes, dict.fromkeys(fakes, timeout), in_flight, SystemClock(), most_bytes)
        pools.append(pool)
        return pool

    yield made
    for pool in pools:
        pool.close()


def ask(pool: Pool, model: str = "m", n: int = 2) -> Ticket:
    ticket = pool.submit(model, [(i,) for i in range(n)])
    pool.wait([ticket], LONG)
    assert ticket.done
    return ticket


def failures(ticket: Ticket) -> list[tuple[type, str]]:
    return [(type(reply), str(reply)) for reply in ticket.replies]


def until(settled: Callable[[], bool]) -> None:
    """Waits for something that another thread brings about soon."""
    end = time.monotonic() + LONG
    while not settled():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_call_is_answered(make: Make) -> None:
    """Replies come in the order of the rows, with the time that the call took."""
    ticket = ask(make(m=echo), n=3)
    assert (ticket.replies, ticket.model) == ([0, 1, 2], "m")
    assert ticket.latency_ms >= 0


def test_calls_of_one_model_are_answered_in_order(make: Make) -> None:
    """A model is called by one thread, one call after another."""
    calls: list[int] = []
    pool = make(m=lambda rows: calls.append(rows[0][0]) or [None])
    tickets = [pool.submit("m", [(i,)]) for i in range(50)]
    pool.wait(tickets, LONG)
    assert calls == list(range(50))


def test_a_model_that_hangs_does_not_hold_up_another(make: Make) -> None:
    """Each model has a thread of its own."""
    gate = Gate()
    pool = make(slow=gate, fast=echo)
    slow = pool.submit("slow", [(1,)])
    assert ask(pool, "fast").replies == [0, 1]
    assert not slow.done
    gate.open.set()
    pool.wait([slow], LONG)
    assert slow.replies == [1]


def test_waiting_ends_with_its_seconds(make: Make) -> None:
    """`wait` returns although a call is not done."""
    gate = Gate()
    pool = make(m=gate)
    ticket = pool.submit("m", [(1,)])
    pool.wait([ticket], 0.001)
    assert not ticket.done
    gate.open.set()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (lambda _: 1 / 0, ModelInternal, "ZeroDivisionError: division by zero (test_pool.py:"),
        (lambda _: [][0], ModelInternal, "IndexError: list index out of range (test_pool.py:"),
        (lambda rows: rows[:1], InvalidReply, "it gave 1 replies for 2 events"),
        (lambda _: None, ModelInternal, "TypeError: object of type 'NoneType' has no len()"),
    ],
    ids=["division", "index", "short", "none"],
)
def test_a_model_that_raises_or_answers_nonsense_fails_its_call(
    make: Make, answer: Any, kind: type, said: str
) -> None:
    """Every row of the call fails with the class of the failure and where it was raised."""
    pool = make(m=answer)
    for _ in range(2):
        for found, text in failures(ask(pool)):
            assert found is kind
            assert text.startswith(said)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_what_would_end_a_thread_does_not(make: Make, error: BaseException) -> None:
    """A model that calls sys.exit() fails its call; the next call is answered by the same thread."""
    raised = [error]

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        if raised:
            raise raised.pop()
        return echo(rows)

    pool = make(m=answer)
    assert {kind for kind, _ in failures(ask(pool))} == {ModelInternal}
    assert ask(pool).replies == [0, 1]


def test_a_model_error_keeps_its_class(make: Make) -> None:
    """A model that says why it did not answer is believed."""

    def answer(_: Sequence[Any]) -> Sequence[Any]:
        raise ModelRefused("not today")

    assert failures(ask(make(m=answer))) == [(ModelRefused, "not today")] * 2


def test_a_call_that_outlives_its_timeout_is_given_up(make: Make) -> None:
    """Its rows fail as timed out, the next call is answered, and its late answer is ignored."""
    gate = Gate()
    first = threading.Event()

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        if not first.is_set():
            first.set()
            return gate(rows)
        return echo(rows)

    pool = make(timeout=0.05, m=answer)
    ticket = ask(pool)
    assert failures(ticket) == [(ModelTimeout, "no answer within 0.05 s")] * 2
    assert ticket.latency_ms >= 50
    assert ask(pool).replies == [0, 1]
    gate.open.set()
    until(lambda: not pool._lanes["m"].stuck() and not pool._lanes["m"].abandoned)
    assert failures(ticket) == [(ModelTimeout, "no answer within 0.05 s")] * 2
    assert pool.load() == 0


def test_what_waits_behind_a_call_that_hangs_is_answered_after_it(make: Make) -> None:
    """The timeout counts from the moment a call begins: waiting in the queue costs no call its answer."""
    gate = Gate()

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        return gate(rows) if rows[0][0] == "hang" else echo(rows)

    pool = make(timeout=0.05, m=answer)
    hung = pool.submit("m", [("hang",)])
    queued = [pool.submit("m", [(i,)]) for i in range(3)]
    pool.wait([hung, *queued], LONG)
    assert failures(hung)[0][0] is ModelTimeout
    assert [ticket.replies for ticket in queued] == [[0], [1], [2]]
    gate.open.set()


def test_a_loop_in_python_is_stopped(make: Make) -> None:
    """A thread that is given up ends as soon as it executes Python code."""

    def spin(_: Sequence[Any]) -> Sequence[Any]:
        while True:
            pass

    pool = make(timeout=0.05, m=spin)
    assert failures(ask(pool))[0][0] is ModelTimeout
    (thread,) = pool._lanes["m"].abandoned
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_model_that_keeps_hanging_gets_no_more_calls(make: Make) -> None:
    """With so many threads stuck, calls fail at once as overloaded; once one returns, calls are answered."""
    gate = Gate()
    pool = make(timeout=0.02, m=gate)
    tickets = [pool.submit("m", [(i,)]) for i in range(MOST_ABANDONED + 2)]
    pool.wait(tickets, LONG)
    kinds = [failures(ticket)[0][0] for ticket in tickets]
    assert kinds == [ModelTimeout] * MOST_ABANDONED + [ModelOverloaded] * 2
    refused = pool.submit("m", [(1,)])
    assert failures(refused) == [(ModelOverloaded, f"{MOST_ABANDONED} calls that timed out still run")]
    assert pool.load("m") == 0
    gate.open.set()
    until(lambda: not pool._lanes["m"].stuck())
    assert ask(pool).replies == [0, 1]


def test_expire_gives_up_calls_without_waiting(make: Make) -> None:
    """A consumer that only looks at `done` between batches sees timeouts too."""
    gate = Gate()
    pool = make(timeout=0.0, m=gate)
    ticket = pool.submit("m", [(1,)])
    assert gate.entered.acquire(timeout=LONG)
    pool.expire()
    assert failures(ticket)[0][0] is ModelTimeout
    gate.open.set()


def test_load_and_room_count_events_under_way(make: Make) -> None:
    """Room counts down per model and in all, and may be exceeded: the consumer pauses, nothing is dropped."""
    gate = Gate()
    pool = make(in_flight=10, m=gate, other=echo)
    assert (pool.load(), pool.room("m")) == (0, 10)
    tickets = [pool.submit("m", [(i,) for i in range(4)]), pool.submit("m", [(0,)] * 8)]
    assert (pool.load("m"), pool.load("other"), pool.load()) == (12, 0, 12)
    assert (pool.room("m"), pool.room("other")) == (-2, -2)
    gate.open.set()
    pool.wait(tickets, LONG)
    assert (pool.load("m"), pool.load(), pool.room("m")) == (0, 0, 10)


def test_bytes_under_way_leave_no_room(make: Make) -> None:
    """Large events are bounded by their bytes."""
    gate = Gate()
    pool = make(most_bytes=100, m=gate)
    ticket = pool.submit("m", [(1,)], size_bytes=100)
    assert pool.room("m") == 0
    gate.open.set()
    pool.wait([ticket], LONG)
    assert pool.room("m") > 0


def test_close_answers_what_waits_and_closes_each_model_once() -> None:
    """A pool that stops lets what runs finish, fails what waits, and takes no more."""
    queued: list[Ticket] = []
    begun = threading.Event()

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        begun.set()
        until(lambda: bool(queued) and queued[0].done)
        return echo(rows)

    model = Fake(answer)
    pool = Pool({"m": model}, {"m": LONG}, 10, SystemClock())
    running = pool.submit("m", [(1,)])
    queued.append(pool.submit("m", [(2,)]))
    assert begun.wait(LONG)
    pool.close(LONG)
    pool.close(LONG)
    assert running.replies == [1]
    assert failures(queued[0]) == [(ModelOverloaded, "the worker is stopping")]
    assert failures(pool.submit("m", [(3,)])) == [(ModelOverloaded, "the worker is stopping")]
    assert model.closed == 1


def test_close_does_not_wait_for_a_call_that_hangs() -> None:
    """Stopping is bounded; the thread that hangs goes with the process."""
    gate = Gate()
    model = Fake(gate)
    pool = Pool({"m": model}, {"m": LONG}, 10, SystemClock())
    hung = pool.submit("m", [(1,)])
    assert gate.entered.acquire(timeout=LONG)
    pool.close(0.01)
    assert (hung.done, model.closed) == (False, 1)
    gate.open.set()


def test_an_exception_whose_text_fails_is_named_by_its_class(make: Make) -> None:
    """Nothing that a model raises ends its thread."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    def answer(_: Sequence[Any]) -> Sequence[Any]:
        raise Mute

    assert failures(ask(make(m=answer)))[0][1].startswith("Mute (test_pool.py:")


def test_many_calls_given_up_at_the_edge_of_their_timeout_are_each_done_once(make: Make) -> None:
    """Whether the answer or the timeout comes first, a call is done once and the model goes on."""
    pool = make(timeout=0.002, m=lambda rows: time.sleep(0.002) or echo(rows))
    for _ in range(150):
        ticket = ask(pool, n=1)
        assert ticket.replies == [0] or failures(ticket)[0][0] in (ModelTimeout, ModelOverloaded)
    assert pool.load() == 0
    until(lambda: not pool._lanes["m"].stuck())
    assert not pool._lanes["m"].calls
