"""`pointsman broker` and `pointsman topics` on a broker of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from kafka import Kafka, unique
from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local import cache_dir, service
from pointsman.cli import broker as command
from pointsman.cli.topics import topics

runner = CliRunner()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder with Kafka in it and no broker; what is left running is stopped."""
    kafka = cache_dir() / "kafka"
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kafka").symlink_to(kafka)
    monkeypatch.setenv("POINTSMAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(service, "is_free", lambda _: False)  # tests do not take 9092
    yield tmp_path / "cache"
    service.stop()


def call(*arguments: str) -> dict[str, object]:
    """Runs a command with --json and returns what it wrote."""
    result = runner.invoke(command.app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.mark.usefixtures("broker")  # so that Kafka is in the cache
def test_the_broker_outlives_its_command(cache: Path) -> None:
    """start leaves a broker that status finds, a second start repeats, and stop ends; topics stay."""
    assert call("status") == {
        "running": False,
        "directory": str(cache / "broker"),
        "log": str(cache / "broker" / "server.log"),
    }
    assert call("stop")["stopped"] is False
    started = call("start")
    assert started["running"] is True
    kafka = Kafka({"bootstrap.servers": str(started["bootstrap"])})
    kafka.create_topic("kept")
    assert call("start") == started == call("status")
    assert "bootstrap" in runner.invoke(command.app, ["status"]).stdout
    with pytest.raises(EnvironmentFault, match="not on port 7"):
        service.start(port=7)
    assert call("stop") == {"stopped": True, "erased": False}
    assert call("status")["running"] is False
    again = call("start")
    assert again["bootstrap"] == started["bootstrap"]
    assert kafka.consume_all("kept") == []
    os.kill(int(str(again["pid"])), 9)
    assert call("stop", "--erase")["erased"] is True
    assert not (cache / "broker").exists()


def test_topics_are_created_and_shown(broker: Kafka, tmp_path: Path) -> None:
    """Missing topics are named as such; --create makes them; a topic of other settings is pointed out."""
    app, pipeline, source = Typer(), unique("pay"), unique("tx")
    app.command()(topics)
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        f"""version: 1
pipeline: {pipeline}
kafka: {{bootstrap.servers: "{broker.bootstrap}"}}
source: {{topics: [{source}]}}
models: {{baseline: {{python: "baseline:predict"}}}}
routes: [{{name: all, use: baseline}}]
"""
    )
    split = tmp_path / "split.yaml"
    split.write_text("""
models: {far: {kafka: ask, reply: answers, inputs: {n: n}, fallback: [baseline]}}
routes: [{name: far, when: n > 1, use: far}, {name: all, use: baseline}]
""")
    (tmp_path / "baseline.py").write_text("def predict(rows):\n    return [{} for _ in rows]\n")
    names = [source, f"{pipeline}.decisions", f"{pipeline}.dead-letters"]

    def table(*arguments: str) -> str:
        return runner.invoke(app, [str(file), *arguments], catch_exceptions=False).stdout

    assert table().count("missing") == 4
    broker.create_topic(names[2])
    found = json.loads(table("--create", "--partitions", "3", "--json"))
    assert found["created"] == names[:2]
    broker.produce(source, ["a", "b"])
    rows = json.loads(table("--json"))["topics"]
    assert [(row["topic"], row["partitions"], row["records"], row["lag"]) for row in rows] == [
        (names[0], 3, 2, 2),
        (names[1], 3, 0, None),
        (names[2], 1, 0, None),
    ]
    assert rows[1]["differs"] == []
    assert "message.timestamp.type is CreateTime, not LogAppendTime" in rows[2]["differs"]
    rights = table("--acls", "--principal", "User:me")
    assert all(f"--topic {name} " in rights for name in names)
    assert f"kafka-acls.sh --add --allow-principal User:me --group {pipeline} --operation Read" in rights
    far = f"{pipeline}.requests.far"
    assert json.loads(table("--overlay", str(split), "--create", "--json"))["created"] == []
    found = json.loads(table("--overlay", str(split), "--create", "--split", "--json"))
    assert found["created"] == [far, f"{pipeline}.requests.baseline"]
    rows = {row["topic"]: row for row in found["topics"]}
    assert (rows[far]["role"], rows[far]["partitions"]) == ("requests of far (split)", 3)
    rows = {row["topic"] for row in json.loads(table("--json"))["topics"]}
    assert f"{pipeline}.requests.baseline" in rows, "what exists is shown"
    rights = table("--overlay", str(split), "--acls")
    assert f"--group {pipeline}.dispatch.far " in rights
    assert all(f"--topic {name} " in rights for name in (far, "ask", "answers"))
