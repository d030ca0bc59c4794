"""Data quality and scorecards: each indicator, the score, its reasons, and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pointsman.base.errors import SpecError
from pointsman.base.records import Batch
from pointsman.engine.build import build
from pointsman.engine.decide import decide
from pointsman.enrich.quality import Quality
from pointsman.spec import load
from pointsman.state.memory import Memory, Stores

HOUR = 3_600_000
NOW = 1_760_000_000_000
DOCUMENT = """version: 1
pipeline: p
source:
  topics: [in]
  id: id
  time: ts
  fields: {id: string, user: string, device: string, amount: double, ts: int}
enrich: {q: %s}
models: {m: {python: "m:f", inputs: {}}}
routes: [{name: all, use: m}]
"""

Told = Callable[..., list[Any]]


@pytest.fixture
def told(tmp_path: Path) -> Callable[[str], Told]:
    """The field's values for events, over as many batches as there are calls."""

    def make(enricher: str) -> Told:
        (tmp_path / "p.yaml").write_text(DOCUMENT % enricher)
        policy = build(load(tmp_path / "p.yaml"))
        stores = Stores(policy.stores)

        def tell(*events: Mapping[str, Any], headers: Any = None) -> list[Any]:
            raw = [json.dumps(event).encode() for event in events]
            n = len(raw)
            columns = ([None] * n, ["in"] * n, [0] * n, list(range(n)), [NOW] * n, [headers] * n)
            decided = decide(Batch(list(raw), *columns, NOW), {}, policy, stores)
            heads = [head for call in decided.calls for head in call.heads]
            assert not decided.dead
            return [json.loads(head + b"0}")["metadata"].get("q") for head in heads]

        return tell

    return make


def test_what_is_missing_out_of_range_or_of_another_type_lowers_the_score(told):
    """Each indicator is the share of what was judged that is well; the score is their product."""
    tell = told(
        "{quality: {required: [user, amount], ranges: {amount: [0, 1000]}, types: {amount: double},"
        " patterns: {user: '^U'}}}"
    )
    good, gone, wrong, text = tell(
        {"user": "U1", "amount": 5},
        {"user": "U1"},
        {"user": "X1", "amount": 1001},
        {"user": None, "amount": "5"},
    )
    assert good == {
        "score": 1.0, "completeness": 1.0, "ranges": 1.0, "patterns": 1.0, "types": 1.0, "reasons": []
    }  # fmt: skip
    assert gone == {
        "score": 0.5, "completeness": 0.5, "patterns": 1.0, "reasons": ["amount is missing"]
    }  # fmt: skip
    assert wrong["score"] == 0.0
    assert wrong["reasons"] == [
        "amount is 1001, outside of 0 to 1000", "user is 'X1', which does not match ^U"
    ]  # fmt: skip
    assert (text["completeness"], text["types"]) == (0.5, 0.0)
    assert "amount is a string, not a double" in text["reasons"]


def test_an_old_event_is_less_fresh(told):
    """Freshness is 1 up to the allowed age, by the record's time, and falls with the age beyond it."""
    tell = told("{quality: {max_age: 5m}}")
    young, old, ahead = tell({"ts": NOW - 300_000}, {"ts": NOW - 1_200_000}, {"ts": NOW + 60_000})
    assert young["freshness"] == ahead["freshness"] == 1.0
    assert old["freshness"] == 0.25
    assert old["reasons"] == ["the event is 1200 s old, 300 s are allowed"]


def test_a_repeat_is_a_duplicate_while_it_is_remembered(told):
    """Also across batches; and a redriven event neither counts nor is forgotten."""
    tell = told("{quality: {duplicates: {key: id, within: 1h}}}")
    first, again = tell({"id": "a", "ts": NOW - 2 * HOUR}, {"id": "a", "ts": NOW - 2 * HOUR + 1000})
    assert (first["duplicates"], again["duplicates"]) == (1.0, 0.0)
    assert again["reasons"] == ["'a' was seen 1 s before"]
    (later,) = tell({"id": "a", "ts": NOW})
    assert later["duplicates"] == 1.0
    (redriven,) = tell({"id": "b", "ts": NOW}, headers=[("pointsman-id", b"b")])
    (fresh,) = tell({"id": "b", "ts": NOW})
    assert redriven["duplicates"] == fresh["duplicates"] == 1.0


def test_categories_are_known_or_learned(told):
    """A value that is not listed, or that comes for the first time, was not seen before."""
    tell = told("{quality: {categories: {device: [iOS, web], user: learn}}}")
    new, seen, strange = tell(
        {"device": "iOS", "user": "U1"}, {"device": "web", "user": "U1"}, {"device": "tv", "user": "U1"}
    )
    assert (new["categories"], seen["categories"], strange["categories"]) == (0.5, 1.0, 0.5)
    assert strange["reasons"] == ["device is 'tv', which was not seen before"]


