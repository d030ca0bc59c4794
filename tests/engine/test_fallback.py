"""Who answers when the chosen model does not, and what the record says of it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from engine.conftest import Case, batch_of
from pointsman.base.errors import ModelOverloaded, ModelTimeout
from pointsman.engine.build import build
from pointsman.engine.decide import decide
from pointsman.engine.finish import finish
from pointsman.engine.policy import Constant, Groups
from pointsman.model.base import DISPATCHED, Costed
from pointsman.spec import load

TEXT = """
version: 1
pipeline: p
source: {topics: [in], id: txn, fields: {txn: string, n: double}}
models:
  a: {python: "m:f", inputs: {n: n}, fallback: [b]}
  b: {python: "m:f", inputs: {twice: n * 2.0}, outputs: {score: "reply.score"}}
  c: {python: "m:f"}
routes:
  - {name: chain, when: n > 10.0, use: a, fallback: [b, c, {constant: {score: 0.5}}], deadline: 300ms}
  - {name: model, when: n > 5.0, use: a}
  - {name: own, use: c, fallback: []}
"""


@pytest.fixture
def fallback(tmp_path) -> Case:
    """The document above."""
    (tmp_path / "m.py").write_text("def f(rows):\n    return rows\n")
    (tmp_path / "pipeline.yaml").write_text(TEXT)
    return Case(build(load(tmp_path / "pipeline.yaml")))


def played(case: Case, event, answers, *, expired=False, attempts=()):
    """The record of one event whose models answer as `answers` says, and who was asked with what."""
    decided, asked = decide(batch_of([event]), {}, case.policy), []
    calls = list(decided.calls)
    while calls:
        call = calls.pop(0)
        asked.append((call.model, call.rows[0]))
        replies = [answers[call.model]] * len(call.ready())
        calls += finish(
            decided,
            call,
            replies,
            2.0,
            (lambda _: attempts) if call.first and attempts else None,
            expired=expired,
        )
    (value,) = decided.values
    return json.loads(value), asked, decided


def test_the_next_of_the_chain_answers(fallback):
    """Each is asked with its own inputs; the decision stays the choice, the result names who answered."""
    answers = {"a": ModelTimeout("late"), "b": {"score": 0.25}}
    record, asked, decided = played(fallback, {"txn": "t", "n": 12}, answers)

    assert asked == [("a", (12.0,)), ("b", (24.0,))]
    assert record["decision"]["model"] == "a"
    assert record["result"] == {
        "status": "fallback",
        "model": "b",
        "output": {"score": 0.25},
        "latency_ms": 2.0,
        "attempts": [
            {"model": "a", "status": "failed", "class": "timeout", "latency_ms": 2.0},
            {"model": "b", "status": "ok", "latency_ms": 2.0},
        ],
    }
    assert not decided.dead
    assert decided.statuses["b", "fallback"] == 1


def test_a_model_without_inputs_stands_in_with_the_enriched_event(fallback):
    """It gets what it would have got as the chosen model."""
    answers = {"a": ModelTimeout("late"), "b": ModelOverloaded("full"), "c": 1}
    record, asked, _ = played(fallback, {"txn": "t", "n": 12}, answers)

    assert asked[2][1]["event"] == {"txn": "t", "n": 12.0}
    assert asked[2][1]["id"] == "t"
    assert [a["class"] for a in record["result"]["attempts"][:2]] == ["timeout", "overloaded"]


def test_a_constant_ends_the_chain(fallback):
    """It always answers; all attempts are told."""
    down = dict.fromkeys("abc", ModelTimeout("late"))
    record, asked, decided = played(fallback, {"txn": "t", "n": 12}, down)

    assert len(asked) == 3
    assert record["result"]["status"] == "fallback"
    assert (record["result"]["model"], record["result"]["output"]) == ("constant", {"score": 0.5})
    assert len(record["result"]["attempts"]) == 3
    assert not decided.dead


def test_the_models_own_fallback_where_the_route_has_none(fallback):
    """`models.<m>.fallback` stands unless the route says otherwise."""
    record, asked, _ = played(fallback, {"n": 6}, {"a": ModelTimeout("late"), "b": {"score": 1}})

    assert [model for model, _ in asked] == ["a", "b"]
    assert record["result"]["model"] == "b"


def test_an_exhausted_chain_is_a_failed_decision_and_a_dead_letter(fallback):
    """Both have the event's id; the letter has all attempts."""
    down = dict.fromkeys("ab", ModelTimeout("late"))
    record, _, decided = played(fallback, {"txn": "t", "n": 6}, down)
    ((_, letter),) = decided.dead

    assert record["result"]["status"] == "failed"
    assert record["result"]["attempts"] == list(letter.attempts)
    assert len(letter.attempts) == 2
    assert (letter.id, letter.reason) == ("t", "model_failed")


def test_past_the_deadline_no_model_is_asked_but_a_constant_answers(fallback):
    """The deadline is for the whole event."""
    record, asked, _ = played(fallback, {"n": 12}, {"a": ModelTimeout("late")}, expired=True)

    assert [model for model, _ in asked] == ["a"]
    assert (record["result"]["status"], record["result"]["model"]) == ("fallback", "constant")


def test_past_the_deadline_without_a_constant_the_event_is_expired(fallback):
    """The record says expired and a dead letter keeps the event."""
    record, _, decided = played(fallback, {"n": 6}, {"a": ModelTimeout("late")}, expired=True)

    assert record["result"]["status"] == "expired"
    assert decided.dead[0][1].reason == "expired"


def test_a_retried_attempt_is_told(fallback):
    """Where the guard tried twice, the record has both attempts and is still ok."""
    attempts = [
        {"model": "a", "status": "failed", "class": "refused", "latency_ms": 1.0},
        {"model": "a", "status": "ok", "latency_ms": 2.0},
    ]
    record, _, _ = played(fallback, {"n": 12}, {"a": {"score": 1}}, attempts=attempts)

    assert record["result"]["status"] == "ok"
    assert record["result"]["attempts"] == attempts


def test_a_model_that_does_not_reply(fallback):
    """The event was handed over: dispatched, without output."""
    record, _, _ = played(fallback, {"n": 1}, {"c": DISPATCHED})

    assert record["result"] == {"status": "dispatched", "model": "c", "latency_ms": 2.0}


def test_what_a_reply_cost(fallback):
    """A protocol that knows the price says it in the result."""
    record, _, _ = played(fallback, {"n": 1}, {"c": Costed({"text": "yes"}, 0.002)})

    assert (record["result"]["output"], record["result"]["cost"]) == ({"text": "yes"}, 0.002)


def test_a_chain_names_nobody_twice(fallback):
    """A repeated model, the chosen one, and whatever follows a constant are dropped."""
    route = fallback.policy.routes[0]
    constant = Constant(b"1")
    route = dataclasses.replace(route, fallback=("b", "a", "b", constant, "c"))
    rest = Groups([route], fallback.policy.models).rest(route, "a")

    assert [stop if stop is constant else stop.name for stop in rest] == ["b", constant]


def test_an_error_does_not_hold_what_it_is_about(fallback):
    """In record and letter it is told, not raised anew: the frames of the call would hold it, and it them."""
    error = ModelTimeout("late")
    played(fallback, {"n": 6}, {"a": error, "b": error})

    assert error.__traceback__ is error.__context__ is None
