"""`source.dedupe`: a repeat is decided, counts nowhere, and no model is called for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.base.records import Batch
from pointsman.engine.build import build
from pointsman.engine.decide import Decided, decide
from pointsman.engine.policy import Policy
from pointsman.spec import load
from pointsman.state.memory import Stores

HOUR = 3_600_000
NOW = 1_760_000_000_000
DOCUMENT = """version: 1
pipeline: p
source:
  topics: [in]
  id: id
  time: ts
  fields: {id: string, card: string, ts: int}
  dedupe: {key: id, within: 1h}
models: {m: {python: "m:f", inputs: {}}}
write: {redact: {card: mask}}
routes: [{name: all, use: m}]
"""


@pytest.fixture
def document(tmp_path: Path) -> Any:
    """The document, checked."""
    (tmp_path / "p.yaml").write_text(DOCUMENT)
    return load(tmp_path / "p.yaml")


def tell(policy: Policy, stores: Stores, *events: dict[str, Any], headers: Any = None) -> Decided:
    """What becomes of a batch."""
    raw: list[bytes | None] = [json.dumps(event).encode() for event in events]
    n = len(raw)
    columns: Any = ([None] * n, ["in"] * n, [0] * n, list(range(n)), [NOW] * n, [headers] * n)
    return decide(Batch(raw, *columns, NOW), {}, policy, stores)


def test_a_repeat_within_the_time_is_decided_without_a_call(document):
    """Its record names route and model, says `duplicate`, and hides what is to be hidden."""
    policy = build(document)
    stores = Stores(policy.stores)
    first = tell(policy, stores, {"id": "a", "ts": NOW}, {"id": "b", "ts": NOW})
    assert [call.indices for call in first.calls] == [[0, 1]]
    again = tell(policy, stores, {"id": "a", "ts": NOW + 1, "card": "4111"}, {"id": "c", "ts": NOW})
    assert [call.indices for call in again.calls] == [[1]]
    record = json.loads(again.values[0] or b"")
    assert record["result"] == {"status": "duplicate", "model": "m"}
    assert record["decision"]["route"] == "all"
    assert record["event"]["card"] == "***"
    assert again.statuses == {("m", "duplicate"): 1}


def test_a_repeat_after_the_time_is_none(document):
    """Nor is one whose key has no value; a redriven event is never a repeat of its first attempt."""
    policy = build(document)
    stores = Stores(policy.stores)
    tell(policy, stores, {"id": "a", "ts": NOW})
    later = tell(policy, stores, {"id": "a", "ts": NOW + HOUR}, {"ts": NOW}, {"ts": NOW})
    assert [call.indices for call in later.calls] == [[0, 1, 2]]
    redriven = tell(policy, stores, {"id": "a", "ts": NOW + HOUR}, headers=[("pointsman-id", b"a")])
    assert [call.indices for call in redriven.calls] == [[0]]


def test_a_router_decides_repeats_itself(document):
    """They are no requests, and what is to be hidden in decisions is."""
    policy = build(document, away=document.models)
    stores = Stores(policy.stores)
    tell(policy, stores, {"id": "a", "ts": NOW})
    again = tell(
        policy, stores, {"id": "a", "ts": NOW, "card": "4111"}, {"id": "b", "ts": NOW, "card": "4111"}
    )
    assert [call.indices for call in again.calls] == [[1]]
    assert b"4111" in again.calls[0].heads[0]
    assert b"4111" not in (again.values[0] or b"")
