"""The circuit breaker: rates over a sliding window, and probes before it closes again."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pointsman.model.breaker import CLOSED, HALF_OPEN, OPEN, SLOTS, Breaker, BreakerKeys

HALF = Fraction(1, 2)


def attempt(breaker: Breaker, now: float, failed: bool | None, took: float = 0.01) -> bool:
    """One attempt, if it is let out."""
    if breaker.refuses(now):
        return False
    breaker.leave(breaker.enter(now), now, took, failed)
    return True


def opened(keys: BreakerKeys | None = None) -> Breaker:
    """A breaker that opened at time 1."""
    breaker = Breaker(keys or BreakerKeys())
    for _ in range(20):
        attempt(breaker, 1.0, True)
    assert breaker.state == OPEN
    return breaker


def test_stays_shut_below_the_minimum_of_calls() -> None:
    """Nineteen failures of nineteen calls say too little."""
    breaker = Breaker(BreakerKeys())
    assert all(attempt(breaker, 1.0, True) for _ in range(19))
    assert breaker.state == CLOSED


def test_opens_at_the_failure_rate() -> None:
    """With enough calls, the failure that reaches the rate opens it, and nothing is let out."""
    breaker = Breaker(BreakerKeys())
    for n in range(19):
        attempt(breaker, 1.0, n % 2 == 0)
    assert breaker.state == CLOSED
    attempt(breaker, 1.0, True)
    assert breaker.state == OPEN
    assert breaker.refuses(5.99)
    assert breaker.opened == 1
    assert breaker.why(2.0) == "the breaker is open for another 4.0 s"


def test_old_failures_are_forgotten() -> None:
    """What is older than the window does not count."""
    breaker = Breaker(BreakerKeys())
    for _ in range(19):
        attempt(breaker, 0.5, True)
    for _ in range(20):
        attempt(breaker, 11.5, False)
    attempt(breaker, 11.5, True)
    assert breaker.state == CLOSED


def test_opens_at_the_share_of_slow_calls() -> None:
    """Answers that are good and slow open it where the document names a span."""
    breaker = Breaker(BreakerKeys(slow=0.5, slow_calls=Fraction(4, 5)))
    for n in range(20):
        attempt(breaker, 1.0, False, took=0.6 if n % 5 else 0.5)
    assert breaker.state == OPEN


def test_probes_after_its_wait_and_closes_when_they_are_good() -> None:
    """Half-open it lets out as many attempts as it has probes; when all are back and good it closes."""
    breaker = opened()
    permits = []
    for _ in range(3):
        assert not breaker.refuses(6.0)
        permits.append(breaker.enter(6.0))
    assert breaker.state == HALF_OPEN
    assert breaker.refuses(6.0)
    assert breaker.why(6.0) == "the breaker waits for 3 probes"
    for permit in permits:
        breaker.leave(permit, 6.1, 0.1, False)
    assert breaker.state == CLOSED
    attempt(breaker, 6.2, True)
    assert breaker.state == CLOSED


def test_one_bad_probe_of_three_is_forgiven_and_two_open_it_again() -> None:
    """The rate holds for probes too; it opens as soon as it cannot be missed."""
    breaker = opened()
    assert [attempt(breaker, 6.0, failed) for failed in (True, False, False)] == [True] * 3
    assert breaker.state == CLOSED
    breaker = opened()
    assert [attempt(breaker, 6.0, failed) for failed in (True, True, True)] == [True, True, False]
    assert breaker.refuses(10.9)
    assert breaker.opened == 2


def test_a_probe_that_came_to_nothing_is_given_again() -> None:
    """A permit that is taken back does not use up a probe."""
    breaker = opened()
    for _ in range(10):
        assert attempt(breaker, 6.0, None)
    assert [attempt(breaker, 6.0, False) for _ in range(3)] == [True] * 3
    assert breaker.state == CLOSED


def test_an_attempt_of_before_is_not_held_against_the_new_state() -> None:
    """What began while it was closed neither counts as a probe nor opens it again."""
    breaker = Breaker(BreakerKeys(probes=1))
    old = breaker.enter(0.5)
    for _ in range(20):
        attempt(breaker, 1.0, True)
    breaker.enter(6.0)
    breaker.leave(old, 6.1, 5.0, True)
    assert breaker.state == HALF_OPEN


class Naive:
    """The same from a list of all that happened, without any running count."""

    def __init__(self, keys: BreakerKeys) -> None:
        self.keys = keys
        self.calls: list[tuple[float, bool, bool]] = []
        self.state = CLOSED
        self.until = 0.0
        self.probes: list[tuple[bool, bool]] = []

    def refuses(self, now: float) -> bool:
        return self.state == OPEN and now < self.until

    def attempt(self, now: float, failed: bool, took: float) -> None:
        slow = self.keys.slow is not None and took > self.keys.slow
        if self.state == OPEN:
            self.state, self.probes = HALF_OPEN, []
        if self.state == HALF_OPEN:
            self.probes.append((failed, slow))
            if self.over(self.probes, self.keys.probes):
                self.open(now)
            elif len(self.probes) == self.keys.probes:
                self.state, self.calls = CLOSED, []
            return
        self.calls.append((now, failed, slow))
        width = self.keys.window / SLOTS
        young = [c[1:] for c in self.calls if int(c[0] / width) > int(now / width) - SLOTS]
        if len(young) >= self.keys.calls and self.over(young, len(young)):
            self.open(now)

    def over(self, calls: list[tuple[bool, bool]], of: int) -> bool:
        bad, slow = sum(c[0] for c in calls), sum(c[1] for c in calls)
        return (bad > 0 and Fraction(bad, of) >= self.keys.failures) or (
            slow > 0 and Fraction(slow, of) >= self.keys.slow_calls
        )

    def open(self, now: float) -> None:
        self.state, self.until = OPEN, now + self.keys.wait


shares = st.sampled_from([Fraction(0), Fraction(1, 3), HALF, Fraction(1)])


@given(
    keys=st.builds(
        BreakerKeys,
        failures=shares,
        slow_calls=shares,
        calls=st.integers(1, 6),
        window=st.sampled_from([1.0, 3.0]),
        slow=st.sampled_from([None, 0.5]),
        wait=st.sampled_from([0.0, 0.3, 2.0]),
        probes=st.integers(1, 4),
    ),
    steps=st.lists(
        st.tuples(st.sampled_from([0.0, 0.01, 0.1, 0.35, 1.0, 5.0, 100.0]), st.booleans(), st.booleans()),
        max_size=60,
    ),
)
def test_agrees_with_a_naive_one(keys: BreakerKeys, steps: list[tuple[float, bool, bool]]) -> None:
    """Whatever happens when, it refuses and opens as one does that keeps every call and counts anew."""
    breaker, naive, now = Breaker(keys), Naive(keys), 0.0
    for passed, failed, slow in steps:
        now += passed
        assert breaker.refuses(now) == naive.refuses(now)
        took = 0.6 if slow else 0.5
        if attempt(breaker, now, failed, took):
            naive.attempt(now, failed, took)
        assert breaker.state == naive.state
