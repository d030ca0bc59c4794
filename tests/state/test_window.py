"""Windows against the naive computation: all events of a key in a list, looked at again for each event."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.base.errors import EvalError, Misfit
from pointsman.cel.values import MISSING, Optional
from pointsman.state import ddsketch, hyperloglog
from pointsman.state.memory import Memory
from pointsman.state.window import KINDS, Aggregate, Window
from pointsman.state.window_exact import ExactStore
from pointsman.state.window_seed import seed
from pointsman.state.window_store import WindowStore

OVER = 60_000
EVERYTHING = [
    *(Aggregate(kind, 0, kind, 0.9) for kind in KINDS),
    Aggregate("count", None, "events"),
    Aggregate("since_last", None, "since"),
]
WINDOWS = {
    "sliding": Window.of(OVER, EVERYTHING, 1),
    "coarse": Window.of(OVER, EVERYTHING, 1, bucket=7_000, include=False),
    "tumbling": Window.of(OVER, EVERYTHING, 1, tumbling=True),
    "where": Window.of(OVER, EVERYTHING, 1, bucket=10_000, where=True),
    "exact": Window.of(OVER, EVERYTHING, 1, exact=True, where=True),
    "exact before": Window.of(OVER, EVERYTHING, 1, exact=True, include=False),
}


@dataclass
class Naive:
    """The contract of docs/windows.md, event by event."""

    window: Window
    seen: dict[str, list[tuple[int, Any]]] = field(default_factory=lambda: defaultdict(list))

    def see(self, when: int, key: str, counted: bool, value: Any) -> dict[str, Any] | str:
        events, window = self.seen[key], self.window
        newest = max((event[0] for event in events), default=when)
        if when <= newest - window.over:
            return "late"
        before = [event for event in events if self.covers(when, event[0])]
        if counted:
            events.append((when, value))
        inside = [*before, (when, value)] if counted and window.include else before
        return self.values(inside, before, when)

    def covers(self, when: int, other: int) -> bool:
        if self.window.exact:
            return when - self.window.over < other <= when
        k, n = when // self.window.bucket, self.window.buckets
        return k - n < other // self.window.bucket <= k

    def values(self, inside: Any, before: Any, when: int) -> dict[str, Any]:
        # Ties of `last` go to whoever came later, so the sort is a stable one.
        there = sorted((event for event in inside if event[1] is not None), key=lambda event: event[0])
        numbers = [float(value) for _, value in there if not isinstance(value, str)]
        found: dict[str, Any] = {
            "count": len(there),
            "events": len(inside),
            "rate": len(there) / (self.window.over / 1000),
            "sum": sum(numbers),
            "distinct": len({value for _, value in there}),
        }
        if numbers:
            rank = sorted(numbers)[int(0.9 * (len(numbers) - 1))]
            found |= {"mean": sum(numbers) / len(numbers), "min": min(numbers), "max": max(numbers)}
            found |= {"last": numbers[-1], "quantile": pytest.approx(rank, rel=0.0101)}
        if len(numbers) > 1:
            found["std"] = statistics.stdev(numbers)
        for name, events in (
            ("since", before),
            ("since_last", [event for event in before if event[1] is not None]),
        ):
            if events:
                found[name] = max(0, when - max(event[0] for event in events)) / 1000
        return found


def close(got: Any, wanted: dict[str, Any]) -> bool:
    """Whether values agree; floats to rounding."""
    return got == {
        name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
        for name, value in wanted.items()
    }


def store_of(window: Window, backing: Memory) -> Any:
    return ExactStore(window, backing) if window.exact else WindowStore(window, backing)


class Real:
    """The product's store, driven like a worker does: batches, commits, aborts and restores."""

    def __init__(self, window: Window) -> None:
        self.window, self.backing = window, Memory()
        self.store = store_of(window, self.backing)
        self.recall = self.store.see()
        self.log: list[Any] = []

    def see(self, when: int, key: str, counted: bool, value: Any) -> Any:
        given = (counted, value) if self.window.where else (value,)
        try:
            return self.recall(when, 1 if self.window.where or counted else 0, key, *given)
        except EvalError as error:
            return str(error).partition(":")[0]

    def commit(self) -> None:
        changes = self.store.drain()
        assert all(value is None or len(value) <= 1024 for _, value in changes)
        self.backing.apply(changes)
        self.log += changes
        self.recall = self.store.see()

    def abort(self) -> None:
        """Drops what was not committed, drained or not."""
        self.store.drain()
        self.backing.discard()
        self.store.forget()
        self.recall = self.store.see()

    def restore(self) -> None:
        """A new worker reads the changelog as it is after compaction."""
        self.backing = Memory()
        self.backing.load(list(dict(self.log).items()))
        self.store = store_of(self.window, self.backing)
        self.recall = self.store.see()


