"""What holds across the hop from router to dispatcher: deadlines, fallbacks, overload, policy versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.conftest import batch_of
from pointsman.base.clock import SystemClock
from pointsman.base.records import Batch
from pointsman.engine.decide import Decided
from pointsman.runner.dispatcher import Dispatcher
from pointsman.runner.requests import version_of
from pointsman.runner.router import Router
from pointsman.spec import load
from pointsman.spec.document import Document

TEXT = """
version: 1
pipeline: p
source: {topics: [in], id: txn, fields: {txn: string, n: double}}
models:
  picked: {python: "m:raises", inputs: {n: n}}
  spare: {python: "m:answers", inputs: {twice: n * 2.0}}
  cheap: {python: "m:raises", inputs: {n: n}}
routes:
  - {name: all, use: picked, fallback: [spare, {constant: {score: 0.5}}], deadline: 300s}
limits: {max_lag: {events: 10, then: cheap}}
"""
MODELS = """
def answers(rows):
    return [{"twice": row["twice"]} for row in rows]

def raises(rows):
    raise RuntimeError("no")
"""


class Asked:
    """Keeps the requests of a router."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []

    def ask(self, model: str, keys: Sequence[Any], values: Sequence[bytes], *_: Any) -> Sequence[int]:
        del keys
        self.requests += [(model, value) for value in values]
        return ()


@pytest.fixture
def document(tmp_path: Path) -> Document:
    """The document above."""
    (tmp_path / "m.py").write_text(MODELS)
    (tmp_path / "pipeline.yaml").write_text(TEXT)
    return load(tmp_path / "pipeline.yaml")


def routed(document: Document, *, overload: bool = False) -> tuple[str, bytes, int]:
    """The one request of a router, its model, and when the event was polled."""
    asked = Asked()
    router = Router.onto(asked, document)
    router.overload = overload
    batch = batch_of([{"txn": "t", "n": 4}])
    router.decide(batch)
    router.close()
    ((model, value),) = asked.requests
    return model, value, batch.now_ms


def arrived(value: bytes, now_ms: int) -> Batch:
    """The request as a dispatcher polls it."""
    batch = batch_of([{}])
    return replace(batch, values=[value], now_ms=now_ms, polled=SystemClock().monotonic())


def answered(dispatcher: Dispatcher, decided: Decided) -> Any:
    """The decision that comes of a request, its models asked for real."""
    calls = list(decided.calls)
    while calls:
        call = calls.pop(0)
        for part, ticket in dispatcher.ask(decided, [call]):
            calls += dispatcher.finish(decided, part, ticket)
    (record,) = decided.values
    return json.loads(record or b"")


def test_the_time_on_the_way_counts(document: Document) -> None:
    """A dispatcher has what is left of the deadline since the router polled the event."""
    model, value, polled = routed(document)
    dispatcher = Dispatcher.of(model, document)
    (call,) = dispatcher.decide(arrived(value, polled + 120_000)).calls
    assert call.deadline == pytest.approx(180.0)
    late = dispatcher.decide(arrived(value, polled + 300_001))
    assert late.calls == []
    (record,) = late.values
    result = json.loads(record or b"")["result"]
    assert (result["status"], result["model"], result["output"]) == ("fallback", "constant", {"score": 0.5})
    dispatcher.close()


def test_the_fallback_has_its_own_inputs(document: Document) -> None:
    """The model that stands in is asked by the same dispatcher, with what the event gives for it."""
    model, value, polled = routed(document)
    assert (model, json.loads(value)["plan"]) == ("picked", ["picked", "spare"])
    dispatcher = Dispatcher.of(model, document)
    record = answered(dispatcher, dispatcher.decide(arrived(value, polled)))
    dispatcher.close()
    assert record["decision"]["model"] == "picked"
    assert (record["result"]["status"], record["result"]["output"]) == ("fallback", {"twice": 8.0})
    assert [one["model"] for one in record["result"]["attempts"]] == ["picked", "spare"]


def test_overload_is_the_routers(document: Document) -> None:
    """What goes to the cheap model because of the lag keeps reason, fallbacks and deadline of its route."""
    model, value, polled = routed(document, overload=True)
    assert model == "cheap"
    dispatcher = Dispatcher.of(model, document)
    decided = dispatcher.decide(arrived(value, polled + 100_000))
    assert decided.calls[0].deadline == pytest.approx(200.0)
    record = answered(dispatcher, decided)
    dispatcher.close()
    assert (record["decision"]["reason"], record["decision"]["model"]) == ("overload", "cheap")
    assert (record["decision"]["propensity"], record["result"]["model"]) == (1.0, "spare")


def test_a_request_names_the_version_that_must_answer_it(document: Document, tmp_path: Path) -> None:
    """Another fallback is another version; the decision says the one that the router had."""
    _, value, polled = routed(document)
    (tmp_path / "pipeline.yaml").write_text(TEXT.replace("[spare, ", "["))
    other = load(tmp_path / "pipeline.yaml")
    assert version_of(value) == document.policy != other.policy
    dispatcher = Dispatcher.of("picked", document)
    record = answered(dispatcher, dispatcher.decide(arrived(value, polled)))
    dispatcher.close()
    assert record["decision"]["policy"] == document.policy
