"""`pointsman explain`: one event, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Pointsman

Golden = Callable[[str, str], None]


@pytest.mark.parametrize(
    ("line", "shows"),
    [(1, "a-route-that-is-true"), (3, "a-split"), (6, "a-mistyped-field"), (7, "a-missing-field")],
)
def test_what_people_read(pointsman: Pointsman, mine: Path, golden: Golden, line: int, shows: str) -> None:
    """Fields, metadata, every route with the values that decided it, the model and the record."""
    done = pointsman("explain", "--event", "@events.jsonl", "--line", str(line), "--time", "0", cwd=mine)

    assert done.code == 0
    golden(f"explain-{shows}", done.out)


def test_an_event_that_is_not_json(pointsman: Pointsman, mine: Path, golden: Golden) -> None:
    """An event that cannot be decoded says why, and that it is a dead letter."""
    done = pointsman("explain", "--event", "{broken", "--time", "0", cwd=mine)

    assert done.code == 0
    golden("explain-undecodable", done.out)


@pytest.mark.parametrize("line", range(1, 8))
def test_it_agrees_with_run(pointsman: Pointsman, mine: Path, line: int) -> None:
    """The record is the one that `run` writes, but for source, times and latency."""
    ran = pointsman("run", "--events", "events.jsonl", cwd=mine)
    told = pointsman("explain", "--event", "@events.jsonl", "--line", str(line), "--json", cwd=mine)

    wanted, found = json.loads(ran.out.splitlines()[line - 1]), json.loads(told.out)["record"]
    for record in (wanted, found):
        for name in ("source", "time", "decided_at"):
            del record[name]
        del record["result"]["latency_ms"]
    assert found == wanted


def test_what_comes_with_the_record(pointsman: Pointsman, mine: Path) -> None:
    """Key, topic, headers and time of the record are what conditions see."""
    pipeline = mine / "pipeline.yaml"
    condition = (
        'headers.kind == "test" && topic == "other" && key == "K" && now < timestamp("2001-01-01T00:00:00Z")'
    )
    pipeline.write_text(pipeline.read_text().replace("location != home && amount > 1000", f"'{condition}'"))

    done = pointsman(
        *("explain", "--event", '{"amount": 1}', "--json", "--time", "2000-01-01T00:00:00Z"),
        *("--header", "kind=test", "--topic", "other", "--key", "K"),
        cwd=mine,
    )

    assert json.loads(done.out)["choice"]["route"] == "away-and-large"


def test_a_python_condition_sees_what_run_shows_it(pointsman: Pointsman, mine: Path) -> None:
    """A declared timestamp is a datetime for it: the route said to be taken is the record's."""
    (mine / "rules.py").write_text(
        "def recent(rows): return [row['event']['ts'].year > 2020 for row in rows]"
    )
    pipeline = mine / "pipeline.yaml"
    text = pipeline.read_text().replace("amount: double}", "amount: double, ts: timestamp}")
    pipeline.write_text(text.replace("location != home && amount > 1000", '{python: "rules:recent"}'))

    done = pointsman("explain", "--event", '{"amount": 1, "ts": "2026-01-01T00:00:00Z"}', "--json", cwd=mine)

    told = json.loads(done.out)
    assert told["record"]["decision"]["route"] == "away-and-large"
    assert [route["outcome"] for route in told["routes"]] == ["true", "not reached", "not reached"]