events = st.lists(
    st.tuples(
        st.integers(0, 4 * OVER),
        st.sampled_from(["a", "b"]),
        st.sampled_from([True, True, True, False]),
        st.one_of(st.none(), st.integers(-9, 9), st.sampled_from([0.25, -3.5, 1e6]), st.just("text")),
        st.sampled_from(["", "", "", "commit", "restore"]),
    ),
    max_size=60,
)


@pytest.mark.parametrize("name", WINDOWS)
@settings(max_examples=80, deadline=None)
@given(events=events, drift=st.sampled_from([0, 2_000]))
def test_windows_are_what_the_naive_computation_says(name, events, drift):
    """In any order, late or not, with restores anywhere: the same values as looking at all events again."""
    window = WINDOWS[name]
    real, naive = Real(window), Naive(window)
    for n, (when, key, counted, value, then) in enumerate(events):
        given = (when // 4 + n * drift if drift else when) + 1_760_000_000_000
        wanted = naive.see(given, key, counted, value)
        got = real.see(given, key, counted, value)
        assert got == wanted if wanted == "late" else close(got, wanted), (n, got, wanted)
        if then:
            real.commit()
        if then == "restore":
            real.restore()


@pytest.mark.parametrize("name", WINDOWS)
@settings(max_examples=25, deadline=None)
@given(events=events, lost=events)
def test_aborts_and_restores_change_no_bit(name, events, lost):
    """What was aborted leaves no trace: values are equal to the last bit, not only close."""
    window = WINDOWS[name]
    plain, shaken = Real(window), Real(window)
    for when, key, counted, value, _ in events:
        assert plain.see(when, key, counted, value) == shaken.see(when, key, counted, value)
        plain.commit()
        shaken.commit()
        for other in lost[:3]:
            shaken.see(*other[:4])
        shaken.abort()
    shaken.restore()
    for key in ("a", "b"):
        assert shaken.store.show(key) == plain.store.show(key)


def test_an_event_may_only_see():
    """A redriven event sees the window and is not counted; one from the future errs."""
    see = WindowStore(Window.of(OVER, [Aggregate("count")], 0), Memory()).see()
    assert [see(1000, 1, "a"), see(2000, 0, "a"), see(90_000, 0, "a"), see(3000, 1, "a")] == [1, 1, 0, 2]
    with pytest.raises(EvalError, match="ahead"):
        see(4000, -1, "a")
    assert see(4000, 0, "a") == 2


@pytest.mark.parametrize("key", [None, MISSING, [1], 1.5])
def test_a_key_without_text_errs(key):
    """Only texts, whole numbers and bools name a key."""
    with pytest.raises(EvalError, match="key"):
        WindowStore(Window.of(OVER, [Aggregate("count")], 0), Memory()).see()(0, 1, key)


def test_numbers_name_the_same_key_as_their_text():
    """17, 17.0 and "17" are one key."""
    see = WindowStore(Window.of(OVER, [Aggregate("count")], 0), Memory()).see()
    assert [see(0, 1, key) for key in (17, 17.0, "17")] == [1, 2, 3]


def test_a_batch_writes_each_changed_bucket_once():
    """However many events a sub-bucket had in a batch, its record is written once."""
    memory = Memory()
    store = WindowStore(Window.of(OVER, [Aggregate("sum", 0)], 1), memory)
    see = store.see()
    for when in (0, 10, 999, 1000, 500):
        see(when, 1, "a", 1.0)
    assert len(store.drain()) == 2
    assert store.drain() == []


def test_idle_keys_are_swept():
    """A key without an event for twice `over` and an hour is deleted; the others stay."""
    memory = Memory()
    store = WindowStore(Window.of(OVER, [Aggregate("count")], 0), memory)
    see = store.see()
    later = 2 * OVER + 3_600_000 + 1
    see(0, 1, "old")
    memory.apply(store.drain())
    store.see()(later, 1, "new")
    memory.apply(store.drain())
    store.sweep(later, 10)
    gone = store.drain()
    assert [value for _, value in gone] == [None]
    memory.apply(gone)
    assert list(memory.keys()) == ["new"]
    assert store.show("old") is None


def test_a_swept_key_may_come_back():
    """What a sweep drops is gone with the next commit, and what comes of the key after it stays."""
    memory = Memory()
    store = WindowStore(Window.of(OVER, [Aggregate("count")], 0), memory)
    later = 2 * OVER + 3_600_000 + 1
    store.see()(0, 1, "old")
    memory.apply(store.drain())
    store.see()(later, 1, "new")
    store.sweep(later, 10)
    memory.apply(store.drain())
    assert len(memory) == 1
    store.see()(later + 1, 1, "old")
    memory.apply(store.drain())
    store.forget()
    assert [store.show(key)["value"] for key in ("old", "new")] == [1, 1]
    assert len(memory) == 2


def test_sub_buckets_have_a_limit():
    """What does not fit into the slots of a key is refused with what to do."""
    with pytest.raises(Misfit, match="sub-buckets"):
        Window.of(3_600_000, [Aggregate("count")], 0, bucket=1)
    with pytest.raises(Misfit, match="longer"):
        Window.of(1000, [Aggregate("count")], 0, bucket=2000)


def test_show_tells_each_bucket():
    """People see the value, and what each sub-bucket holds and whether it counts."""
    store = WindowStore(Window.of(OVER, [Aggregate("sum", 0)], 1), Memory())
    see = store.see()
    see(1_000, 1, "a", 1.0)
    see(61_500, 1, "a", 2.0)
    assert store.show("a") == {
        "newest": 61_500,
        "bucket_ms": 1000,
        "value": 2.0,
        "buckets": [
            {"from": 1000, "counts": False, "value": 1.0},
            {"from": 61_000, "counts": True, "value": 2.0},
        ],
    }
    assert store.show("b") is None


@pytest.mark.parametrize("n", [1, 90, 91, 1_000, 20_000, 200_000])
def test_distinct_is_exact_and_then_an_estimate(n):
    """Exact to 90; beyond, within five standard errors for these values, whatever form the parts have."""
    parts = [hyperloglog.Distinct() for _ in range(3)]
    for value in range(n):
        parts[value % 3].add(f"v{value}")
    again = [hyperloglog.Distinct.of(part.data()) for part in parts]
    assert all(len(part.data()) <= 1000 for part in parts)
    got = hyperloglog.distinct(hyperloglog.united(again[:2]), again[2])
    assert got == hyperloglog.distinct(hyperloglog.united(parts[1:]), parts[0])
    assert got == n if n <= 270 else abs(got / n - 1) < 5 * hyperloglog.ERROR


def test_equal_values_are_one():
    """1 and 1.0 are equal in CEL, "1" and true are not."""
    part = hyperloglog.Distinct()
    for value in (1, 1.0, "1", True, 1.5, [1], [1]):
        part.add(value)
    assert hyperloglog.distinct(None, part) == 5


@given(st.lists(st.floats(-1e12, 1e12), min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_one_percent(values, q):
    """The sketch names the value of that rank within its relative error, whatever the signs."""
    one, other = ddsketch.DDSketch(), ddsketch.DDSketch()
    for n, value in enumerate(values):
        (one, other)[n % 2].add(value)
    got = ddsketch.quantile(ddsketch.merged([ddsketch.DDSketch.of(one.data())]), other, q)
    wanted = sorted(values)[int(q * (len(values) - 1))]
    assert got == pytest.approx(wanted, rel=0.01 + 1e-9, abs=1e-300)


def test_a_sketch_is_bounded():
    """However wide its values are, a sketch has few bytes; its upper half stays right."""
    sketch = ddsketch.DDSketch()
    values = [1.03**n for n in range(2000)]
    for value in values:
        sketch.add(value)
    assert len(sketch.data()) <= ddsketch.MOST_BYTES
    assert ddsketch.quantile({}, sketch, 0.99) == pytest.approx(values[int(0.99 * 1999)], rel=0.01)


def test_a_future_look_leaves_events_their_window():
    """An event that only sees, an hour ahead, neither slows nor hoards what is counted before that."""
    store = WindowStore(Window.of(1000, [Aggregate("sum", 0)], 1, where=True), Memory())
    see = store.see()
    see(0, 1, "a", True, 1.0)
    assert see(3_600_000, 1, "a", False, 1.0) == 0.0
    found = [see(when, 1, "a", True, 1.0) for when in range(10, 20_000, 10)]
    assert found[-1] == 100.0
    assert len(store.functions.numbers(store.live["a"])) <= store.window.kept
    assert see(3_600_000, 1, "a", False, 1.0) == 0.0


@pytest.mark.parametrize("exact", [False, True])
def test_the_largest_numbers_spoil_no_window(exact):
    """Near the end of a double, a quantile is still told, and a deviation that is beyond it is absent."""
    window = Window.of(
        OVER, [Aggregate(kind, 0, kind) for kind in ("max", "std", "quantile")], 1, exact=exact
    )
    see = store_of(window, Memory()).see()
    largest = 1.7976931348623157e308
    assert see(0, 1, "a", largest) == {"max": largest, "quantile": pytest.approx(largest, rel=0.01)}
    assert "std" not in see(1, 1, "a", -largest)


def test_values_without_a_json_form_are_different_ones():
    """Infinities and NaN are values of their own; what `event.?x` gives is as what it holds."""
    part = hyperloglog.Distinct()
    for value in (inf, -inf, nan, nan, Optional(True, "a"), "a"):
        part.add(value)
    assert hyperloglog.distinct(None, part) == 4


@pytest.mark.parametrize("name", ["sliding", "exact"])
def test_an_optional_is_what_it_holds(name):
    """An aggregate of `event.?x` leaves out what is absent, as one of `event.x` does."""
    plain, optional = Real(WINDOWS[name]), Real(WINDOWS[name])
    for when, value in enumerate([3, None, "text", MISSING, 2.5]):
        held = Optional(False) if value is MISSING else Optional(True, value)
        assert plain.see(when, "a", True, value) == optional.see(when, "a", True, held)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    "given",
    [
        {"sum": 40.0, "mean": 10.0},
        {"sum": 40.0, "mean": 10.0, "count": 4},
        {"min": 1.0, "max": 7.0, "since_last": 30.0},
        {"distinct": 3, "count": 5, "rate": 5 / 60},
        {"std": 2.0},
    ],
)
def test_a_seeded_window_shows_what_was_given(exact, given):
    """Aggregates over one value are set together."""
    store = store_of(Window.of(OVER, [Aggregate(kind, 0, kind) for kind in KINDS], 1, exact=exact), Memory())
    seed(store, "a", given, 1_000_000)
    shown = store.show("a", 1_000_000)["value"]
    assert {name: shown[name] for name in given} == pytest.approx(given)


@pytest.mark.parametrize(
    ("exact", "given"),
    [
        (True, {"sum": 40.0, "max": 7.0}),
        (True, {"count": 90_000}),
        (True, {"since_last": 61.0}),
        (False, {"sum": 100.0, "mean": -2.5}),
        (False, {"rate": 1e308}),
        (False, {"rate": -1}),
        (False, {"count": 1e300}),
        (False, {"distinct": 1e300}),
        (False, {"std": 1e200}),
    ],
)
def test_what_no_window_can_show_is_refused(exact, given):
    """A test that sets what cannot be is told so, rather than decided by other numbers."""
    store = store_of(Window.of(OVER, [Aggregate(kind, 0, kind) for kind in KINDS], 1, exact=exact), Memory())
    with pytest.raises(Misfit):
        seed(store, "a", given, 1_000_000)