def test_so_many_values_are_learned_and_no_more(tmp_path, told, monkeypatch):
    """At the bound a new value is said not to be learned; one that was long not seen makes room."""
    monkeypatch.setattr("pointsman.enrich.quality._MOST_LEARNED", 3)
    tell = told("{quality: {categories: {user: learn, device: learn}}}")
    first = tell(*({"user": f"U{n}", "device": "tv"} for n in range(3)))
    assert [one["categories"] for one in first] == [0.0, 0.5, 0.5]
    full, known = tell({"user": "U3", "device": "web"}, {"user": "U2", "device": "web"})
    assert full["reasons"][:2] == [
        "user is 'U3', which was not seen before", "user: 3 values are known, and no more learned"
    ]  # fmt: skip
    assert known["categories"] == 1.0
    (again,) = tell({"user": "U3", "device": "web"})
    assert again["categories"] == 0.5

    (spec,) = build(load(tmp_path / "p.yaml")).stores
    store = spec.make(Memory())
    see = store_recall(tmp_path, store)
    for user, days in [("U0", 0), ("U1", 40), ("U2", 40)]:
        see(NOW + days * 24 * HOUR, 1, 0, user, "tv")
    assert store.show("") == {"values of user": 3, "values of device": 1}
    store.drain()
    for _ in range(2):  # the first begins a round
        store.sweep(NOW + 40 * 24 * HOUR, 100)
    store.drain()
    assert store.show("") == {"values of user": 2, "values of device": 1}
    see(NOW + 40 * 24 * HOUR, 1, 0, "U9", "tv")
    assert see(NOW + 40 * 24 * HOUR, 1, 0, "U9", "tv")["categories"] == 1.0


def store_recall(folder: Path, store: Any) -> Any:
    """The function of the field over a store."""
    config = load(folder / "p.yaml").enrich[0].config
    return Quality.from_config(config).recall(store, {})


def test_a_number_far_from_those_before_it_is_an_outlier(told):
    """By key: what is normal for one is an outlier for another; before ten numbers nothing is judged."""
    tell = told("{quality: {outliers: {amount: {by: user}}}}")
    ordinary = tell(*({"user": "U1", "amount": 10 + n % 3} for n in range(10)))
    assert all("outliers" not in one and one["score"] == 1.0 for one in ordinary)
    far, near, other = tell(
        {"user": "U1", "amount": 900}, {"user": "U1", "amount": 12}, {"user": "U2", "amount": 900}
    )
    assert (far["outliers"], near["outliers"]) == (0.0, 1.0)
    assert "outliers" not in other
    assert far["reasons"][0].startswith("amount is 900, ")


def test_what_was_learned_is_restored(tmp_path, told):
    """A store that begins from the changes of another goes on as that one would have."""
    told("{quality: {duplicates: {key: id, within: 1h}, outliers: {amount: {}}}}")
    (spec,) = build(load(tmp_path / "p.yaml")).stores
    one = Memory()
    store = spec.make(one)
    store.put("a", 0, NOW)
    store.put("", 1, [NOW, [1.0, 2.0]])
    other = Memory()
    other.load(store.drain())
    again = spec.make(other)
    assert (again.get("a", 0), again.get("", 1)) == (NOW, [NOW, [1.0, 2.0]])
    assert again.show("a") == {"last seen": NOW}
    again.sweep(NOW + 2 * HOUR, 10)  # begins a round
    again.sweep(NOW + 2 * HOUR, 10)
    assert again.drain() == [(b"a\0\0\0", None)]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("{ranges: {amount: [5, 1]}}", "[5, 1] is no range"),
        ("{patterns: {user: '['}}", "is no regular expression"),
        ("{types: {amont: double}}", "amont"),
    ],
)
def test_what_cannot_be_judged_is_told_with_its_place(told, keys, said):
    """The finding stands at the key."""
    with pytest.raises(SpecError) as caught:
        told("{quality: " + keys + "}")
    assert said in str(caught.value)


def test_a_scorecard_adds_points_and_names_a_level(told):
    """Conditions that err count as false; the reasons are the conditions that held."""
    tell = told(
        "{score: {points: [{when: amount > 1000.0, add: 30}, {when: 'device == \"web\"', add: 15}],"
        " bands: {medium: 15, high: 40}}}"
    )
    high, medium, none = tell({"amount": 2000, "device": "web"}, {"device": "web"}, {"amount": 1})
    assert high == {"score": 45, "level": "high", "reasons": ["amount > 1000.0", 'device == "web"']}
    assert medium == {"score": 15, "level": "medium", "reasons": ['device == "web"']}
    assert none == {"score": 0, "reasons": []}


def test_an_optional_is_judged_as_what_it_holds(told):
    """`event.?x` that holds nothing is missing, and has no type or range to be judged."""
    judged = told("""{quality: {
      required: [event.?x], types: {event.?x: int}, ranges: {event.?x: [0, 5]}, categories: {event.?x: learn}
    }}""")
    absent, there = judged({"id": "a"}, {"id": "b", "x": 3})
    assert absent == {"score": 0.0, "completeness": 0.0, "reasons": ["event.?x is missing"]}
    assert [there[name] for name in ("completeness", "types", "ranges", "categories")] == [1.0, 1.0, 1.0, 0.0]


def test_a_category_that_moves_begins_anew(tmp_path):
    """What was learned of one category is not taken for another's when one is put before it."""

    def name(categories: str) -> str:
        (tmp_path / "p.yaml").write_text(DOCUMENT % f"{{quality: {{categories: {{{categories}}}}}}}")
        (spec,) = build(load(tmp_path / "p.yaml")).stores
        return spec.name

    assert name("device: learn, user: learn") != name("id: [a], device: learn, user: learn")
    assert name("device: learn") == name("device: learn, id: [a]")
