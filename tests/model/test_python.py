"""Models that are Python functions."""

from __future__ import annotations

import datetime
import enum
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pointsman.base.errors import InvalidReply, Misfit, ModelError, ModelInternal, ModelTimeout
from pointsman.cel.values import TRUE_KEY, Duration, Mistyped, Timestamp, Uint
from pointsman.model.python import PythonModel, checked


def opened(folder: Path, code: str, inputs: Any = None) -> PythonModel:
    (folder / "hook.py").write_text(code)
    keys = SimpleNamespace(inputs=inputs, version=None, timeout=5.0)
    return PythonModel.open("m", PythonModel.Config(python="hook:predict"), keys, folder)


def event(**fields: Any) -> dict[str, Any]:
    """An enriched event, as the engine hands it over."""
    return {"id": "1", "time": 0, "key": "U1", "event": fields, "metadata": {}}


def test_inputs_are_dicts_by_name(tmp_path: Path) -> None:
    """A row of values becomes a dict in the order of the document's inputs."""
    model = opened(tmp_path, "def predict(rows): return rows", {"amount": None, "device": None})
    assert model.predict([(1.0, "iOS"), (2.0, None)]) == [
        {"amount": 1.0, "device": "iOS"},
        {"amount": 2.0, "device": None},
    ]


def test_without_inputs_the_function_gets_the_enriched_event(tmp_path: Path) -> None:
    """Rows are handed over as they are."""
    model = opened(tmp_path, "def predict(rows): return [row['event']['amount'] for row in rows]")
    assert model.predict([event(amount=7)]) == [7]


def test_values_of_expressions_become_plain_python() -> None:
    """Timestamps are datetimes, durations timedeltas, a mistyped field is what was sent."""
    at = datetime.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    moment, span = Timestamp(1_735_787_045_678_901_234), Duration(-1_500_000_000)
    minus = datetime.timedelta(seconds=-1.5)
    seen: list[Any] = []

    def predict(rows: list[Any]) -> list[Any]:
        seen.extend(rows)
        return [None] * len(rows)

    PythonModel(predict, ["at", "n", "deep"], 1.0).predict([(moment, Uint(7), [{TRUE_KEY: span}])])
    row = event(at=moment, amount=Mistyped("x", "amount", "double"))
    row["metadata"] = {"ends": {"at": moment}, "left": span}
    PythonModel(predict, None, 1.0).predict([row])
    assert seen[0] == {"at": at, "n": 7, "deep": [{True: minus}]}
    assert type(seen[0]["n"]) is int
    assert seen[1]["event"] == {"at": at, "amount": "x"}
    assert seen[1]["metadata"] == {"ends": {"at": at}, "left": minus}


def test_one_call_gets_the_whole_batch(tmp_path: Path) -> None:
    """The function is called once with all rows."""
    model = opened(tmp_path, "def predict(rows): return [len(rows)] * len(rows)")
    assert model.predict([event() for _ in range(3)]) == [3, 3, 3]


def test_a_coroutine_function_is_awaited(tmp_path: Path) -> None:
    """`async def` runs in an event loop of the model's thread, the same for each call."""
    code = (
        "import asyncio\nasync def predict(rows):\n    return [id(asyncio.get_running_loop()) for _ in rows]"
    )
    model = opened(tmp_path, code)
    first, second = model.predict([event()]), model.predict([event()])
    model.close()
    assert first == second


def test_an_awaited_call_is_cancelled_at_its_timeout(tmp_path: Path) -> None:
    """What only waits does not keep its thread."""
    code = "import asyncio\nasync def predict(rows):\n    await asyncio.Event().wait()"
    model = opened(tmp_path, code)
    model._timeout = 0.01
    with pytest.raises(ModelTimeout, match=r"no answer within 0\.01 s"):
        model.predict([event()])
    model.close()


def test_a_class_that_awaits(tmp_path: Path) -> None:
    """An async method `predict` is awaited too, and `close` is called once at the end."""
    code = """
class predict:
    version = 3
    closed = 0
    async def predict(self, rows): return [1] * len(rows)
    def close(self): type(self).closed += 1
"""
    model = opened(tmp_path, code)
    assert (model.predict([event(), event()]), model.version) == ([1, 1], "3")
    model.close()
    assert model._hook.__self__.closed == 1  # type: ignore[attr-defined]  # a bound method


