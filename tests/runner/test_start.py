"""Where a run begins, and how its dead letters look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pointsman.base.errors import EnvironmentFault, SpecError, UsageError
from pointsman.base.records import DeadLetter, SourceRecord
from pointsman.runner.letters import as_json, kafka_headers
from pointsman.runner.start import Begin, reach
from pointsman.spec import load

RECORD = SourceRecord(b"\xff", b"k", "t", 3, 17, 1000, [("h", b"1"), ("h", None), ("pointsman-id", b"old")])


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("earliest", 0),
        ("latest", -1),
        ("1769860800000", 1_769_860_800_000),
        ("2026-01-31T12:00:00Z", 1_769_860_800_000),
        ("2026-01-31T13:00:00+01:00", 1_769_860_800_000),
        ("2026-01-31T12:00", 1_769_860_800_000),
        ("2026-01-31", 1_769_817_600_000),
    ],
)
def test_from_takes_words_and_times(text: str, at_ms: int) -> None:
    """A time without a zone is UTC wherever the command runs."""
    assert Begin.parse(text).at_ms == at_ms


@pytest.mark.parametrize("text", ["", "yesterday", "-5", "12:00"])
def test_from_refuses_what_is_no_time(text: str) -> None:
    """The message shows a time as it is written."""
    with pytest.raises(UsageError, match="2026-01-31T12:00:00Z"):
        Begin.parse(text)


def test_a_letter_keeps_headers_and_adds_ours() -> None:
    """Headers stay in order with repeats and nulls; those of an earlier death are replaced."""
    letter = DeadLetter(RECORD, "e\ud800", "undecodable", "not UTF-8: byte 0", [{"model": "m"}])
    assert kafka_headers(letter) == [
        ("h", b"1"),
        ("h", None),
        ("pointsman-id", b"e?"),
        ("pointsman-reason", b"undecodable: not UTF-8: byte 0"),
        ("pointsman-source", b'{"topic":"t","partition":3,"offset":17,"timestamp":1000}'),
        ("pointsman-attempts", b'[{"model":"m"}]'),
    ]


def test_a_letter_as_a_line_is_json() -> None:
    """What is not UTF-8 stands in base64; nothing is lost."""
    line = as_json(DeadLetter(RECORD, "e\ud800", "undecodable", "not\nUTF-8"))
    assert b"\n" not in line
    assert json.loads(line) == {
        "id": "e?",
        "reason": "undecodable",
        "message": "not\nUTF-8",
        "source": {"topic": "t", "partition": 3, "offset": 17, "timestamp": 1000},
        "key": "k",
        "value": {"base64": "/w=="},
        "headers": [["h", "1"], ["h", None], ["pointsman-id", "old"]],
    }


def test_no_broker_is_said_clearly(tmp_path: Path) -> None:
    """After the limit the run ends with exit code 3 and says where it looked and what to do."""
    (tmp_path / "pipeline.yaml").write_text(
        "{version: 1, pipeline: p, kafka: {bootstrap.servers: '127.0.0.1:1'}, source: {topics: [in]}, "
        "models: {m: {python: 'm:f'}}, routes: [{name: all, use: m}]}"
    )
    (tmp_path / "m.py").write_text("def f(rows): return rows")
    with pytest.raises(
        EnvironmentFault, match=r"answers at 127.0.0.1:1 .*'pointsman broker start'"
    ) as raised:
        reach(load(tmp_path / "pipeline.yaml"), seconds=0.5)
    assert raised.value.exit_code == 3


def test_a_wrong_kafka_property_is_found_at_its_line(tmp_path: Path) -> None:
    """What the client refuses, and what Pointsman must set itself, is a finding in the document."""
    (tmp_path / "m.py").write_text("def f(rows): return rows")
    for name in ("no.such.property", "enable.auto.commit"):
        (tmp_path / "pipeline.yaml").write_text(
            f"version: 1\npipeline: p\nkafka:\n  {name}: true\nsource: {{topics: [in]}}\n"
            "models: {m: {python: 'm:f'}}\nroutes: [{name: all, use: m}]"
        )
        with pytest.raises(SpecError) as raised:
            reach(load(tmp_path / "pipeline.yaml"), seconds=0.5)
        assert raised.value.findings[0].line == 4
