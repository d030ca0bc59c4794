"""The small parts of the guard: retries, limits, batches, alarms; none of them waits or reads a clock."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.guard.virtual import Bench
from pointsman.base import errors
from pointsman.base.errors import InvalidInput, InvalidReply, ModelError, ModelOverloaded, ModelRefused
from pointsman.model.batching import Batcher
from pointsman.model.limits import Limits
from pointsman.model.retry import RESERVE, RULES, Budget, RetryKeys, pause


def test_every_failure_class_has_a_rule() -> None:
    """The table is as long as the tree of errors."""
    classes = {
        cls.failure for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ModelError)
    }
    assert set(RULES) == classes


def test_the_wait_doubles_and_is_random_from_nothing_to_all_of_it() -> None:
    """Full jitter: between 0 and a bound that doubles up to a second."""
    keys = RetryKeys(attempts=10, wait=0.1)
    bounds = [pause(keys, tried, ModelRefused(), lambda: 1.0) for tried in range(1, 10)]
    assert bounds == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert pause(keys, 1, ModelRefused(), lambda: 0.0) == 0.0


def test_retry_after_is_the_least_wait() -> None:
    """What the server asked for is waited for, and the jitter on top, so that not all come back at once."""
    assert pause(RetryKeys(), 1, ModelOverloaded("", 2.0), lambda: 0.5) == 2.0125
    assert pause(RetryKeys(), 1, ModelOverloaded("", 60.0), lambda: 0.5) is None


@pytest.mark.parametrize("error", [InvalidInput("x"), InvalidReply("x")], ids=lambda e: e.failure)
def test_what_cannot_help_is_not_repeated(error: ModelError) -> None:
    """The same rows would fail the same way."""
    assert pause(RetryKeys(attempts=5), 1, error, lambda: 0.5) is None


def test_no_more_attempts_than_declared() -> None:
    """`attempts: 2` repeats once."""
    assert pause(RetryKeys(attempts=2), 1, ModelRefused(), lambda: 0.5) is not None
    assert pause(RetryKeys(attempts=2), 2, ModelRefused(), lambda: 0.5) is None


def test_the_budget_is_a_share_of_calls() -> None:
    """Of 1,000 calls at most 20 % may be repeated; few calls may always repeat a few."""
    budget = Budget(Fraction(1, 5))
    assert sum(budget.take(1.0) for _ in range(100)) == RESERVE
    for _ in range(1000):
        budget.call(2.0)
    assert sum(budget.take(2.0) for _ in range(1000)) == 200 - RESERVE
    assert sum(budget.take(50.0) for _ in range(1000)) == RESERVE


def test_concurrency_is_a_bound() -> None:
    """One more enters only when one has left."""
    limits = Limits(concurrency=2)
    for _ in range(2):
        assert limits.ready(1.0) == 1.0
        limits.enter(1.0)
    assert limits.ready(1.0) == inf
    limits.leave()
    assert limits.ready(1.0) == 1.0


def test_a_rate_spaces_requests() -> None:
    """Ten a second: one each 100 ms."""
    limits, now, begun = Limits(rate=10.0), 5.0, []
    for _ in range(4):
        now = limits.ready(now)
        limits.enter(now)
        begun.append(round(now, 6))
    assert begun == [5.0, 5.1, 5.2, 5.3]


@given(
    rate=st.sampled_from([0.5, 3.0, 40.0, 1000.0]),
    gaps=st.lists(st.sampled_from([0.0, 0.001, 0.05, 2.0]), min_size=1, max_size=50),
)
def test_no_second_has_more_than_the_rate_and_a_burst(rate: float, gaps: list[float]) -> None:
    """However requests come, any span of s seconds begins at most `rate`·s + burst + 1 of them."""
    limits, now, begun = Limits(rate=rate), 0.0, []
    for gap in gaps:
        now = limits.ready(now + gap)
        limits.enter(now)
        begun.append(now)
    for i, start in enumerate(begun):
        for j in range(i, len(begun)):
            assert j - i + 1 <= rate * (begun[j] - start) + max(1.0, rate * 0.1) + 1.001


@given(size=st.integers(1, 8), portions=st.lists(st.integers(1, 8), max_size=40))
def test_batches_keep_order_and_size(size: int, portions: list[int]) -> None:
    """Every portion goes out once, in order and whole, in batches of at most `size` rows."""
    portions = [min(rows, size) for rows in portions]
    batcher: Batcher[tuple[int, int]] = Batcher(size)
    sent: list[list[tuple[int, int]]] = []
    for number, rows in enumerate(portions):
        sent += batcher.add((number, rows), rows)
    sent += [batcher.take()] if batcher.rows else []
    assert [one for batch in sent for one in batch] == list(enumerate(portions))
    assert all(0 < sum(rows for _, rows in batch) <= size for batch in sent)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=300),
)
def test_alarms_ring_in_time_and_order_unless_cancelled(wanted: list[tuple[int, bool]]) -> None:
    """Each rings once, at its moment; what was cancelled does not."""
    rung: list[tuple[float, int]] = []
    with Bench() as bench:
        alarms = [
            bench.alarms.at(when / 10, lambda n=n: rung.append((round(bench.loop.time(), 6), n)))  # type: ignore[misc]  # mypy cannot infer it
            for n, (when, _) in enumerate(wanted)
        ]
        for alarm, (_, cancelled) in zip(alarms, wanted, strict=True):
            if cancelled:
                bench.alarms.cancel(alarm)
        bench.pass_(4.0)
    expected = [(when / 10, n) for n, (when, cancelled) in enumerate(wanted) if not cancelled]
    assert rung == sorted(expected)
