"""What Kafka Streams is told of a document, and where it keeps its files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from pointsman.runner.kafka_streams import HOSTING
from pointsman.runner.settings import Settings
from pointsman.runner.start import Ground
from pointsman.runner.streams_config import config, folder_of
from pointsman.runner.writer import Target
from pointsman.spec import load
from pointsman.spec.document import Document

GROUND = Ground(4, Target("decisions", 900_000), Target("letters", 400_000))


def document(folder: Path, more: str = "") -> Document:
    """A pipeline with a slow model."""
    path = folder / "pipeline.yaml"
    path.write_text(
        "version: 1\npipeline: p\nsource: {topics: [t]}\n"
        "models: {m: {python: 'm:f', timeout: 3s}}\nroutes: [{name: all, use: m}]\n" + more
    )
    return load(path)


@pytest.mark.parametrize(
    ("delivery", "guarantee", "commit"),
    [("exactly_once", "exactly_once_v2", "100"), ("at_least_once", "at_least_once", "1000")],
)
def test_delivery_is_the_documents(tmp_path: Path, delivery: str, guarantee: str, commit: str) -> None:
    """The guarantee and how often it commits follow `delivery`."""
    found = config(document(tmp_path, f"delivery: {delivery}\n"), GROUND, Settings(tmp_path), 0, tmp_path)
    assert (found["processing.guarantee"], found["commit.interval.ms"]) == (guarantee, commit)


def test_the_documents_properties_win_but_for_what_guarantees_rest_on(tmp_path: Path) -> None:
    """`kafka:` may say how clients work, and not what the application is called or how it reads."""
    more = "kafka: {group.id: g, linger.ms: 7, group.instance.id: a, transaction.timeout.ms: 5000}\n"
    found = config(document(tmp_path, more), GROUND, Settings(tmp_path, instance="blue"), 2, tmp_path)
    wanted = {
        "application.id": "g",
        "client.id": "p-blue-2",
        "linger.ms": "7",
        "group.instance.id": "a-2",
        "transaction.timeout.ms": "5000",
        "isolation.level": "read_committed",
        "batch.size": "400000",
        "max.request.size": str(900_000 + 65_536),
    }
    assert {name: found[name] for name in wanted} == wanted


def test_a_transaction_lasts_as_long_as_slow_models_need(tmp_path: Path) -> None:
    """10 s, and for each partition twice the longest time-out."""
    found = config(document(tmp_path), GROUND, Settings(tmp_path), 0, tmp_path)
    assert found["transaction.timeout.ms"] == "34000"


def test_changelogs_are_those_of_the_application(tmp_path: Path) -> None:
    """Kafka Streams names them after the group and the store."""
    assert HOSTING.changelog(document(tmp_path, "kafka: {group.id: g}\n"), "spend-1") == "g-spend-1-changelog"


def test_folders_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder goes with its run; what a killed one left, the next one removes."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, alive = (
        tmp_path / f"pointsman-streams-{dead.pid}-a",
        tmp_path / f"pointsman-streams-{os.getppid()}-b",
    )
    for folder in (left, alive):
        folder.mkdir()
    with ExitStack() as stack:
        own = folder_of(document(tmp_path), Settings(tmp_path), 0, stack)
        assert own.is_dir()
        assert not left.exists()
    assert not own.exists()
    assert alive.exists()


def test_each_worker_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Below --state-dir, the same after every start."""
    settings = Settings(tmp_path, state_dir=tmp_path / "state")
    with ExitStack() as stack:
        assert (
            folder_of(document(tmp_path), settings, 3, stack) == tmp_path / "state" / "p" / "kafka-streams-3"
        )
