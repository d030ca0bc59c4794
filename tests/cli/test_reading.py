"""Files of events, as `send` and `bench` read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pointsman.base.errors import UsageError
from pointsman.cli import reading


def _values(folder: Path, name: str, content: bytes) -> list[bytes]:
    path = folder / name
    path.write_bytes(content)
    return list(reading.values(path, reading.format_of(path)))


def test_lines_are_sent_as_they_are(tmp_path: Path) -> None:
    """Every line that is not blank is a value, byte for byte, valid or not."""
    found = _values(tmp_path, "e.jsonl", b'{"a": 1 }\n\nnot json\r\n\xff\xfe{\n{"a":NaN}')

    assert found == [b'{"a": 1 }', b"not json", b"\xff\xfe{", b'{"a":NaN}']


def test_csv_rows_become_objects_with_numbers(tmp_path: Path) -> None:
    """A CSV row is a JSON object; numbers and words get their type, codes with a leading zero stay text."""
    found = _values(
        tmp_path, "e.csv", '\ufeffid,amount,code,ok,note\nt-1,10.5,007,true,"a, b"\nt-2,,1,,\n'.encode()
    )

    assert [json.loads(value) for value in found] == [
        {"id": "t-1", "amount": 10.5, "code": "007", "ok": True, "note": "a, b"},
        {"id": "t-2", "code": 1},
    ]


def test_csv_with_too_many_cells_names_the_line(tmp_path: Path) -> None:
    """A row longer than the header is refused with its line."""
    with pytest.raises(UsageError, match="line 3 has more cells than the header"):
        _values(tmp_path, "e.csv", b"a,b\n1,2\n1,2,3\n")


def test_parquet_rows_become_objects(tmp_path: Path) -> None:
    """A Parquet row is a JSON object; times are ISO 8601 and bytes base64."""
    pyarrow = pytest.importorskip("pyarrow")
    from datetime import UTC, datetime

    from pyarrow import parquet

    table = pyarrow.table(
        {"id": ["t-1"], "at": [datetime(2026, 1, 2, tzinfo=UTC)], "raw": [b"\x00\x01"], "n": [None]}
    )
    parquet.write_table(table, tmp_path / "e.parquet")

    [value] = reading.values(tmp_path / "e.parquet", "parquet")

    assert json.loads(value) == {"id": "t-1", "at": "2026-01-02T00:00:00+00:00", "raw": "AAE=", "n": None}


def test_what_json_cannot_write_becomes_null(tmp_path: Path) -> None:
    """pandas marks a gap by NaN; an event with NaN in it is no JSON, and a pipeline could not use it."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"x": [float("nan"), 1.5], "l": [[{"y": float("inf")}, {"y": 1.0}], None]})
    parquet.write_table(table, tmp_path / "e.parquet")

    found = [json.loads(value) for value in reading.values(tmp_path / "e.parquet", "parquet")]

    assert found == [{"x": None, "l": [{"y": None}, {"y": 1.0}]}, {"x": 1.5, "l": None}]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file is a wrong use of the command, and the message says what to give."""
    with pytest.raises(UsageError, match=r"nothing\.jsonl does not exist: name a file of events"):
        list(reading.values(tmp_path / "nothing.jsonl", "lines"))


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b'{"user": "U1"}', b"U1"),
        (b'{"user": 7}', b"7"),
        (b'{"user": null}', None),
        (b"{}", None),
        (b"[1]", None),
        (b"not json", None),
    ],
)
def test_the_key_is_a_field_of_the_event(value: bytes, key: bytes | None) -> None:
    """The Kafka key is the named field's text; where there is none, the record has no key."""
    assert reading.field_text(value, "user") == key
