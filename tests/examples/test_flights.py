"""The flights example: what it replays, and what its models may know."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from examples.flights import data
from examples.flights.run import ranking, routes

FOLDER = Path(data.__file__).parent
AFTERWARDS = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """All flights."""
    return data.frame()


def test_all_flights_in_time_order_with_ids_of_their_own(rows: pd.DataFrame) -> None:
    """The replay holds each of the 336,776 flights once, in the order of scheduled departure."""
    assert len(rows) == 336_776
    assert rows["id"].is_unique
    assert rows["scheduled"].is_monotonic_increasing


def test_events_do_not_know_the_future(rows: pd.DataFrame) -> None:
    """An event holds nothing that happens after the scheduled departure, and no value that is not JSON."""
    for event in islice(data.events(rows), 0, 5000):
        assert json.loads(event).keys() & AFTERWARDS == set()
        assert b"NaN" not in event


def test_what_was_not_measured_is_absent(rows: pd.DataFrame) -> None:
    """A missing measurement leaves its field out, so that `event.?pressure` sees that it is missing."""
    unmeasured = rows[rows["pressure"].isna()].head(1)
    (event,) = data.events(unmeasured)
    assert "pressure" not in json.loads(event)


def test_pipeline_and_pandas_agree_on_a_sample(rows: pd.DataFrame, tmp_path: Path) -> None:
    """On flights of every month, carrier and airport, the pipeline's routes are those of pandas."""
    sample = rows[::97]
    path = tmp_path / "departures.jsonl"
    path.write_bytes(b"\n".join(data.events(sample)) + b"\n")
    command = [sys.executable, "-m", "pointsman.cli.main", "run", "pipeline.yaml", "--events", str(path)]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["result"]["status"] for record in records} == {"ok"}
    assert {record["id"]: record["decision"]["route"] for record in records} == routes(sample).to_dict()


def test_ranking_is_the_area_under_the_curve() -> None:
    """Hand-computed: of four pairs of a late and a punctual flight, three are ranked right, so 0.75."""
    rows = pd.DataFrame({"id": list("abcd"), "late": [True, True, False, False], "month": [7] * 4})
    assert ranking(rows, {"a": 0.9, "b": 0.4, "c": 0.6, "d": 0.1}) == 0.75
