"""Fields that remember and fields that are asked for in batches, with enrichers of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.engine.conftest import batch_of

from pointsman.base.errors import EvalError
from pointsman.cel.program import Scope, compile  # noqa: A004  CEL has no other word for it
from pointsman.cel.values import MISSING
from pointsman.engine.build import build
from pointsman.engine.decide import Decided, decide
from pointsman.engine.explain import explain
from pointsman.engine.policy import Policy
from pointsman.enrich.base import COUNTS
from pointsman.spec import load
from pointsman.spec.document import Enrich
from pointsman.state.base import joined
from pointsman.state.memory import Stores

DOCUMENT = """
version: 1
pipeline: p
source: {topics: [in], key: user, time: ts, max_ahead: 1h}
enrich: {first: amount, second: first, third: second}
models: {a: {python: "m:f", inputs: {}}}
routes: [{name: all, use: a}]
"""


class Tally:
    """A store that counts by key."""

    def __init__(self, backing: Any) -> None:
        self.backing = backing
        self.counts: dict[str, int] = {}
        self.changed: set[str] = set()

    def drain(self) -> list[Any]:
        changes = [(joined(key, 0), b"%d" % self.counts[key]) for key in sorted(self.changed)]
        self.changed.clear()
        self.backing.stage(changes)
        return changes

    def show(self, key: str, now_ms: int | None = None) -> Any:  # noqa: ARG002  the role's signature
        return self.counts.get(key) and {"value": self.counts[key]}


class Counting:
    """Counts events of a user; odd amounts have no value, negative ones err."""

    name: ClassVar[str] = "counting"
    result = "int"
    default: Any = MISSING
    definition = "counting"

    def __init__(self, inputs: Any, optional: Any) -> None:
        self.inputs, self.optional = inputs, optional

    @classmethod
    def from_config(cls, config: Any) -> Any:
        return cls(*config)

    store = staticmethod(Tally)

    def recall(self, store: Tally, tables: Any) -> Callable[..., Any]:  # noqa: ARG002  the role's signature
        def see(when: int, counts: int, user: str, amount: Any) -> Any:  # noqa: ARG001  the role's signature
            if amount is not MISSING and amount < 0:
                raise EvalError("negative")
            store.counts[user] = store.counts.get(user, 0) + (counts == COUNTS)
            store.changed.add(user)
            return MISSING if amount is not MISSING and amount % 2 else store.counts[user]

        return see


class Asking:
    """Asks a function about amounts."""

    name: ClassVar[str] = "asking"
    result = "dyn"
    default: Any = MISSING
    optional = ()

    def __init__(self, inputs: Any, whole: Any) -> None:
        self.inputs, self.whole = inputs, whole

    @classmethod
    def from_config(cls, config: Any) -> Any:
        return cls(*config)

    def asks(self, function: Any) -> Any:
        return function


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Policy]:
    """Makes a policy whose fields are these enrichers of the test, by (class, config texts)."""
    (tmp_path / "m.py").write_text("def f(rows):\n    return rows\n")
    (tmp_path / "pipeline.yaml").write_text(DOCUMENT)
    document = load(tmp_path / "pipeline.yaml")
    real = __import__("pointsman.engine.build", fromlist=["enrichers"]).enrichers

    class Registry:
        def get(self, name: str) -> Any:
            return {"counting": Counting, "asking": Asking}.get(name) or real.get(name)

    monkeypatch.setattr("pointsman.engine.build.enrichers", Registry())

    def make(functions: Any = None, **fields: Any) -> Policy:
        scope: Scope = document.scope
        enrich = []
        for name, given in fields.items():
            if isinstance(given, str):
                kind, config = "expr", replace(document.enrich[0].config, expr=compile(given, scope))
            else:
                kind, inputs, more = given
                config = (
                    tuple(compile(text, scope) for text in inputs),
                    more if isinstance(more, bool) else tuple(compile(text, scope) for text in more),
                )
            enrich.append(Enrich(name, kind, config))
        return build(replace(document, enrich=enrich), functions=functions)

    return make


def metadata(decided: Decided) -> list[dict[str, Any]]:
    """The metadata of each event, by what was handed to its model."""
    return [json.loads(head + b"0}")["metadata"] for call in decided.calls for head in call.heads]


EVENT = {"user": "U1", "amount": 2, "ts": 1_700_000_000_000}


def test_a_field_remembers_earlier_events_of_its_partition(policy):
    """Each partition has a store of its own; what changed is drained once the batch is decided."""
    made = policy(first=("counting", ["event.user"], ["event.amount"]))
    state = Stores(made.stores)
    batch = batch_of([EVENT, {**EVENT, "user": "U2"}, EVENT, EVENT])
    batch.partitions = [0, 0, 1, 0]
    decided = decide(batch, {}, made, state)
    assert metadata(decided) == [{"first": 1}, {"first": 1}, {"first": 1}, {"first": 2}]
    (spec,) = made.stores
    assert spec.field == "first"
    assert decided.changes == {
        ("in", 0): [(spec.name, [(b"U1\0\0\0", b"2"), (b"U2\0\0\0", b"1")])],
        ("in", 1): [(spec.name, [(b"U1\0\0\0", b"1")])],
    }
    assert metadata(decide(batch_of([EVENT]), {}, made, state)) == [{"first": 3}]


def test_what_is_absent_and_what_errs(policy):
    """A field may be absent without an error; an optional expression without value is handed on as missing;
    where an input has none, or the function raises, the field is absent and the error named."""
    made = policy(first=("counting", ["event.user + ''"], ["event.amount + 0"]))
    events = [{**EVENT, "amount": 1}, {**EVENT, "amount": "x"}, {**EVENT, "amount": -2}, {"amount": 2}]
    decided = decide(batch_of(events), {}, made, Stores(made.stores))
    assert metadata(decided) == [{}, {"first": 2}, {}, {}]
    assert decided.errors == {"enrich.first": 2}


def test_events_that_change_nothing(policy):
    """A redriven event, and one dated too far ahead of its record, see what is known and change nothing."""
    made = policy(first=("counting", ["event.user"], ["event.amount"]))
    ahead = {**EVENT, "ts": EVENT["ts"] + 3_600_001}
    headers = [None, [("pointsman-id", b"t-1")], None, [("other", b"x")]]
    batch = batch_of([EVENT, EVENT, ahead, EVENT], headers=headers)
    assert metadata(decide(batch, {}, made, Stores(made.stores))) == [
        {"first": 1},
        {"first": 1},
        {"first": 1},
        {"first": 2},
    ]


def test_the_store_is_named_by_its_definition(policy):
    """The same field and definition have the same store; fields that differ by case have two."""
    one = policy(first=("counting", ["event.user"], ["event.amount"])).stores[0].name
    assert one.startswith("first-")
    assert len(one) == len("first-") + 8
    assert policy(first=("counting", ["event.user"], [])).stores[0].name == one
    assert policy(First=("counting", ["event.user"], [])).stores[0].name != one


def test_a_batched_field_is_asked_once(policy):
    """All rows of a batch go together; fields before, behind and of stores go on as if it were one loop."""
    asked = []

    def double(rows):
        asked.append(rows)
        return [row[0] * 2 for row in rows]

    made = policy(
        {"second": double},
        first=("counting", ["event.user"], ["event.amount"]),
        second=("asking", ["event.amount + metadata.first"], False),
        third="metadata.second + metadata.first",
    )
    events = [EVENT, {"user": "U1"}, b"{", EVENT]
    decided = decide(batch_of(events), {}, made, Stores(made.stores))
    assert metadata(decided) == [
        {"first": 1, "second": 6, "third": 7},
        {"first": 2},
        {"first": 3, "second": 10, "third": 13},
    ]
    assert asked == [[(3,), (5,)]]
    assert decided.errors == {"enrich.second": 1, "enrich.third": 1}
    assert [letter.reason for _, letter in decided.dead] == ["undecodable"]


def test_batched_fields_follow_one_another_and_fail_alone(policy):
    """An exception in place of a value stands for its row; a raised one, and a wrong length, for all."""

    def picky(rows):
        return [
            ValueError("no") if row["metadata"] == {} and row["event"]["amount"] == 3 else 1 for row in rows
        ]

    def broken(_):
        raise RuntimeError("down")

    made = policy(
        {"first": picky, "second": broken, "third": lambda _: []},
        first=("asking", [], True),
        second=("asking", ["event.amount"], False),
        third=("asking", ["event.amount"], False),
    )
    decided = decide(batch_of([EVENT, {**EVENT, "amount": 3}]), {}, made)
    assert metadata(decided) == [{"first": 1}, {}]
    assert decided.errors == {"enrich.first": 1, "enrich.second": 2, "enrich.third": 2}


def test_a_batch_of_nothing_asks_nobody(policy):
    """Where no event is left, the function is not called."""
    made = policy({"first": None}, first=("asking", ["event.amount"], False))
    assert [letter.reason for _, letter in decide(batch_of([b"{"]), {}, made).dead] == ["undecodable"]


def test_explain_counts_an_event_once(policy):
    """What explain tells is what the event saw, and the event has been counted once."""
    made = policy(
        {"second": lambda rows: [row[0] for row in rows]},
        first=("counting", ["event.user"], ["event.amount"]),
        second=("asking", ["event.amount"], False),
        third="metadata.first > 1",
    )
    state = Stores(made.stores)
    told = [
        explain(made, batch_of([EVENT]), {}, lambda call: ([1] * len(call.ready()), 0.0), {}, state)
        for _ in range(2)
    ]
    assert [[one.get("value") for one in each.metadata] for each in told] == [[1, 2, False], [2, 2, True]]
    assert [one.state for one in told] == [
        [{"field": "first", "key": "U1", "value": count}] for count in (1, 2)
    ]
