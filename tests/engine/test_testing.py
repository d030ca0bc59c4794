"""How a case's `want` is compared with what the engine did."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.engine.testing import ABSENT, Mismatch, differences, outcome

RECORD = {
    "id": "t-1",
    "metadata": {"risk_level": "medium"},
    "decision": {
        "route": "large",
        "model": "fraud",
        "reason": "rule",
        "errors": [{"where": "spend", "error": "no such key: x"}],
    },
    "result": {"status": "ok", "model": "fraud", "output": {"score": 0.8299999833106995, "ok": True}},
}


def _found(want: dict[str, Any]) -> list[Mismatch]:
    return list(differences(want, outcome(RECORD, None)))


@pytest.mark.parametrize(
    "want",
    [
        {"route": "large", "model": "fraud", "status": "ok", "reason": "rule"},
        {"metadata": {"risk_level": "medium"}},
        {"result": {"output": {"score": 0.83}}},
        {"decision": {"model": "fraud"}},
        {"errors": ["no such key"]},
        {"errors": [{"where": "spend"}]},
        {"dead_letter": None},
        {},
    ],
)
def test_a_part_is_enough(want: dict[str, Any]) -> None:
    """What the case names must agree; what it does not name may be anything."""
    assert _found(want) == []


@pytest.mark.parametrize(
    ("want", "mismatch"),
    [
        ({"route": "small"}, Mismatch("route", "small", "large")),
        ({"metadata": {"segment": "gold"}}, Mismatch("metadata.segment", "gold", ABSENT)),
        ({"result": {"output": {"score": 0.84}}}, Mismatch("result.output.score", 0.84, 0.8299999833106995)),
        ({"result": {"output": {"ok": 1}}}, Mismatch("result.output.ok", 1, True)),
        ({"dead_letter": "model_failed"}, Mismatch("dead_letter", "model_failed", None)),
        ({"status": {"a": 1}}, Mismatch("status", {"a": 1}, "ok")),
    ],
)
def test_a_difference_has_its_path(want: dict[str, Any], mismatch: Mismatch) -> None:
    """Each difference says where it is, what was wanted and what there was."""
    assert _found(want) == [mismatch]


def test_a_dead_letter_is_wanted_by_its_reason() -> None:
    """A word stands for the letter's reason; a map can ask for its message too."""
    got = outcome(None, {"reason": "unmatched", "message": "no route"})

    assert list(differences({"dead_letter": "unmatched", "route": None}, got)) == []
    assert list(differences({"dead_letter": {"message": "no route"}}, got)) == []
    assert list(differences({"dead_letter": "empty"}, got)) == [Mismatch("dead_letter", "empty", "unmatched")]


def test_an_error_that_did_not_happen_is_a_difference() -> None:
    """Each wanted error must be among those that the record names."""
    [mismatch] = _found({"errors": ["overflow"]})

    assert mismatch.path == "errors[0]"
