"""While too much waits in the log, one model answers whatever was picked."""

from __future__ import annotations

import json

import pytest

from engine.conftest import batch_of
from pointsman.engine.build import build
from pointsman.engine.decide import decide
from pointsman.engine.policy import Policy
from pointsman.spec import load

TEXT = """
version: 1
pipeline: p
source: {topics: [in], id: id, fields: {id: string, n: int}}
limits: {max_lag: {events: 10, then: cheap}}
models:
  dear: {python: "m:f", inputs: {n: n}, fallback: [cheap]}
  cheap: {python: "m:f", inputs: {twice: n * 2}}
routes:
  - {name: timed, when: n > 20, use: dear, deadline: 300ms}
  - {name: shared, when: n > 10, use: {split: {dear: 50%, cheap: 50%}}}
  - {name: own, when: n > 5, use: cheap}
  - {name: rest, use: dear, fallback: [{constant: 0}]}
"""


@pytest.fixture
def policy(tmp_path) -> Policy:
    """The document above."""
    (tmp_path / "m.py").write_text("def f(rows):\n    return rows\n")
    (tmp_path / "pipeline.yaml").write_text(TEXT)
    return build(load(tmp_path / "pipeline.yaml"))


def decided(policy: Policy, numbers: list[int], *, overload: bool):
    """Decision, row, deadline and who is left to ask, by n."""
    out = decide(batch_of([{"id": f"e{n}", "n": n} for n in numbers]), {}, policy, overload=overload)
    found = {}
    for call in out.calls:
        for place, index in enumerate(call.indices):
            decision = json.loads(call.heads[place] + b"0}")["decision"]
            rest = len(call.kept[place].lane.rest) if call.kept else 0
            found[numbers[index]] = (decision, call.model, call.rows[place], call.deadline, rest)
    return found


def test_the_named_model_answers_with_certainty(policy: Policy) -> None:
    """Route and strategy stay, the model is the named one, propensity 1; no candidates are told."""
    found = decided(policy, [1, 15, 25], overload=True)
    for n, route in ((1, "rest"), (15, "shared"), (25, "timed")):
        decision, model, row, _, _ = found[n]
        assert (model, row) == ("cheap", (n * 2,))
        assert decision == {
            "route": route,
            "strategy": "split" if n == 15 else "fixed",
            "model": "cheap",
            "propensity": 1.0,
            "reason": "overload",
            "policy": policy.version,
        }


def test_deadlines_and_fallbacks_of_the_route_hold(policy: Policy) -> None:
    """An event has the time its route gives it, and the constant its route names."""
    found = decided(policy, [1, 25], overload=True)
    assert [found[n][3] for n in (1, 25)] == [None, 0.3]
    assert [found[n][4] for n in (1, 25)] == [1, 0]


def test_what_would_have_gone_there_anyway_keeps_its_reason(policy: Policy) -> None:
    """A route that always uses the model is not overloaded."""
    assert decided(policy, [7], overload=True)[7][0]["reason"] == "rule"


def test_without_overload_nothing_differs(policy: Policy) -> None:
    """The policy decides as one that has no max_lag; the generated function has no trace of it."""
    found = decided(policy, [1, 25], overload=False)
    assert [found[n][1] for n in (1, 25)] == ["dear", "dear"]
    assert "instead" not in policy.source
