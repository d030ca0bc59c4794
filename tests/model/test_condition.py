"""Conditions that are Python functions."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from pointsman.base.errors import EvalError, Misfit
from pointsman.cel.values import Mistyped, Timestamp
from pointsman.model.condition import load_condition


def event(**fields: Any) -> dict[str, Any]:
    return {"id": "1", "time": 0, "key": "U1", "event": fields, "metadata": {"at": Timestamp(0)}}


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_condition_sees_plain_python_and_may_be_awaited(tmp_path: Path, kind: str) -> None:
    """It gets enriched events and gives a boolean for each."""
    test = "r['event']['amount'] == '7' and r['metadata']['at'].year < 2000"
    code = f"{kind} large(rows): return [{test} for r in rows]"
    (tmp_path / "rules.py").write_text(code)
    large = load_condition("rules:large", tmp_path)
    rows = [event(amount=Mistyped("7", "amount", "double")), event(amount=1.0)]
    assert large(rows) == [True, False]
    assert rows[0]["metadata"]["at"] == datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("raised", "told"),
    [("ValueError('no such user')", "ValueError: no such user"), ("SystemExit(3)", "SystemExit: 3")],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_it_raises_is_an_error_of_the_condition(
    tmp_path: Path, kind: str, raised: str, told: str
) -> None:
    """The engine says what becomes of the event; a hook that calls `sys.exit` does not end the pipeline."""
    (tmp_path / "rules.py").write_text(f"{kind} large(rows):\n    raise {raised}")
    with pytest.raises(EvalError) as caught:
        load_condition("rules:large", tmp_path)([event()])
    assert str(caught.value) == f"{told} (rules.py:2)"


@pytest.mark.parametrize("answer", ["numpy.array([True])", "[numpy.bool_(True)]"])
def test_it_may_answer_with_numpy(tmp_path: Path, answer: str) -> None:
    """An array of booleans is as good as a list, as it is from a model."""
    (tmp_path / "rules.py").write_text(f"import numpy\ndef large(rows): return {answer}")
    (found,) = load_condition("rules:large", tmp_path)([event()])
    assert found is True


def test_a_condition_that_is_not_there_is_a_misfit(tmp_path: Path) -> None:
    """It becomes a finding at the route's `when`."""
    (tmp_path / "rules.py").write_text("def large(rows): ...")
    with pytest.raises(Misfit, match="has no 'larg'"):
        load_condition("rules:larg", tmp_path)
