"""`pointsman demo`, from an empty folder to what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Pointsman
from pointsman.base.errors import EnvironmentFault
from pointsman.cli.demo import SCHEMA_LINE


def test_it_shows_where_every_event_went_and_leaves_a_folder(pointsman: Pointsman, tmp_path: Path) -> None:
    """With a broker of its own it decides every event of the example; what it leaves is in order."""
    done = pointsman("demo", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    told = json.loads(done.out)

    folder = tmp_path / "pointsman-demo"
    events = [line for line in (folder / "events.jsonl").read_bytes().splitlines() if line]
    decided = sum(way["events"] for way in told["decisions"])
    unanswered = sum(way["events"] for way in told["decisions"] if way["status"] == "failed")
    letters = {letter["reason"]: letter["events"] for letter in told["dead_letters"]}
    assert letters.pop("model_failed", 0) == unanswered
    assert decided + sum(letters.values()) == len(events)
    assert {way["model"] for way in told["decisions"]} >= {
        "fraud-model-v2",
        "ios-optimized-model",
        "baseline",
    }

    assert (folder / "pipeline.yaml").read_bytes().startswith(SCHEMA_LINE)
    assert pointsman("check", cwd=folder).code == 0
    assert pointsman("test", cwd=folder).code == 0


def test_what_was_edited_stays(pointsman: Pointsman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there already is used as it stands, and the others are put beside it."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "pipeline.yaml").write_text("edited")

    def fail(*_: object, **__: object) -> None:
        raise EnvironmentFault("no broker today")

    monkeypatch.setattr("pointsman.bus.local.LocalBroker.start", fail)
    done = pointsman("demo", "copy", cwd=tmp_path)

    assert (done.code, done.err) == (3, "pointsman: no broker today\n")
    assert "1 of these files was there already" in done.out
    assert (tmp_path / "copy" / "pipeline.yaml").read_text() == "edited"
    assert (tmp_path / "copy" / "models" / "ios.onnx").is_file()
