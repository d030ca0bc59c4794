"""`pointsman bench`: its stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Pointsman
from kafka import Kafka


def test_every_stage_is_measured(pointsman: Pointsman, mine: Path) -> None:
    """Events per second of each stage, for as many events as asked."""
    told = json.loads(pointsman("bench", "-n", "5000", "--json", cwd=mine).out)

    assert (told["events"], told["different"]) == (5000, 7)
    assert list(told["stages"]) == ["decode, enrich, route", "models", "encode", "all"]
    assert all(stage["events_per_cpu_second"] > 0 for stage in told["stages"].values())


def test_writing_is_measured_and_leaves_nothing(
    pointsman: Pointsman, broker: Kafka, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--produce writes to a topic of its own, which is gone afterwards."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", broker.bootstrap)

    done = pointsman("bench", "-n", "5000", "--produce", "--json", cwd=mine)

    assert "produce" in json.loads(done.out)["stages"]
    from confluent_kafka.admin import AdminClient

    topics = AdminClient({**broker.client_config}).list_topics(timeout=10).topics
    assert not [name for name in topics if ".bench-" in name]


def test_without_events(pointsman: Pointsman, mine: Path) -> None:
    """Where there are no events to use, the message names the file."""
    (mine / "events.jsonl").unlink()
    done = pointsman("bench", cwd=mine)

    assert done.code == 2
    assert "events.jsonl does not exist" in done.err
