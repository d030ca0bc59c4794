"""The guard, in a loop whose time is virtual: who is asked when, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import inf
from typing import Any

import pytest

from model.guard.virtual import Bench, Scripted, terms
from pointsman.base.errors import (
    InvalidInput,
    InvalidReply,
    ModelError,
    ModelInternal,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
)
from pointsman.model.batching import BatchKeys
from pointsman.model.breaker import Breaker, BreakerKeys
from pointsman.model.gate import Gate
from pointsman.model.limits import Limits
from pointsman.model.ticket import RemoteTicket


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Guards in a virtual loop; its chance is always one half."""
    with Bench() as bench:
        yield bench


def echo(rows: Sequence[Any]) -> Sequence[Any]:
    return [f"reply {row}" for row in rows]


def fails(error: ModelError, times: int = 1_000_000) -> Callable[[Sequence[Any]], Any]:
    """Raises `error` so many times, then answers."""
    left = [times]

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        if left[0]:
            left[0] -= 1
            raise error
        return echo(rows)

    return answer


def failures(tickets: Sequence[RemoteTicket]) -> list[str]:
    """Each reply, or its failure class."""
    return [
        reply.failure if isinstance(reply, ModelError) else reply
        for ticket in tickets
        for reply in ticket.replies
    ]


def classes(ticket: RemoteTicket, row: int = 0) -> list[str]:
    """How the attempts of a row ended."""
    return [attempt.get("class", attempt["status"]) for attempt in ticket.attempts_of(row)]


def test_an_error_does_not_hold_the_frames_it_came_from(bench: Bench) -> None:
    """Of a whole request or of one row, it is kept as a value: no circle is left to Python's collector."""

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        try:
            raise InvalidInput("this row")
        except InvalidInput as error:
            if len(rows) == 1:
                raise ModelRefused("all of it") from error
            return [error, *rows[1:]]

    guard = bench.guard(Scripted(answer), terms(batch=BatchKeys(size=2, wait=0.0)))
    tickets = [*bench.add(guard, ["a", "b"]), *bench.add(guard, ["c"])]
    bench.pass_(0.1)
    assert failures(tickets) == ["invalid_input", "b", "refused"]
    for error in (tickets[0].replies[0], tickets[1].replies[0]):
        assert error.__traceback__ is error.__context__ is error.__cause__ is None


# Time


def test_an_attempt_that_hangs_is_a_timeout(bench: Bench) -> None:
    """At its timeout it is answered and its request cancelled."""
    model = Scripted(echo, takes=60.0)
    guard = bench.guard(model, terms(0.5))
    (ticket,) = bench.add(guard, ["a"])
    bench.pass_(0.49)
    assert bench.finished() == []
    bench.pass_(0.02)
    assert bench.finished() == [ticket]
    assert failures([ticket]) == ["timeout"]
    assert ticket.attempts == [{"model": "m", "status": "failed", "class": "timeout", "latency_ms": 500.0}]
    assert ticket.latency_ms == pytest.approx(500)
    assert (model.cancelled, model.under_way) == (1, 0)


def test_no_attempt_outlives_the_deadline(bench: Bench) -> None:
    """A deadline that comes before the timeout bounds the attempt, and the model is told."""
    model = Scripted(echo, takes=60.0)
    (ticket,) = bench.add(bench.guard(model, terms(0.5, attempts=5)), ["a"], deadline=0.2)
    bench.pass_(0.21)
    assert bench.finished() == [ticket]
    assert failures([ticket]) == ["timeout"]
    assert [attempt["latency_ms"] for attempt in ticket.attempts] == [200.0]
    assert model.asks[0].timeout == pytest.approx(0.2)
    assert model.cancelled == 1


