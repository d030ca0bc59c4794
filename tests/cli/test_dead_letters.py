"""`pointsman dead-letters`: list, show, redrive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Pointsman
from kafka import Kafka, unique
from pointsman.base.records import DeadLetter, SourceRecord
from pointsman.runner.letters import kafka_headers


@pytest.fixture
def source(broker: Kafka, mine: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three dead letters of two events where the pipeline writes them; returns the events' topic."""
    name, source = unique("letters"), broker.create_topic(unique("source"), config={"retention.ms": "-1"})
    pipeline = mine / "pipeline.yaml"
    text = pipeline.read_text().replace("pipeline: mine", f"pipeline: {name}")
    pipeline.write_text(text.replace("topics: [transactions]", f"topics: [{source}]"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", broker.bootstrap)
    monkeypatch.chdir(mine)
    topic = broker.create_topic(f"{name}.dead-letters")
    when = 1_700_000_000_000
    headers = [("trace", b"abc"), ("trace", b"\xff")]
    attempts = [{"model": "baseline", "status": "failed", "class": "timeout"}]
    letters = [
        DeadLetter(
            SourceRecord(b"\xff{broken", None, source, 0, 5, when, headers), "t-1", "undecodable", "not UTF-8"
        ),
        DeadLetter(
            SourceRecord(b'{"a": 1}', b"K", source, 0, 6, when), "t-2", "model_failed", "late: once", attempts
        ),
        DeadLetter(
            SourceRecord(b'{"a": 1}', b"K", source, 0, 9, when),
            "t-2",
            "model_failed",
            "late: twice",
            attempts,
        ),
    ]
    for letter in letters:
        broker.produce(topic, [(letter.record.key, letter.record.value)], headers=kafka_headers(letter))
    return source


def test_list(pointsman: Pointsman, source: str) -> None:
    """Each letter is a line with id, reason, source and message; --reason chooses."""
    done = pointsman("dead-letters", "list")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[1:4] for line in lines[:3]] == [
        ["t-1", "undecodable", f"{source}-0-5"],
        ["t-2", "model_failed", f"{source}-0-6"],
        ["t-2", "model_failed", f"{source}-0-9"],
    ]
    assert lines[2].endswith("late: twice")
    assert lines[3] == "3 dead letters"

    told = json.loads(pointsman("dead-letters", "list", "--reason", "undecodable", "--json").out)
    assert [(letter["id"], letter["message"]) for letter in told] == [("t-1", "not UTF-8")]


def test_show(pointsman: Pointsman, source: str) -> None:
    """One event's letters in full: text as text, other bytes as hexadecimal, in JSON as base64."""
    shown = pointsman("dead-letters", "show", "t-1").out
    assert "ff 7b 62 72 6f 6b 65 6e" in shown
    assert ".{broken" in shown
    assert "header trace" in shown

    [letter] = json.loads(pointsman("dead-letters", "show", "pipeline.yaml", "t-1", "--json").out)
    assert letter["value"] == {"base64": "/3ticm9rZW4="}
    assert letter["headers"] == [["trace", "abc"], ["trace", {"base64": "/w=="}]]
    assert letter["source"] == {"topic": source, "partition": 0, "offset": 5, "timestamp": 1_700_000_000_000}

    two = json.loads(pointsman("dead-letters", "show", "t-2", "--json").out)
    assert [one["attempts"][0]["class"] for one in two] == ["timeout", "timeout"]


def test_redrive(pointsman: Pointsman, broker: Kafka, source: str) -> None:
    """Each event goes back once, with key, value and headers as they came, and its id in a header of ours."""
    tried = pointsman("dead-letters", "redrive", "--all", "--dry-run")
    assert tried.code == 0
    assert "0 of 2 sent" in tried.out
    assert broker.consume_all(source) == []

    done = json.loads(pointsman("dead-letters", "redrive", "--all", "--json").out)
    assert (done["sent"], [one["id"] for one in done["chosen"]]) == (2, ["t-1", "t-2"])
    arrived = broker.consume_all(source)
    assert {one.timestamp()[1] for one in arrived} == {1_700_000_000_000}
    found = [(one.key(), one.value(), one.headers()) for one in arrived]
    assert found == [
        (None, b"\xff{broken", [("trace", b"abc"), ("trace", b"\xff"), ("pointsman-id", b"t-1")]),
        (b"K", b'{"a": 1}', [("pointsman-id", b"t-2")]),
    ]


def test_redrive_by_id_and_by_reason(pointsman: Pointsman, broker: Kafka, source: str) -> None:
    """IDs or a reason choose what goes back."""
    assert pointsman("dead-letters", "redrive", "t-1", "--yes").out.endswith("1 of 1 sent\n")
    assert pointsman("dead-letters", "redrive", "--reason", "model_failed", "--yes").code == 0

    assert [one.headers()[-1][1] for one in broker.consume_all(source)] == [b"t-1", b"t-2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "t-9"), "there is no dead letter with the id 't-9'"),
        (("show",), "Missing argument"),
        (("redrive",), "say which to redrive"),
        (("redrive", "t-1", "--all"), "say which to redrive"),
        (("redrive", "t-1", "t-9"), "there is no dead letter with the id 't-9'"),
    ],
)
@pytest.mark.usefixtures("source")
def test_wrong_use_says_what_to_do(pointsman: Pointsman, arguments: tuple[str, ...], message: str) -> None:
    """A wrong call exits 2 and sends nothing."""
    done = pointsman("dead-letters", *arguments)

    assert done.code == 2
    assert message in done.err
