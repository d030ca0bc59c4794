"""`pointsman tail`: decisions as lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Pointsman
from kafka import Kafka, unique
from pointsman.cli import wire
from pointsman.cli.letters import Letter
from pointsman.cli.screen import plain
from pointsman.cli.tail import decision_line, letter_line

SPLIT = {
    "v": 1,
    "id": "t-1",
    "time": 1760000000000,
    "decided_at": 1760000000050,
    "source": {"topic": "t", "partition": 0, "offset": 0, "key": None},
    "event": {"amount": 12},
    "metadata": {},
    "decision": {
        "route": "ios",
        "strategy": "split",
        "model": "challenger",
        "propensity": 0.1,
        "reason": "rule",
        "policy": "0@00000000",
        "candidates": {"baseline": 0.9, "challenger": 0.1},
    },
    "result": {"status": "ok", "model": "challenger", "output": {"score": 0.2}, "latency_ms": 0.25},
}
FIXED = {
    **SPLIT,
    "id": "t-2",
    "decision": {
        **SPLIT["decision"],
        "route": "otherwise",
        "propensity": 1.0,
        "errors_total": 1,
        "candidates": None,
    },
    "result": {"status": "failed", "model": "challenger", "attempts": []},
}


@pytest.fixture
def decided(
    broker: Kafka, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[dict[str, Any]]], Path]:
    """Puts decision records where the pipeline writes them."""
    name = unique("tail")
    pipeline = mine / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("pipeline: mine", f"pipeline: {name}"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", broker.bootstrap)

    def put(records: list[dict[str, Any]]) -> Path:
        topic = broker.create_topic(f"{name}.decisions", partitions=2)
        broker.produce(
            topic, [(None, json.dumps(record).encode(), i % 2) for i, record in enumerate(records)]
        )
        return mine

    return put


def test_a_line_each(golden: Callable[[str, str], None]) -> None:
    """Time, id, route and model, share of a split, status, output, latency, errors."""
    letter = Letter(
        "t-3", "undecodable", "not JSON", {"topic": "t", "partition": 0, "offset": 7}, [], 0, None, b"{", []
    )

    lines = [decision_line(SPLIT, plain), decision_line(FIXED, plain), letter_line(letter, plain)]
    golden("tail", "\n".join(lines) + "\n")


def test_where_chooses(pointsman: Pointsman, decided: Callable[[list[dict[str, Any]]], Path]) -> None:
    """--where shows the records for which it is true; one that it has no value for is not shown."""
    folder = decided([SPLIT, FIXED, {**SPLIT, "id": "t-4", "event": {}}])

    done = pointsman(
        *("tail", "--from", "earliest", "--until-idle", "0", "--json"),
        *("--where", 'decision.route == "ios" && event.amount > 10'),
        cwd=folder,
    )

    assert done.code == 0
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["t-1"]


def test_the_last_ones(pointsman: Pointsman, decided: Callable[[list[dict[str, Any]]], Path]) -> None:
    """-n begins with the youngest that are there, over all partitions."""
    folder = decided([{**SPLIT, "id": f"t-{i}"} for i in range(9)])

    done = pointsman("tail", "-n", "3", "--until-idle", "0", "--json", cwd=folder)

    assert sorted(json.loads(line)["id"] for line in done.out.splitlines()) == ["t-6", "t-7", "t-8"]


def test_it_goes_on_from_there(broker: Kafka, topic: Callable[..., str]) -> None:
    """What is written while it is read comes too, after one sign that what was there has come."""
    name = topic(partitions=2)
    broker.produce(name, [b"1", b"2"])
    reader = wire.read(broker.client_config, [name], wire.Start(), follow=True)
    there = []
    while (record := next(reader)) is not None:
        there.append(record.value)
    broker.produce(name, [b"3"])
    while (record := next(reader)) is None:
        pass

    assert sorted(there) == [b"1", b"2"]
    assert record.value == b"3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--where", "decision.route = 'x'"), "--where cannot be used"),
        (("--where", "decison.route == 'x'"), "did you mean 'decision'"),
        (("--where", "true", "--dead-letters"), "leave it out with --dead-letters"),
        (("--from", "soon"), "--from is earliest, latest"),
    ],
)
def test_wrong_use_says_what_to_do(
    pointsman: Pointsman, mine: Path, arguments: tuple[str, ...], message: str
) -> None:
    """A wrong option exits 2 before a broker is asked."""
    done = pointsman("tail", *arguments, cwd=mine)

    assert done.code == 2
    assert message in done.err


def test_a_topic_that_is_not_there(
    pointsman: Pointsman, broker: Kafka, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first run there is no topic; the message says what makes it."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", broker.bootstrap)
    pipeline = mine / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("pipeline: mine", f"pipeline: {unique('none')}"))

    done = pointsman("tail", "--until-idle", "0", cwd=mine)

    assert done.code == 3
    assert "does not exist yet: 'pointsman topics --create' makes it" in done.err


def test_an_event_cannot_command_the_terminal() -> None:
    """Control characters of an id or a message are shown as escapes, on the line where they belong."""
    letter = Letter("\x1b[2J\n", "undecodable", "a\tb", {}, [], 0, None, None, [])

    lines = decision_line({**SPLIT, "id": "\x1b[2J\n"}, plain) + letter_line(letter, plain)

    assert lines.count(r"\x1b[2J\n") == 2
    assert lines.isprintable()
