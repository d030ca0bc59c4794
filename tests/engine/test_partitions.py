"""Events of several partitions in one batch: each partition has its own state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.engine.conftest import batch_of

from pointsman.base.errors import ModelInternal
from pointsman.engine.build import build
from pointsman.engine.decide import decide
from pointsman.spec import load
from pointsman.state.memory import Stores

PIPELINE = """
version: 1
pipeline: p
source: {topics: [in], key: event.user}
enrich:
  before: {window: {key: event.user, over: 1h, count: true}}
  asked: {python: "m:f"}
  after: {window: {key: event.user, over: 1h, count: true}}
models: {a: {python: "m:f", inputs: {}}}
routes: [{name: r, use: a}]
"""


def test_a_field_that_is_asked_for_does_not_mix_partitions(tmp_path: Path):
    """Windows behind a function count in the partition of the event, like those before it."""
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    policy = build(load(tmp_path / "pipeline.yaml"), functions={"asked": lambda rows: [1] * len(rows)})
    batch = replace(batch_of([{"user": "u"}] * 5), partitions=[0, 1, 0, 1, 0])
    decided = decide(batch, {}, policy, Stores(policy.stores))
    (call,) = decided.calls
    found = [json.loads(head + b"{}}")["metadata"] for head in call.heads]
    assert [(one["before"], one["after"]) for one in found] == [(1, 1), (1, 1), (2, 2), (2, 2), (3, 3)]
    assert {place: [name[:5] for name, _ in found] for place, found in decided.changes.items()} == {
        ("in", 0): ["befor", "after"],
        ("in", 1): ["befor", "after"],
    }


def test_what_a_function_raised_is_told_as_it_was(tmp_path: Path):
    """A failure of a function is not told as one of an expression."""
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    failed = {"asked": lambda rows: [ModelInternal("ValueError: no")] * len(rows)}
    policy = build(load(tmp_path / "pipeline.yaml"), functions=failed)
    (call,) = decide(batch_of([{"user": "u"}]), {}, policy, Stores(policy.stores)).calls
    (error,) = json.loads(call.heads[0] + b"{}}")["decision"]["errors"]
    assert error == {"at": "enrich.asked", "error": "ValueError: no"}