def test_the_document_names_the_version_before_the_function_does(tmp_path: Path) -> None:
    """`version` of the document wins."""
    code = "def predict(rows): return rows\npredict.version = '7'"
    (tmp_path / "hook.py").write_text(code)
    config = PythonModel.Config(python="hook:predict")
    keys = SimpleNamespace(inputs=None, version="2", timeout=1.0)
    assert PythonModel.open("m", config, keys, tmp_path).version == "2"
    keys.version = None
    assert PythonModel.open("m", config, keys, tmp_path).version == "7"


def test_a_function_that_is_not_there_is_a_misfit(tmp_path: Path) -> None:
    """It becomes a finding at the model's place."""
    with pytest.raises(Misfit) as caught:
        opened(tmp_path, "def predictt(rows): return rows")
    assert caught.value.hint == "did you mean 'predictt'?"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (0.5, 0.5),
        ("é", "é"),
        (None, None),
        ((1, 2), [1, 2]),
        ({"a": [1, {"b": (True,)}]}, {"a": [1, {"b": [True]}]}),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(3.5), 3.5),
        ({"scores": np.array([0.25, 0.75], dtype=np.float32)}, {"scores": [0.25, 0.75]}),
        (Level.HIGH, 3),
        (2**64 - 1, 2**64 - 1),
        (math.inf, math.inf),
    ],
    ids=repr,
)
def test_replies_become_json_like(reply: Any, value: Any) -> None:
    """Plain Python and numpy are taken; tuples and arrays are lists."""
    (found,) = checked([reply], 1)
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_stays_a_number() -> None:
    """A model may say NaN; the record shows null."""
    (found,) = checked([float("nan")], 1)
    assert math.isnan(found)


def loop() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"a": {1, 2}}, "reply.a is a set, which JSON cannot hold"),
        (b"x", "reply is a bytes, which JSON cannot hold"),
        ([object()], "reply[0] is a object, which JSON cannot hold"),
        ({1: "a"}, "reply has a key that is not a string but int"),
        (2**64, "reply is an integer beyond 64 bits"),
        (1j, "reply is a complex, which JSON cannot hold"),
        ({"a": "\ud800"}, "reply.a holds half of a surrogate pair"),
        ({"\udc00": 1}, "reply holds half of a surrogate pair"),
        (loop(), "reply is nested too deep"),
        (np.array([1j]), "reply[0] is a complex, which JSON cannot hold"),
    ],
)
def test_what_json_cannot_hold_fails_its_own_row(reply: Any, said: str) -> None:
    """The other rows of the call are answered."""
    good, bad = checked([1, reply], 2)
    assert good == 1
    assert isinstance(bad, InvalidReply)
    assert str(bad) == said


def test_an_exception_in_place_of_a_reply_fails_its_own_row() -> None:
    """A function may give up one event of a batch."""
    good, bad, ours = checked([1, ValueError("no such user"), ModelTimeout("late")], 3)
    assert good == 1
    assert isinstance(bad, ModelInternal)
    assert str(bad) == "ValueError: no such user"
    assert isinstance(ours, ModelTimeout)


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([1], "it returned 1 replies for 2 events"),
        ([], "it returned 0 replies for 2 events"),
        (None, "it returned None, not a list of 2"),
        ({"a": 1, "b": 2}, "it returned a dict, not a list of 2"),
        ("ab", "it returned a str, not a list of 2"),
        (0.5, "it returned a float, not a list of 2"),
        ((x for x in (1, 2)), "it returned a generator, not a list of 2"),
        (np.float64(1.0), "it returned a float, not a list of 2"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_function_that_does_not_return_a_list_of_the_same_length(replies: Any, said: str) -> None:
    """No reply can be told from another, so every row fails."""
    with pytest.raises(ModelError) as caught:
        checked(replies, 2)
    assert isinstance(caught.value, InvalidReply)
    assert str(caught.value) == said


def test_a_numpy_array_of_replies_is_a_list() -> None:
    """What scikit-learn's predict returns needs no conversion."""
    assert checked(np.array([0.25, 0.75]), 2) == [0.25, 0.75]
    assert checked(np.array([[1, 2], [3, 4]]), 2) == [[1, 2], [3, 4]]
