"""What the commands say of events that go on by another key."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from kafka import Kafka, unique
from pointsman.cli.main import app

DOCUMENT = """
version: 1
pipeline: {name}
kafka: {{bootstrap.servers: "{servers}"}}
source: {{topics: [{name}-in], key: user}}
enrich:
  by_device: {{window: {{key: device, over: 1h, count: true, repartition: true}}}}
  by_city: {{window: {{key: city, over: 1h, count: true, repartition: true}}}}
models: {{a: {{python: "m:a", inputs: {{n: metadata.by_city}}}}}}
routes: [{{name: all, use: a}}]
"""


def written(folder: Path, servers: str = "localhost:1", name: str = "p") -> str:
    (folder / "m.py").write_text("def a(rows):\n    return rows\n")
    path = folder / "pipeline.yaml"
    path.write_text(DOCUMENT.format(name=name, servers=servers))
    return str(path)


def test_check_says_how_often(tmp_path: Path) -> None:
    """`check` names the topics that are on the way."""
    path = written(tmp_path)
    found = CliRunner().invoke(app, ["check", path])
    assert found.exit_code == 0, found.output
    assert "events go on by another key 2 times, through p.by.by_device and p.by.by_city" in found.output
    told = json.loads(CliRunner().invoke(app, ["check", path, "--json"]).output)
    assert told["hops"] == ["p.by.by_device", "p.by.by_city"]


def test_rights_are_told(tmp_path: Path) -> None:
    """`topics --acls` has the rights of a run on the topics on the way."""
    found = CliRunner().invoke(app, ["topics", written(tmp_path), "--acls", "--json"])
    rights = [r for r in json.loads(found.output) if r["name"] == "p.by.by_city"]
    assert {(r["role"], *r["operations"]) for r in rights} == {
        ("run", "Read", "Write", "Describe", "DescribeConfigs"),
        ("run --role route", "Read", "Write", "Describe", "DescribeConfigs"),
        ("topics --create", "Create"),
    }


def test_topics_are_created_and_shown(tmp_path: Path, broker: Kafka) -> None:
    """`topics --create` makes them as `run` would: a week is kept, by the time at which they were written."""
    name = unique("hops")
    arguments = ["topics", written(tmp_path, broker.bootstrap, name), "--json"]
    CliRunner().invoke(app, [*arguments, "--create", "--partitions", "3"])
    rows = {row["topic"]: row for row in json.loads(CliRunner().invoke(app, arguments).output)["topics"]}
    assert rows[f"{name}.by.by_device"]["partitions"] == 3
    assert rows[f"{name}.by.by_city"]["role"] == "events on the way to by_city"