def test_waiting_for_capacity_counts_against_the_deadline(bench: Bench) -> None:
    """What waits in the queue is failed at its deadline without having been sent."""
    model = Scripted(echo, takes=1.0)
    guard = bench.guard(model, terms(5.0, concurrency=1))
    first, second = bench.add(guard, ["a"], deadline=3.0) + bench.add(guard, ["b"], deadline=0.5)
    bench.pass_(0.51)
    assert bench.finished() == [second]
    assert second.attempts == []
    bench.pass_(2.0)
    assert failures([first, second]) == ["reply a", "timeout"]
    assert model.requests == [["a"]]
    assert guard.numbers().expired == 1


def test_what_is_late_already_is_not_sent(bench: Bench) -> None:
    """An event that comes after its deadline is answered at once."""
    model = Scripted(echo)
    bench.pass_(1.0)
    (ticket,) = bench.add(bench.guard(model, terms()), ["a"], deadline=0.9)
    bench.pass_(0.001)
    assert failures([ticket]) == ["timeout"]
    assert model.requests == []


def test_a_late_reply_is_counted_and_not_used(bench: Bench) -> None:
    """A request that does not heed its cancellation changes nothing of what was said."""

    async def stubborn(rows: Sequence[Any]) -> Sequence[Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return echo(rows)

    def answer(rows: Sequence[Any]) -> Any:
        return stubborn(rows)

    guard = bench.guard(Scripted(answer), terms(0.5))
    (ticket,) = bench.add(guard, ["a"])
    bench.pass_(2.0)
    assert failures([ticket]) == ["timeout"]
    assert bench.finished() == [ticket]
    assert guard.numbers().late == 1
    assert guard.numbers().under_way == 0


@pytest.mark.parametrize("dues", [(0.1, 0.5), (0.5, 0.1)])
def test_each_event_of_a_batch_has_its_own_deadline(bench: Bench, dues: tuple[float, float]) -> None:
    """One that is late leaves; the request goes on for the others, in whatever order they are."""
    model = Scripted(echo, takes=0.3)
    guard = bench.guard(model, terms(batch=BatchKeys(size=2, wait=0.0)))
    tickets = [bench.add(guard, [value], deadline=due)[0] for value, due in zip("ab", dues, strict=True)]
    late = tickets[dues.index(0.1)]
    bench.pass_(0.2)
    assert bench.finished() == [late]
    bench.pass_(0.2)
    assert sorted(failures(tickets))[-1] == "timeout"
    assert sum(failure.startswith("reply") for failure in failures(tickets)) == 1
    assert model.requests == [["a", "b"]]
    assert (model.cancelled, guard.numbers().late) == (0, 1)


def test_deadlines_hold_for_the_halves_of_a_request(bench: Bench) -> None:
    """What was cut in two and waits for capacity is answered in time like everything else."""
    model = Scripted(fails(InvalidInput("no")))
    batch = BatchKeys(size=2, wait=0.0)
    (ticket,) = bench.add(bench.guard(model, terms(batch=batch, rate=1.0)), "ab", deadline=0.5)
    bench.pass_(0.51)
    assert bench.finished() == [ticket]
    assert failures([ticket]) == ["timeout", "timeout"]


def test_a_row_keeps_its_first_answer() -> None:
    """However often it is told, a row is answered once."""
    ticket = RemoteTicket("m", [("a",), ("b",)], ["1", "2"])
    assert [ticket.fill(0, "first"), ticket.fill(0, "second"), ticket.fill(1, "b")] == [False, False, True]
    ticket.complete(0.0)
    assert ticket.replies == ["first", "b"]


# Retries


def test_a_failure_that_may_pass_is_repeated_after_a_pause(bench: Bench) -> None:
    """With `attempts: 3` two failures do no harm; waits double, and chance halves them here."""
    model = Scripted(fails(ModelRefused("reset"), 2))
    guard = bench.guard(model, terms(attempts=3, wait=0.1))
    (ticket,) = bench.add(guard, ["a"])
    bench.pass_(1.0)
    assert failures([ticket]) == ["reply a"]
    assert classes(ticket) == ["refused", "refused", "ok"]
    assert model.times == [0.0, 0.05, 0.15]
    assert guard.numbers().retries == 2
    assert ticket.latency_ms == pytest.approx(150)


@pytest.mark.parametrize("error", [InvalidInput("x"), InvalidReply("x")], ids=lambda e: e.failure)
def test_what_repeating_cannot_help_fails_at_once(bench: Bench, error: ModelError) -> None:
    """The class says so."""
    model = Scripted(fails(error))
    (ticket,) = bench.add(bench.guard(model, terms(attempts=5)), ["a"])
    bench.pass_(1.0)
    assert failures([ticket]) == [error.failure]
    assert len(model.seen) == 1


def test_the_last_failure_is_the_answer(bench: Bench) -> None:
    """When attempts are used up the event fails as the last one did."""
    (ticket,) = bench.add(bench.guard(Scripted(fails(ModelInternal("500"))), terms(attempts=3)), ["a"])
    bench.pass_(1.0)
    assert classes(ticket) == ["internal"] * 3
    assert str(ticket.replies[0]) == "500"


def test_retry_after_is_obeyed(bench: Bench) -> None:
    """The next attempt is not before the server wants it."""
    model = Scripted(fails(ModelOverloaded("429", retry_after=2.0), 1))
    bench.add(bench.guard(model, terms(attempts=2, wait=0.1)), ["a"])
    bench.pass_(3.0)
    assert model.times == [0.0, 2.05]


def test_a_repeat_that_would_come_too_late_is_not_waited_for(bench: Bench) -> None:
    """An event whose deadline is before the server wants it again goes to its fallback at once."""
    model = Scripted(fails(ModelOverloaded("429", retry_after=2.0)))
    (ticket,) = bench.add(bench.guard(model, terms(attempts=2)), ["a"], deadline=1.0)
    bench.pass_(0.001)
    assert bench.finished() == [ticket]
    assert failures([ticket]) == ["overloaded"]


def test_repeats_are_a_share_of_calls(bench: Bench) -> None:
    """With a server that is down, 1,000 calls make 1,200 attempts and not 3,000."""
    model = Scripted(fails(ModelRefused("down")))
    guard = bench.guard(model, terms(attempts=3, budget=Fraction(1, 5)))
    tickets = bench.add(guard, range(1000))
    bench.pass_(5.0)
    assert failures(tickets) == ["refused"] * 1000
    assert len(model.seen) == 1200


def test_only_rows_that_failed_are_sent_again(bench: Bench) -> None:
    """Where the server says which rows it could not answer, the others are done; theirs alone go again."""
    first = [True]

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        if first:
            first.clear()
            return ["A", ModelOverloaded("busy"), InvalidInput("no"), "D"]
        return echo(rows)

    model = Scripted(answer)
    guard = bench.guard(model, terms(attempts=2, batch=BatchKeys(size=4, wait=0.0)))
    (ticket,) = bench.add(guard, "abcd")
    bench.pass_(1.0)
    assert failures([ticket]) == ["A", "reply b", "invalid_input", "D"]
    assert model.requests == [["a", "b", "c", "d"], ["b"]]
    assert [classes(ticket, row) for row in range(4)] == [
        ["ok"],
        ["overloaded", "ok"],
        ["invalid_input"],
        ["ok"],
    ]


def test_what_comes_again_does_not_stand_in_line_again(bench: Bench) -> None:
    """A repeated attempt is sent before those that have not had one."""
    model = Scripted(fails(ModelRefused("x"), 1), takes=0.1)
    guard = bench.guard(model, terms(attempts=2, wait=0.1, concurrency=1))
    bench.add(guard, "abcd")
    bench.pass_(1.0)
    assert model.requests == [["a"], ["b"], ["a"], ["c"], ["d"]]


# Batches


def test_rows_that_come_together_go_together(bench: Bench) -> None:
    """A full batch goes at once, the rest after its wait, with whatever has come by then."""
    model = Scripted(echo)
    guard = bench.guard(model, terms(batch=BatchKeys(size=3, wait=0.01)))
    tickets = bench.add(guard, "abcd")
    bench.pass_(0.005)
    tickets += bench.add(guard, "e")
    bench.pass_(0.1)
    assert model.seen == [(0.0, ["a", "b", "c"]), (0.01, ["d", "e"])]
    assert failures(tickets) == [f"reply {value}" for value in "abcde"]
    assert guard.numbers().sizes == {3: 1, 2: 1}


def test_a_request_knows_its_events(bench: Bench) -> None:
    """The ids of its rows, in order, and the trace of the first that has one."""
    model = Scripted(echo)
    guard = bench.guard(model, terms(batch=BatchKeys(size=2, wait=0.0)))
    traced = RemoteTicket("m", [("b",)], ["2"], traces=[{"traceparent": "00-…"}])
    for ticket in (RemoteTicket("m", [("a",)], ["1"]), traced):
        bench.loop.call_soon(guard.add, ticket)
    bench.pass_(0.1)
    assert (list(model.asks[0].ids), model.asks[0].trace) == (["1", "2"], {"traceparent": "00-…"})


def test_a_model_that_takes_no_batches_is_called_concurrently(bench: Bench) -> None:
    """Each row is a request, and up to `concurrency` of them are under way."""
    model = Scripted(echo, takes=1.0, batches=False)
    guard = bench.guard(model, terms(5.0, batch=BatchKeys(size=8), concurrency=3))
    tickets = bench.add(guard, range(7))
    bench.pass_(2.5)
    assert model.times == [0.0] * 3 + [1.0] * 3 + [2.0]
    assert model.most == 3
    bench.pass_(1.0)
    assert failures(tickets) == [f"reply {n}" for n in range(7)]


@pytest.mark.parametrize("error", [InvalidInput, InvalidReply, ModelInternal])
def test_a_bad_row_does_not_sink_its_batch(bench: Bench, error: type[ModelError]) -> None:
    """A request that fails as a whole is cut in two until the bad row is alone; the breaker stays shut."""

    def answer(rows: Sequence[Any]) -> Sequence[Any]:
        if 5 in rows:
            raise error("cannot")
        return echo(rows)

    model = Scripted(answer)
    breaker = BreakerKeys(calls=5)
    guard = bench.guard(model, terms(batch=BatchKeys(size=8, wait=0.0), breaker=breaker))
    (ticket,) = bench.add(guard, range(8))
    bench.pass_(1.0)
    assert failures([ticket]) == [error.failure if n == 5 else f"reply {n}" for n in range(8)]
    assert len(model.seen) == 7
    assert classes(ticket, 5) == [error.failure] * 4
    assert classes(ticket, 0) == [error.failure, "ok"]
    assert guard.numbers().splits == 3
    assert guard.numbers().opened == 0


def test_a_mapping_that_fits_no_row_costs_at_most_twice_its_rows(bench: Bench) -> None:
    """Cutting in two ends with the rows."""
    model = Scripted(fails(InvalidInput("no")))
    tickets = bench.add(bench.guard(model, terms(batch=BatchKeys(size=8, wait=0.0))), range(8))
    bench.pass_(1.0)
    assert failures(tickets) == ["invalid_input"] * 8
    assert len(model.seen) == 15


@pytest.mark.parametrize(
    ("raised", "failure"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionResetError("reset"), "refused"),
        (ValueError("bug"), "internal"),
        (asyncio.CancelledError(), "internal"),
        (SystemExit(1), "internal"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_whatever_a_protocol_raises_has_a_class(bench: Bench, raised: BaseException, failure: str) -> None:
    """Nothing escapes, and nothing is lost."""

    def answer(rows: Sequence[Any]) -> Sequence[Any]:  # noqa: ARG001  # it never looks at them
        raise raised

    (ticket,) = bench.add(bench.guard(Scripted(answer), terms()), ["a"])
    bench.pass_(0.1)
    assert failures([ticket]) == [failure]


def test_a_class_that_is_not_ours_counts_as_internal(bench: Bench) -> None:
    """A protocol of another package that makes up a failure class loses no event."""

    class Odd(ModelError):
        failure = "odd"

    model = Scripted(fails(Odd("x"), 1))
    (ticket,) = bench.add(bench.guard(model, terms(attempts=2)), ["a"])
    bench.pass_(1.0)
    assert failures([ticket]) == ["reply a"]


def test_alarms_that_never_rang_are_forgotten(bench: Bench) -> None:
    """Thousands of calls with a long timeout leave next to nothing behind."""
    guard = bench.guard(Scripted(echo), terms(3600.0))
    for _ in range(20):
        bench.add(guard, range(500), deadline=7200.0)
        bench.pass_(0.01)
    assert len(bench.alarms) < 1000


def test_a_wrong_number_of_replies_is_an_invalid_reply(bench: Bench) -> None:
    """Which reply is whose is not guessed."""
    (ticket,) = bench.add(bench.guard(Scripted(lambda _: ["a", "b"]), terms()), ["a"])
    bench.pass_(0.1)
    assert str(ticket.replies[0]) == "it gave 2 replies for 1 events"


# Breakers, limits, endpoints


def test_an_open_breaker_lets_nothing_out(bench: Bench) -> None:
    """Calls are refused at once, with no attempt; after its wait, probes close it."""
    model = Scripted(fails(ModelTimeout("x"), 20))
    guard = bench.guard(model, terms(breaker=BreakerKeys()))
    bench.add(guard, range(20))
    bench.pass_(0.1)
    (refused,) = bench.add(guard, ["a"])
    bench.pass_(0.1)
    assert failures([refused]) == ["refused"]
    assert refused.attempts == []
    assert str(refused.replies[0]) == "not asked: the breaker is open for another 4.9 s"
    assert (guard.numbers().breaker, guard.numbers().refused, len(model.seen)) == (2, 1, 20)
    bench.pass_(5.0)
    tickets = bench.add(guard, range(3))
    bench.pass_(0.1)
    assert failures(tickets) == [f"reply {n}" for n in range(3)]
    assert guard.numbers().breaker == 0


def test_half_open_only_probes_go_out(bench: Bench) -> None:
    """While probes are under way everybody else is refused."""
    model = Scripted(fails(ModelRefused("x"), 20))
    guard = bench.guard(model, terms(5.0, breaker=BreakerKeys(probes=2)))
    bench.add(guard, range(20))
    bench.pass_(6.0)
    model.takes = 1.0
    tickets = bench.add(guard, "abcd")
    bench.pass_(2.0)
    assert failures(tickets) == ["reply a", "reply b", "refused", "refused"]


def test_what_waits_when_the_breaker_opens_is_refused(bench: Bench) -> None:
    """Nobody stands in line for a server that is down."""
    model = Scripted(fails(ModelRefused("x")), takes=0.1)
    guard = bench.guard(model, terms(concurrency=10, breaker=BreakerKeys()))
    tickets = bench.add(guard, range(100))
    bench.pass_(0.31)
    assert len(bench.finished()) == 100
    assert len(model.seen) == 29
    assert set(failures(tickets)) == {"refused"}


def test_what_waits_for_the_rate_when_the_breaker_opens_is_refused(bench: Bench) -> None:
    """It is told so at once, not when the rate would have let it out."""
    keys = BreakerKeys(calls=2)
    guard = bench.guard(Scripted(fails(ModelRefused("x"))), terms(rate=1.0, breaker=keys))
    bench.add(guard, range(10))
    bench.pass_(1.001)
    assert len(bench.finished()) == 10


def test_an_event_is_not_paused_for_a_breaker_that_stays_open(bench: Bench) -> None:
    """A repeat that the breaker would refuse is not waited for: the failure is told at once."""
    model = Scripted(fails(ModelInternal("x")))
    keys = BreakerKeys(calls=1, failures=Fraction(1))
    (ticket,) = bench.add(bench.guard(model, terms(attempts=5, breaker=keys)), ["a"])
    bench.pass_(0.001)
    assert bench.finished() == [ticket]
    assert classes(ticket) == ["internal"]


def test_the_models_of_an_endpoint_share_its_breaker(bench: Bench) -> None:
    """What one model learns of the server holds for the others."""
    shared = Gate(Breaker(BreakerKeys()))
    down, other = Scripted(fails(ModelRefused("x"))), Scripted(echo)
    bench.add(bench.guard(down, terms(shared=shared)), range(20))
    bench.pass_(0.1)
    (ticket,) = bench.add(bench.guard(other, terms(shared=shared), "other"), ["a"])
    bench.pass_(0.1)
    assert failures([ticket]) == ["refused"]
    assert other.seen == []


def test_the_models_of_an_endpoint_share_its_concurrency_in_turn(bench: Bench) -> None:
    """A model with a long queue does not keep another one out."""
    shared = Gate(limits=Limits(concurrency=2))
    busy, other = Scripted(echo, takes=1.0), Scripted(echo, takes=1.0)
    bench.add(bench.guard(busy, terms(5.0, shared=shared)), range(10))
    tickets = bench.add(bench.guard(other, terms(5.0, shared=shared), "other"), "ab")
    bench.pass_(2.5)
    assert other.times == [1.0, 2.0]
    assert len(busy.seen) == 4
    bench.pass_(1.0)
    assert failures(tickets) == ["reply a", "reply b"]


def test_who_waits_for_an_endpoint_goes_before_who_waits_for_its_own_model(bench: Bench) -> None:
    """A model that is busy by its own limit does not take the place another model waits for."""
    shared = Gate(limits=Limits(concurrency=1))
    busy, other = Scripted(echo, takes=1.0), Scripted(echo, takes=1.0)
    bench.add(bench.guard(busy, terms(5.0, concurrency=1, shared=shared)), range(3))
    bench.add(bench.guard(other, terms(5.0, shared=shared), "other"), "a")
    bench.pass_(4.5)
    assert (busy.times, other.times) == ([0.0, 2.0, 3.0], [1.0])


def test_what_waits_behind_other_models_is_refused_when_its_breaker_opens(bench: Bench) -> None:
    """Also where its turn at the endpoint would not have come yet."""
    shared = Gate(limits=Limits(concurrency=1))
    bench.add(bench.guard(Scripted(echo, takes=1.0), terms(5.0, shared=shared), "other"), range(5))
    keys = BreakerKeys(calls=1)
    down = bench.guard(Scripted(fails(ModelRefused("x"))), terms(breaker=keys, shared=shared))
    tickets = bench.add(down, range(3))
    bench.pass_(2.001)
    assert [ticket.claimed for ticket in tickets] == [True] * 3
    assert down.numbers().refused == 2


def test_a_rate_holds_for_an_endpoint(bench: Bench) -> None:
    """Ten requests a second begin in all, whichever model they are of."""
    shared = Gate(limits=Limits(rate=10.0))
    models = [Scripted(echo), Scripted(echo)]
    for n, model in enumerate(models):
        bench.add(bench.guard(model, terms(shared=shared), f"m{n}"), range(5))
    bench.pass_(10.0)
    assert sorted(models[0].times + models[1].times) == [round(n / 10, 1) for n in range(10)]


def test_no_deadline_waits_as_long_as_it_takes(bench: Bench) -> None:
    """Without a deadline only the attempts are bounded."""
    model = Scripted(echo, takes=0.9)
    tickets = bench.add(bench.guard(model, terms(1.0, concurrency=1)), range(20), deadline=inf)
    bench.pass_(20.0)
    assert failures(tickets) == [f"reply {n}" for n in range(20)]


def test_attempts_are_counted_by_class(bench: Bench) -> None:
    """Telemetry reads plain numbers."""
    guard = bench.guard(Scripted(fails(ModelTimeout("x"), 1)), terms(attempts=2))
    bench.add(guard, "a")
    bench.pass_(1.0)
    numbers = guard.numbers()
    assert numbers.attempts == {"timeout": 1, "ok": 1}
    assert (numbers.queued, numbers.under_way) == (0, 0)
