"""`pointsman send`: what arrives in the topic."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from cli.conftest import Pointsman
from kafka import Kafka, unique

EVENTS = b'{"user_id": "U1", "n": 1}\n\nnot json\r\n\xff\xfe\n{"user_id": "U2", "n": 2}\n'


def test_lines_arrive_as_they_are(pointsman: Pointsman, broker: Kafka, tmp_path: Path) -> None:
    """Each line is a value, byte for byte; the topic is made where it is missing, and that is said."""
    (tmp_path / "events.jsonl").write_bytes(EVENTS)
    topic = unique("send")
    to = ("--topic", topic, "--bootstrap", broker.bootstrap)

    done = pointsman("send", "events.jsonl", *to, "--partitions", "1", "--key", "user_id", cwd=tmp_path)

    assert done.code == 0
    assert f"made the topic {topic} with 1 partition" in done.err
    assert done.out.startswith(f"4 events sent to {topic} in ")
    found = [(message.key(), message.value()) for message in broker.consume_all(topic)]
    assert found == [
        (b"U1", b'{"user_id": "U1", "n": 1}'),
        (None, b"not json"),
        (None, b"\xff\xfe"),
        (b"U2", b'{"user_id": "U2", "n": 2}'),
    ]


def test_the_pipeline_says_where_and_how(
    pointsman: Pointsman, broker: Kafka, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pipeline the topic is its first and the key is source.key, where that is a field's name."""
    topic = unique("send")
    pipeline = mine / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("topics: [transactions]", f"topics: [{topic}]"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", broker.bootstrap)

    told = json.loads(pointsman("send", "pipeline.yaml", "events.jsonl", "--json", cwd=mine).out)

    assert (told["topic"], told["sent"], told["failed"], told["created"]) == (topic, 7, 0, True)
    messages = broker.consume_all(topic)
    assert all(message.key().decode() == json.loads(message.value())["user_id"] for message in messages)


def test_rows_come_from_standard_input_too(pointsman: Pointsman, broker: Kafka, tmp_path: Path) -> None:
    """`-` reads a pipe; --format says how."""
    topic = unique("send")
    done = pointsman(
        *("send", "-", "--format", "csv", "--topic", topic, "--bootstrap", broker.bootstrap),
        cwd=tmp_path,
        stdin=b"id,n\na,1\nb,2\n",
    )

    assert done.code == 0
    assert sorted(message.value() for message in broker.consume_all(topic)) == [
        b'{"id":"a","n":1}',
        b'{"id":"b","n":2}',
    ]


def test_half_a_file_and_no_key_are_told(pointsman: Pointsman, broker: Kafka, tmp_path: Path) -> None:
    """A key's field that no event has is a slip; a bad row says how many events went before it."""
    (tmp_path / "events.csv").write_text("user,n\nU1,1\nU2,2\nU3,3,3\n")
    (tmp_path / "events.jsonl").write_bytes(EVENTS)
    to = ("--topic", unique("send"), "--bootstrap", broker.bootstrap)

    wrong = pointsman("send", "events.csv", *to, cwd=tmp_path)
    keyless = pointsman("send", "events.jsonl", *to, "--key", "usr_id", cwd=tmp_path)

    assert wrong.code == 2
    assert "quote the cell that holds a comma; the 2 events before it were sent" in wrong.err
    assert "no event has the field 'usr_id': all were sent without a key" in keyless.err


def test_what_does_not_arrive_is_counted(pointsman: Pointsman, broker: Kafka, tmp_path: Path) -> None:
    """An event larger than the topic takes is counted, its error is told, and the exit code is 1."""
    topic = broker.create_topic(unique("small"), config={"max.message.bytes": "2000"})
    noise = Random(1).randbytes(20_000).hex()
    (tmp_path / "events.jsonl").write_text(f'{{"a": "{noise}"}}\n')

    done = pointsman(
        "send", "events.jsonl", "--topic", topic, "--bootstrap", broker.bootstrap, "--json", cwd=tmp_path
    )

    told = json.loads(done.out)
    assert done.code == 1
    assert (told["sent"], told["failed"]) == (0, 1)
    assert "too large" in told["error"].lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.jsonl", "b.jsonl"), "send takes one FILE, not 2"),
        (("a.jsonl", "--bootstrap", "localhost:1"), "--bootstrap needs --topic"),
        (("a.jsonl", "--rate", "fast"), "--rate is a number of events per second such as 500/s, not 'fast'"),
        (("a.jsonl", "--rate", "0"), "--rate is a number"),
        (("a.jsonl",), "there is no pipeline.yaml here"),
    ],
)
def test_wrong_use_says_what_to_do(
    pointsman: Pointsman, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """A wrong call exits 2 before anything is sent."""
    done = pointsman("send", *arguments, cwd=tmp_path)

    assert done.code == 2
    assert message in done.err


def test_a_file_that_is_not_there_makes_no_topic(pointsman: Pointsman, broker: Kafka, tmp_path: Path) -> None:
    """A misspelt file is found before a topic is made."""
    done = pointsman(
        "send", "no.jsonl", "--topic", unique("none"), "--bootstrap", broker.bootstrap, cwd=tmp_path
    )

    assert done.code == 2
    assert "made the topic" not in done.err