def test_what_the_environment_gave_is_not_shown(
    pointsman: Pointsman, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A condition that compares with a secret is shown as it stands in the file."""
    monkeypatch.setenv("TOKEN", "hunter2")
    pipeline = mine / "pipeline.yaml"
    condition = """'headers.token == "${TOKEN}" && amount > 1000'"""
    pipeline.write_text(pipeline.read_text().replace("location != home && amount > 1000", condition))
    asked = ("explain", "--event", '{"amount": 1020}', "--header", "token=other")

    people = pointsman(*asked, cwd=mine).out
    programs = pointsman(*asked, "--json", cwd=mine).out

    assert 'headers.token == "${TOKEN}" && amount > 1000' in people
    assert "hunter2" not in people + programs
    assert json.loads(programs)["routes"][0]["outcome"] == "false"


def test_a_pipeline_of_csv_reads_a_files_lines(pointsman: Pointsman, mine: Path) -> None:
    """With `format: csv` a CSV file has no header line, and each line is an event as `run` takes it."""
    pipeline = mine / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("  id: txn_id", "  id: txn_id\n  format: csv"))
    (mine / "lines.csv").write_text("t-1,U1,iOS,Japan,5\nt-2,U2,web,Japan,7.5\n")

    ran = pointsman("run", "--events", "lines.csv", cwd=mine)
    told = pointsman("explain", "--event", "@lines.csv", "--line", "2", "--json", cwd=mine)

    record = json.loads(told.out)["record"]
    assert record["event"]["amount"] == 7.5
    assert record["event"] == json.loads(ran.out.splitlines()[1])["event"]


def test_the_event_may_come_from_standard_input(pointsman: Pointsman, mine: Path) -> None:
    """`@-` reads events from a pipe."""
    done = pointsman(
        "explain", "--event", "@-", "--line", "2", "--json", cwd=mine, stdin=b'{}\n{"txn_id": "second"}\n'
    )

    assert json.loads(done.out)["id"] == "second"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--event", "@events.jsonl", "--line", "8"), "holds 7 events, so there is no --line 8"),
        (("--event", "@nothing.jsonl"), "nothing.jsonl does not exist"),
        (("--event", "{}", "--header", "x"), "--header is NAME=VALUE, not 'x'"),
        (("--event", "{}", "--time", "soon"), "--time is a time such as"),
        (("other.yaml", "--event", "{}"), "other.yaml does not exist"),
    ],
)
def test_wrong_use_says_what_to_do(
    pointsman: Pointsman, mine: Path, arguments: tuple[str, ...], message: str
) -> None:
    """A wrong argument exits 2 with a sentence and no traceback."""
    done = pointsman("explain", *arguments, cwd=mine)

    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_model_that_is_not_needed_may_be_broken(pointsman: Pointsman, mine: Path) -> None:
    """Only the model that the event goes to has to open; then the fault shows its place in the document."""
    (mine / "models.py").write_text("def baseline(events):\n    return [{'score': 1} for _ in events]\n")

    small = pointsman("explain", "--event", '{"amount": 1}', cwd=mine)
    large = pointsman("explain", "--event", '{"amount": 5000, "location": "x", "user_id": "u"}', cwd=mine)

    assert small.code == 0
    assert large.code == 1
    assert "E413" in large.err
    assert "careful: {python:" in large.err


def test_why_quality_and_a_score_are_what_they_are(pointsman: Pointsman, tmp_path: Path) -> None:
    """Their reasons stand below them, also those that depend on earlier events."""
    (tmp_path / "m.py").write_text("def f(rows): return [1 for _ in rows]")
    (tmp_path / "pipeline.yaml").write_text(
        """version: 1
pipeline: p
source: {topics: [in], fields: {id: string, amount: double}}
enrich:
  quality: {quality: {ranges: {amount: [0, 100]}, duplicates: {key: id, within: 1h}}}
  risk: {score: {points: [{when: amount > 50.0, add: 5}]}}
models: {m: {python: "m:f"}}
routes: [{name: all, use: m}]
"""
    )
    (tmp_path / "events.jsonl").write_text('{"id": "a", "amount": 1}\n{"id": "a", "amount": 200}\n')

    done = pointsman("explain", "--events", "events.jsonl", "--line", "2", "--state", cwd=tmp_path)

    assert "because  amount is 200, outside of 0 to 100" in done.out
    assert "because  'a' was seen " in done.out
    assert "because  amount > 50.0" in done.out
    assert '"duplicates": 0.0' in done.out
