"""The payments example without a broker; `make example NAME=payments` plays it with one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from examples.payments import run

FOLDER = Path(run.__file__).parent
SCENARIO = {
    "user_id": "U8723",
    "device": "iOS",
    "location": "Singapore",
    "amount": 1020,
    "event_type": "transaction",
}


def pointsman(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in the example's folder."""
    command = [sys.executable, "-m", "pointsman.cli.main", *arguments]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def decisions() -> list[dict]:
    """The decision records of all events, from the file."""
    done = pointsman("run", "pipeline.yaml", "--events", "events.jsonl")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_from_a_file_it_decides_as_over_kafka(decisions: list[dict]) -> None:
    """The golden records, taken over Kafka, are what a run from the file gives, but for the source."""
    golden = [json.loads(line) for line in (FOLDER / "golden.jsonl").read_text("utf-8").splitlines()]
    found = [json.loads(run.decision(record)) for record in decisions]
    for record in (*golden, *found):
        record.pop("source", None)
    wanted = sorted(json.dumps(record, sort_keys=True) for record in golden if "dead_letter" not in record)
    assert sorted(json.dumps(record, sort_keys=True) for record in found) == wanted


@pytest.mark.parametrize(
    ("changes", "route", "model"),
    [
        ({}, "singapore-large", "fraud-model-v2"),
        ({"amount": 1000}, "ios", "ios-optimized-model"),
        ({"location": "Oslo"}, "ios", "ios-optimized-model"),
        ({"location": "Oslo", "device": "Web"}, "otherwise", "baseline"),
    ],
)
def test_the_scenario(changes: dict, route: str, model: str, tmp_path: Path) -> None:
    """Large payments from Singapore go to the fraud model, other iOS events to theirs, the rest elsewhere."""
    path = tmp_path / "event.jsonl"
    path.write_text(json.dumps({**SCENARIO, **changes}) + "\n")
    done = pointsman("run", "pipeline.yaml", "--events", str(path))
    (record,) = map(json.loads, done.stdout.splitlines())
    assert (record["decision"]["route"], record["result"]["model"]) == (route, model)
    assert record["result"]["status"] == "ok"


def test_every_model_and_arm_answers_an_event(decisions: list[dict]) -> None:
    """The sample is varied: each route is taken, and both arms of the A/B test."""
    taken = {(record["decision"]["route"], record["decision"]["model"]) for record in decisions}
    assert taken == {
        ("singapore-large", "fraud-model-v2"),
        ("ios", "ios-optimized-model"),
        ("withdrawals", "baseline"),
        ("withdrawals", "fraud-model-v2"),
        ("otherwise", "baseline"),
    }


@pytest.mark.parametrize("name", ["payments", "flights", "telecom"])
def test_the_examples_pass_their_own_checks(name: str) -> None:
    """`pointsman check` finds nothing in an example and `pointsman test` passes its cases."""
    for command in ("check", "test"):
        done = pointsman(command, f"../{name}/pipeline.yaml")
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_be_used_ends_in_dead_letters() -> None:
    """The truncated record, and the one whose amount is null where a model needs it, are dead letters."""
    done = pointsman("run", "pipeline.yaml", "--events", "events.jsonl")
    letters = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert sorted(letter["reason"] for letter in letters) == ["model_failed", "undecodable"]
