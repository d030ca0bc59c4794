"""The flights example: what it replays, and what its models may know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from examples.flights import data
from examples.flights.run import Record, fleets, problems, ranking

from kafka import Kafka, unique

FOLDER = Path(data.__file__).parent
AFTERWARDS = {"arr_time", "arr_delay", "air_time", "late"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """All flights."""
    return data.frame()


def test_all_flights_in_time_order_with_ids_of_their_own(rows: pd.DataFrame) -> None:
    """The replay holds each of the 336,776 flights once, in the order in which they left."""
    assert len(rows) == 336_776
    assert rows["id"].is_unique
    assert rows["departed"].is_monotonic_increasing


def test_events_do_not_know_the_future(rows: pd.DataFrame) -> None:
    """An event holds nothing that happens after the aircraft has left, and no value that is not JSON."""
    for event in islice(data.events(rows), 0, 5000):
        assert json.loads(event).keys() & AFTERWARDS == set()
        assert b"NaN" not in event


def test_what_was_not_measured_is_absent(rows: pd.DataFrame) -> None:
    """A missing measurement leaves its field out, so that `event.?pressure` sees that it is missing."""
    unmeasured = rows[rows["pressure"].isna()].head(1)
    (event,) = data.events(unmeasured)
    assert "pressure" not in json.loads(event)


def test_the_airport_is_what_left_in_the_two_hours_before() -> None:
    """Hand-computed: neither its own delay counts, nor cancelled flights, nor those of other airports."""
    hour = 3_600_000
    rows = pd.DataFrame(
        {
            "origin": ["JFK", "JFK", "LGA", "JFK", "JFK", "JFK"],
            "departed": [0, hour, hour, hour, 2 * hour, 2 * hour],
            "delay": pd.array([50, 10, 90, None, 40, 7], dtype="Int64"),
        }
    )
    found = data.airport(rows)
    assert found["departures"].tolist() == [0, 1, 0, 2, 1, 2]
    assert found["delay"].fillna(-1.0).tolist() == [-1.0, 50.0, -1.0, 30.0, 10.0, 25.0]


@pytest.fixture(scope="module")
def sample(rows: pd.DataFrame) -> pd.DataFrame:
    """Flights of every month, carrier and airport."""
    return rows[::97].reset_index(drop=True)


@pytest.fixture(scope="module")
def decided(sample: pd.DataFrame, broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """What the pipeline decides about the sample."""
    folder, topic = tmp_path_factory.mktemp("flights"), broker.create_topic(unique("carriers"))
    broker.produce(topic, [(code, json.dumps(row)) for code, row in data.airlines().items()])
    (folder / "departures.jsonl").write_bytes(b"\n".join(data.events(sample)) + b"\n")
    (folder / "here.yaml").write_text(f"tables: {{carriers: {{topic: {topic}}}}}\n", "utf-8")
    command = [sys.executable, "-m", "pointsman.cli.main", "run", "pipeline.yaml"]
    given = ["--events", str(folder / "departures.jsonl"), "--overlay", str(folder / "here.yaml")]
    environment = {**os.environ, "KAFKA_BOOTSTRAP": broker.bootstrap}
    done = subprocess.run([*command, *given], cwd=FOLDER, env=environment, capture_output=True, check=True)
    return [msgspec.json.decode(line, type=Record) for line in done.stdout.splitlines()]


def test_pipeline_and_pandas_agree_on_a_sample(sample: pd.DataFrame, decided: list[Record]) -> None:
    """Routes, windows, fleets and scores are those of pandas."""
    assert problems(sample, fleets(sample, data.airlines(), len(sample)), decided) == []


def test_what_differs_from_pandas_is_found(sample: pd.DataFrame, decided: list[Record]) -> None:
    """A flight that saw the table too late, a decision twice and one that is missing are each told."""
    fleet = fleets(sample, data.airlines(), len(sample) // 2)
    of_envoy = int((sample["carrier"].isin(["MQ", "9E"]) & (sample.index >= len(sample) // 2)).sum())
    assert f"fleet of {of_envoy:,} flights" in problems(sample, fleet, decided)
    assert problems(sample, fleet, [*decided, decided[0]]) == ["1 decisions are repeats"]
    assert problems(sample, fleet, decided[1:]) == ["1 flights were not decided"]


def test_ranking_is_the_area_under_the_curve() -> None:
    """Hand-computed: of four pairs of a late and a punctual flight, three are ranked right, so 0.75."""
    rows = pd.DataFrame({"id": list("abcd"), "late": [True, True, False, False], "month": [7] * 4})
    assert ranking(rows, {"a": 0.9, "b": 0.4, "c": 0.6, "d": 0.1}) == 0.75
