"""The telecom example without a broker; `make example NAME=telecom` plays it with one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from examples.telecom.probes import state
from examples.telecom.run import model, problems, sessions

GOOD = {"session": "s1", "subscriber": "u1", "device": "iOS", "cell_id": "C1", "signal": -90.0, "mbps": 4.0}


@pytest.mark.parametrize(
    ("measured", "wanted"),
    [
        ([], "unknown"),
        ([(99.0, 40.0)], "good"),
        ([(99.0, 240.0)], "slow"),
        ([(69.0, 240.0)], "unknown"),
        ([(39.0, 240.0)] * 30 + [(99.0, 40.0)], "good"),
        ([(80.0, 40.0)] * 18 + [(99.0, 240.0)] * 2, "slow"),
    ],
)
def test_the_state_of_a_cell(measured: list[tuple[float, float]], wanted: str) -> None:
    """At 100 s: what the probes of the last minute say, and nothing where the last one is 30 s old."""
    assert state(measured, 100.0) == wanted


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "ios-model"),
        ({"device": "Android"}, "android-model"),
        ({"cell_id": "C4"}, "congested-model"),
        ({"cell_id": "C4", "device": "IoT"}, "iot-model"),
        ({"cell_id": "C4", "device": "?"}, "baseline"),
        ({"signal": 0.0}, "baseline"),
    ],
)
def test_the_model_of_a_session(changes: dict[str, Any], wanted: str) -> None:
    """Bad data goes before the device, a sensor before the cell, and the cell before the phone."""
    assert model({**GOOD, **changes}, {"C1": "good", "C4": "slow"}) == wanted


def test_sessions_are_varied() -> None:
    """Of 2,000 sessions some go to each model."""
    made = sessions(2000, 0, random.Random(8))
    assert {model(one, {"C4": "slow"}) for one in made} == {
        "baseline", "iot-model", "congested-model", "ios-model", "android-model",
    }  # fmt: skip


def test_what_went_elsewhere_is_found() -> None:
    """A session that saw another state, one that was decided twice and one that was not are each told."""
    record = {
        "id": "s1",
        "metadata": {"cell": "good"},
        "decision": {"model": "ios-model"},
        "result": {"status": "ok", "output": {"stall": 0.1}},
    }
    assert problems([record], {"s1": ("good", "ios-model")}) == []
    assert problems([record], {"s1": ("slow", "congested-model")}) == [
        "s1 saw good and ios-model, not slow and congested-model"
    ]
    assert problems([record, record], {"s1": ("good", "ios-model"), "s2": ("good", "ios-model")}) == [
        "s2 has no decision",
        "s1 has 2 decisions",
    ]
