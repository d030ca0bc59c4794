"""Where a run begins, and how its dead letters look."""

from __future__ import annotations

import json

import pytest

from pointsman.base.errors import UsageError
from pointsman.base.records import DeadLetter, SourceRecord
from pointsman.runner.letters import as_json, kafka_headers, unwritable
from pointsman.runner.start import Begin

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


def test_an_unwritable_decision_names_its_size() -> None:
    """The id is that of the decision."""
    letter = unwritable(RECORD, b'{"v":1,"id":"e7","more":{}}')
    assert (letter.id, letter.reason) == ("e7", "unwritable")
    assert "27 bytes" in letter.message
