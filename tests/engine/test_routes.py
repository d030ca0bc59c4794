"""Which route an event takes."""

from __future__ import annotations

import json

import pytest

THREE = """
routes:
  - {name: first, when: 'x == "1" && n > 10', use: a}
  - {name: second, when: 'n > 5', use: b}
  - {name: rest, use: c}
"""


@pytest.mark.parametrize(
    ("event", "route"),
    [
        ({"x": "1", "n": 11}, "first"),
        ({"x": "2", "n": 11}, "second"),
        ({"x": "1", "n": 6.5}, "second"),
        ({"x": "1", "n": 5}, "rest"),
    ],
)
def test_the_first_true_condition_wins(case, event, route):
    """Routes are tried in order; the first whose condition is true takes the event."""
    assert case(THREE).route(event) == route


def test_a_condition_that_errs_is_passed_over_counted_and_named(case):
    """`on_error: next` goes on to the next route; the record names what erred and how."""
    made = case(THREE)
    decided = made.decide({"x": "1"})

    record = made.record({"x": "1"})
    assert record["decision"]["route"] == "rest"
    assert [e["at"] for e in record["decision"]["errors"]] == ["routes.first", "routes.second"]
    assert record["decision"]["errors_total"] == 2
    assert "n" in record["decision"]["errors"][0]["error"]
    assert decided.errors == {"routes.first": 1, "routes.second": 1}


def test_a_route_counts_the_events_of_all_its_models(case):
    """However a strategy spreads them."""
    split = "routes:\n  - {name: ab, use: {split: {a: 50%, b: 30%, c: 20%}, unit: event.u}}\n"
    decided = case(split).decide(*({"u": f"u{n}"} for n in range(100)))

    assert len(decided.chosen) == 3
    assert decided.routes == {"ab": 100}


def test_false_and_an_error_is_false(case):
    """CEL absorbs: a conjunct that is false makes the whole false, whatever the other one does."""
    record = case(THREE).record({"x": "2"})

    assert [e["at"] for e in record["decision"]["errors"]] == ["routes.second"]


def test_only_the_first_five_errors_are_named_but_all_are_counted(case):
    """A record never grows with the number of routes that err."""
    routes = "".join(f"  - {{name: r{n}, when: missing == {n}, use: a}}\n" for n in range(7))
    record = case(f"routes:\n{routes}  - {{name: rest, use: b}}\n").record({})

    assert len(record["decision"]["errors"]) == 5
    assert record["decision"]["errors_total"] == 7


def test_on_error_match_takes_the_event(case):
    """A route whose condition errs may take the event, with that as its reason."""
    decision = case(
        """
routes:
  - {name: careful, when: x > 1, on_error: match, use: a}
  - {name: rest, use: b}
"""
    ).record({})["decision"]

    assert (decision["route"], decision["reason"], decision["model"]) == ("careful", "on_error", "a")


def test_on_error_dead_letter_gives_the_event_up(case):
    """A route whose condition errs may make the event a dead letter that says why."""
    letter = case(
        """
routes:
  - {name: strict, when: x > 1, on_error: dead_letter, use: a}
  - {name: rest, use: b}
"""
    ).letter({"y": 1})

    assert letter.reason == "rule_error"
    assert "strict" in letter.message
    assert letter.record.value == b'{"y": 1}'


@pytest.mark.parametrize("unmatched", ["dead_letter", "skip"])
def test_an_event_no_route_takes(case, unmatched):
    """`unmatched` says whether it is a dead letter or is skipped, and either is counted."""
    decided = case(f"routes: [{{name: r, when: 'x == 1', use: a}}]\nunmatched: {unmatched}\n").decide(
        {"x": 2}
    )

    assert decided.values == [None]
    assert [letter.reason for _, letter in decided.dead] == (
        ["unmatched"] if unmatched == "dead_letter" else []
    )
    assert decided.skipped == (unmatched == "skip")


def test_a_condition_that_is_not_a_boolean_errs(case):
    """A number is neither true nor false."""
    record = case("routes: [{name: r, when: event.x, use: a}, {name: rest, use: b}]").record({"x": 1})

    assert record["decision"]["route"] == "rest"
    assert record["decision"]["errors"][0]["at"] == "routes.r"


