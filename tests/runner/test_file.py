"""`pointsman run --events`: from a file to standard output with no broker."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pointsman.base.errors import SpecError, UsageError
from pointsman.cli.main import app
from pointsman.runner.file import run_file
from pointsman.runner.host import Host
from pointsman.runner.metrics import numbers
from pointsman.spec import load

DOCUMENT = """
version: 1
pipeline: files
source: {topics: [in], key: k, id: id, fields: {id: string, k: string, n: int}}
tables: {names: {file: names.csv, key: id}}
enrich: {name: {lookup: names, key: k, take: name, default: nobody}}
models: {fast: {python: "models:fast"}, slow: {python: "models:slow"}}
routes:
  - {name: slow, when: n > 100, use: slow}
  - {name: even, when: {python: "models:even"}, use: fast}
unmatched: dead_letter
"""

MODELS = """
import time
def fast(rows): return [row["event"]["n"] for row in rows]
def slow(rows):
    time.sleep(0.05)
    return [row["event"]["n"] for row in rows]
def even(rows): return [row["event"]["n"] % 2 == 0 for row in rows]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a pipeline."""
    (tmp_path / "pipeline.yaml").write_text(DOCUMENT)
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "names.csv").write_text("id,name\na,Ada\n")
    return tmp_path


def decide(folder: Path, content: bytes, **options: Any) -> tuple[list[Any], list[Any], dict[str, int]]:
    """Decisions, dead letters and counts of a file's events."""
    events = folder / "events.jsonl"
    events.write_bytes(content)
    out, dead = io.BytesIO(), io.BytesIO()
    metrics = run_file(
        load(folder / "pipeline.yaml"), str(events), decisions=out, dead_letters=dead, **options
    )
    lines = [[json.loads(line) for line in stream.getvalue().splitlines()] for stream in (out, dead)]
    return lines[0], lines[1], numbers(metrics.snapshot())


def test_each_line_ends_as_a_decision_or_a_dead_letter(folder: Path) -> None:
    """The source is the document's topic and the line; blank lines are no events."""
    content = (
        b'{"id":"1","k":"a","n":2}\n\n  \r\n{"id":"2","k":"b","n":3}\r\nnot JSON\n{"id":"3","k":"b","n":4}'
    )
    decisions, letters, counts = decide(folder, content)
    assert [(d["id"], d["source"]["offset"]) for d in decisions] == [("1", 0), ("3", 5)]
    assert decisions[0]["source"] == {
        "topic": "in", "partition": 0, "offset": 0, "key": None
    }  # fmt: skip
    assert [d["metadata"]["name"] for d in decisions] == ["Ada", "nobody"]
    assert [(x["id"], x["reason"]) for x in letters] == [
        ("2", "unmatched"),
        ("in-0-4", "undecodable"),
    ]
    assert letters[1]["value"] == "not JSON"
    assert counts["events"] == 4


def test_a_slow_model_keeps_the_order_of_its_key(folder: Path) -> None:
    """Order per key is that of the file."""
    content = b"".join(
        b'{"id":"%d","k":"k%d","n":%d}\n' % (n, n % 3, 200 if n % 7 == 0 else 2) for n in range(100)
    )
    decisions, _, _ = decide(folder, content)
    assert sorted(int(d["id"]) for d in decisions) == list(range(100))
    for key in range(3):
        found = [int(d["id"]) for d in decisions if int(d["id"]) % 3 == key]
        assert found == sorted(found)


def test_max_events_ends_in_the_file(folder: Path) -> None:
    """The first N events are decided."""
    decisions, _, _ = decide(folder, b'{"id":"1","k":"a","n":2}\n' * 10, most=4)
    assert len(decisions) == 4


def test_the_command_reads_standard_input(folder: Path) -> None:
    """`-` is standard input; standard output has decisions, standard error dead letters and nothing else."""
    result = CliRunner().invoke(
        app, ["run", str(folder / "pipeline.yaml"), "--events", "-"], input='{"id":"1","k":"a","n":2}\n{}\n'
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout)["source"]["topic"] == "in"
    assert json.loads(result.stderr)["reason"] == "unmatched"


def test_options_of_topics_are_refused_with_a_file(folder: Path) -> None:
    """`--from` and the like have no meaning for a file."""
    result = CliRunner().invoke(
        app, ["run", str(folder / "pipeline.yaml"), "--events", "x.jsonl", "--from", "latest"]
    )
    assert isinstance(result.exception, UsageError)
    assert "--from is for a topic" in str(result.exception)


def test_a_missing_file_is_said(folder: Path) -> None:
    """Names the file and what may stand in its place."""
    with pytest.raises(UsageError, match="standard input"):
        run_file(load(folder / "pipeline.yaml"), str(folder / "nothing.jsonl"))


def test_a_host_gathers_what_does_not_fit(folder: Path) -> None:
    """Tables and Python conditions that cannot be loaded are findings at their place, all at once."""
    document = load(folder / "pipeline.yaml")
    (folder / "names.csv").unlink()
    (folder / "models.py").write_text("def fast(rows): return rows\ndef slow(rows): return rows\n")
    with pytest.raises(SpecError) as raised:
        Host.open(document)
    assert [(f.code, f.line) for f in raised.value.findings] == [("E421", 5), ("E413", 10)]


def test_a_changed_table_is_read_again(folder: Path) -> None:
    """The next batch sees the new rows; a file that cannot be read leaves the old ones and is said once."""
    host = Host.open(load(folder / "pipeline.yaml"))
    said: list[tuple[str, dict[str, Any]]] = []

    def say(name: str, **fields: Any) -> None:
        said.append((name, fields))

    (folder / "names.csv").write_text("id,name\na,Ada Lovelace\nb,Bob\n")
    host.refresh_tables(say)
    assert host.tables["names"]["b"]["name"] == "Bob"
    (folder / "names.csv").write_bytes(b"\xff\xfe")
    host.refresh_tables(say)
    host.refresh_tables(say)
    assert host.tables["names"]["a"]["name"] == "Ada Lovelace"
    assert [name for name, _ in said] == ["table_reloaded", "table_note"]
    host.close()


def test_answers_do_not_wait_for_what_is_not_typed_yet(folder: Path) -> None:
    """Each line is decided when it is there, also by a model that takes its time; tables are read anew."""
    (folder / "slow.py").write_text("import time\n\ndef f(rows):\n    time.sleep(0.1)\n    return rows\n")
    (folder / "names.csv").write_text("k,name\na,old\n")
    (folder / "slow.yaml").write_text(
        "version: 1\npipeline: p\nsource: {topics: [in], fields: {k: string}}\n"
        "tables: {names: {file: names.csv, key: k}}\n"
        "enrich: {name: {lookup: names, key: k, take: name}}\n"
        "models: {slow: {python: 'slow:f', inputs: {k: k}}}\nroutes: [{name: all, use: slow}]\n"
    )
    command = [sys.executable, "-m", "pointsman.cli.main", "run", "slow.yaml", "--events", "-"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = []
        for name in ("old", "new"):
            (folder / "names.csv").write_text(f"k,name\na,{name}\n")
            process.stdin.write(b'{"k": "a"}\n')
            process.stdin.flush()
            told.append(json.loads(process.stdout.readline())["metadata"]["name"])
        process.stdin.close()
    assert told == ["old", "new"]
    assert process.returncode == 0
