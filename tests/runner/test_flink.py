"""What of `--on flink` needs neither Java nor a broker: frames over a pipe, the folder, the plan."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.base.errors import EnvironmentFault
from pointsman.runner.flink_home import Known, home_of
from pointsman.runner.flink_plan import Place, plan_of, shown, told
from pointsman.runner.flink_ship import variables, write_document
from pointsman.runner.flink_worker import Pipe, from_json, to_json
from pointsman.runner.metrics import Metrics
from pointsman.runner.settings import Settings
from pointsman.spec import load
from pointsman.spec.document import Document

LOGIN = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "ada",
    "sasl.password": "hunter2",
}


def document(folder: Path, **more: Any) -> Document:
    """A small one in a file of its own."""
    (folder / "models.py").write_text("def fast(rows):\n    return rows\n")
    content = {
        "version": 1,
        "pipeline": "payments",
        "kafka": {"bootstrap.servers": "${SOME_KAFKA:-localhost:9092}", **more.pop("kafka", {})},
        "source": {"topics": ["events"], "key": "k", "fields": {"k": "string", "n": "int"}},
        "models": {"fast": {"python": "models:fast", "inputs": {"n": "n"}}},
        "routes": [{"name": "all", "use": "fast"}],
        **more,
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(content))
    return load(path)


def plan(found: Document, **place: Any) -> dict[str, Any]:
    """The plan of a run with four partitions."""
    given = {"master": "local", "parallelism": 2, "python": "python", "document": str(found.path), **place}
    return plan_of(found, Settings(found.path, role="engine", instance="one"), 4, Place(**given))


def test_frames_have_their_length_in_front() -> None:
    """What one end sends the other receives; a frame that is cut off is the end."""
    line = io.BytesIO()
    Pipe(io.BytesIO(), line).send(b"M", b"{}")
    Pipe(io.BytesIO(), line).send(b"R" * 300)
    there = Pipe(io.BytesIO(line.getvalue()[:-1]), io.BytesIO())
    assert there.receive() == b"M{}"
    assert there.receive() is None


def test_what_was_counted_passes_as_json() -> None:
    """Labels and histograms come through."""
    metrics = Metrics()
    metrics.count("pointsman_route_events_total", 3, "all")
    metrics.observe("pointsman_model_call_seconds", 0.1, "fast")
    assert from_json(json.loads(to_json(metrics.snapshot()))) == metrics.snapshot()


def test_the_newest_whole_one_is_resumed(tmp_path: Path) -> None:
    """Savepoint or checkpoint, whichever is newer; one without its metadata was never whole."""
    home = home_of(tmp_path, "payments", "one", "cluster")
    with home.held():
        assert home.newest() is None
        saved = home.savepoints / "savepoint-1"
        kept = home.checkpoints / "job" / "chk-9"
        for folder in (saved, kept, home.checkpoints / "job" / "chk-10"):
            folder.mkdir(parents=True)
        for second, folder in enumerate((saved, kept)):
            (folder / "_metadata").touch()
            os.utime(folder / "_metadata", (second, second))
        assert home.newest() == kept
        home.forget_checkpoints()
        assert home.newest() == saved


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one is told; another instance has a folder of its own."""
    home = home_of(tmp_path, "payments", "one", "cluster")
    with home.held():
        with (
            pytest.raises(EnvironmentFault, match="another run has"),
            home_of(tmp_path, "payments", "one", "cluster").held(),
        ):
            pass
        with home_of(tmp_path, "payments", "two", "cluster").held():
            pass


def test_a_start_knows_of_the_last_one(tmp_path: Path) -> None:
    """How many partitions there were, and how often the beginning was set anew."""
    home = home_of(tmp_path, "payments", "one", "cluster")
    assert home.known() is None
    with home.held():
        home.remember(Known(4, 2))
    assert home.known() == Known(4, 2)


def test_a_login_is_java_s_and_is_not_shown(tmp_path: Path) -> None:
    """Its class is the one in the connector's jar; a plan that people read has no secret."""
    found = plan(document(tmp_path, kafka=LOGIN))
    for side in ("source", "sink"):
        said = found[side]["properties"]["sasl.jaas.config"]
        assert said.startswith("org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.")
        assert 'username="ada"' in said
    assert "hunter2" not in json.dumps(shown(found)) + told(shown(found))


def test_a_plan_says_what_is_to_run(tmp_path: Path) -> None:
    """Topics, delivery, state, and where to begin."""
    seen = {"q": {"quality": {"duplicates": {"key": "k", "within": "1h"}}}}
    found = plan(document(tmp_path, enrich=seen), restore="file:/x/savepoint-1", begun=1)
    assert found["source"]["topics"] == ["events"]
    assert found["source"]["uid"] == "source-1"
    assert found["sink"]["delivery"] == "exactly_once"
    assert found["sink"]["topics"] == ["payments.decisions", "payments.dead-letters"]
    assert len(found["stores"]) == 1
    assert found["flink"]["execution.state-recovery.path"] == "file:/x/savepoint-1"
    assert found["flink"]["execution.state-recovery.ignore-unclaimed-state"] == "true"
    assert "savepoint-1" in told(found)


def test_groups_of_keys_are_never_fewer_than_partitions(tmp_path: Path) -> None:
    """A partition is one key, so more partitions than groups could not be spread evenly."""
    found = document(tmp_path)
    settings = Settings(found.path, role="engine")
    place = Place("local", 1, "python", str(found.path))
    assert [plan_of(found, settings, n, place)["groups"] for n in (1, 128, 129, 1000)] == [
        128,
        128,
        256,
        1024,
    ]


def test_the_document_s_folder_is_shipped_without_what_it_does_not_need(tmp_path: Path) -> None:
    """Hidden things, caches, environments and the state stay here; overlays from elsewhere come along."""
    folder, elsewhere = tmp_path / "pipeline", tmp_path / "elsewhere.yaml"
    folder.mkdir()
    found = document(folder)
    for name in (".git", "__pycache__", "env", "state", "data"):
        (folder / name).mkdir()
        (folder / name / "file").touch()
    (folder / "env" / "pyvenv.cfg").touch()
    for overlay in (folder / "prod.yaml", elsewhere):
        overlay.touch()
    name, overlays = write_document(
        found, [folder / "prod.yaml", elsewhere], tmp_path / "ship", folder / "state"
    )
    assert (name, overlays) == ("pipeline.yaml", ["prod.yaml", "overlay-1-elsewhere.yaml"])
    here = {path.name for path in (tmp_path / "ship").iterdir()}
    assert here == {"data", "models.py", "pipeline.yaml", "prod.yaml", "overlay-1-elsewhere.yaml"}


def test_variables_that_a_document_mentions_are_found(tmp_path: Path) -> None:
    """They go with a job that runs elsewhere."""
    found = document(tmp_path, write={"decisions": "out"})
    assert variables(found) == ["SOME_KAFKA"]