def test_a_python_condition_is_handed_the_enriched_event(case):
    """A hook takes a list of enriched events and returns as many booleans."""
    seen = []

    def big(events):
        seen.extend(events)
        return [e["event"]["n"] > 5 and e["metadata"]["double"] == 14 for e in events]

    made = case(
        """
enrich: {double: event.n * 2}
routes: [{name: big, when: {python: "m:f"}, use: a}, {name: rest, use: b}]
""",
        {"m:f": big},
    )

    assert made.route({"n": 7}) == "big"
    assert made.route({"n": 8}) == "rest"
    assert seen[0]["event"] == {"n": 7}
    assert set(seen[0]) == {"id", "time", "key", "event", "metadata"}


def many(count):
    """Routes enough for the index, each on a place and an amount."""
    lines = [f"  - {{name: r{n}, when: 'place == \"p{n % 40}\" && n > {n}', use: a}}" for n in range(count)]
    lines.insert(30, "  - {name: open, when: n > 1000, use: b}")
    return "routes:\n" + "\n".join(lines) + "\n  - {name: rest, use: c}\n"


@pytest.mark.parametrize(
    "event",
    [
        {"place": "p3", "n": 50},
        {"place": "p3", "n": 3},
        {"place": "p31", "n": 2000},
        {"place": "p9", "n": 2000},
        {"place": "nowhere", "n": 5},
        {"place": 7, "n": 5000},
        {"n": 2000},
        {"n": 5},
        {"place": None},
        {},
    ],
)
def test_the_index_changes_nothing_but_the_speed(case, event, monkeypatch):
    """With or without the index an event takes the same route, with the same errors."""
    indexed = case(many(120)).record(event)
    monkeypatch.setattr("pointsman.engine.routing.CHAIN", 1000)
    chained = case(many(120)).record(event)

    assert indexed == chained


ODD_ROUTES = """
routes:
  - {name: hook, when: {python: "m:f"}, use: a}
  - {name: listed, when: 'place in ["p1", "p1"] && n > 5', use: b}
  - name: careful
    when: 'place == "p2" && n > 5'
    on_error: match
    use: {split: {a: 50%, b: 50%}, unit: user}
  - {name: strict, when: 'place == "p3" && n > 5', on_error: dead_letter, use: a}
  - {name: sticks, when: 'place == "p4"', use: {split: {a: 50%, b: 50%}, unit: string(1 / n)}}
  - {name: rest, use: c}
"""


@pytest.mark.parametrize("place", ["p1", "p2", "p3", "p4", "p5", None])
@pytest.mark.parametrize("n", [0, 9, "nine", None])
def test_routes_of_every_kind_go_through_the_index_as_without(case, place, n, monkeypatch):
    """Hooks that raise are called once, units that err are named and `on_error` holds, index or not."""
    calls = []

    def hook(events):
        calls.append(len(events))
        raise ValueError("no")

    def outcome():
        calls.clear()
        made = case(ODD_ROUTES, {"m:f": hook})
        decided = made.decide({"place": place, "n": n})
        letters = [letter.message for _, letter in decided.dead]
        return decided.values, letters, decided.errors, list(calls)

    chained = outcome()
    monkeypatch.setattr("pointsman.engine.routing.CHAIN", 1)

    assert outcome() == chained
    assert calls == [1]


def test_a_lookup_without_its_key_takes_the_default_and_is_counted(case):
    """An event without the key gets the declared default; it is no error, but it is counted."""
    made = case(
        """
tables: {customers: {file: customers.csv, key: user}}
enrich: {segment: {lookup: customers, key: user, take: segment, default: new}}
routes: [{name: r, use: a}]
""",
        customers_csv="user,segment\nU1,gold\n",
    )
    rows = {"customers": {"U1": {"user": "U1", "segment": "gold"}}}
    decided = made.decide({"user": "U1"}, {"user": "U2"}, {}, tables=rows)

    assert [json.loads(value)["metadata"]["segment"] for value in decided.values] == ["gold", "new", "new"]
    assert decided.defaulted == {"enrich.segment": 1}
    assert not decided.errors
