"""Tables kept in files."""

from __future__ import annotations

import builtins
import datetime
import decimal
import os
from pathlib import Path
from typing import Any

import pytest

from pointsman.base.errors import Misfit, MissingExtra
from pointsman.cel.values import SECOND, Duration, Timestamp
from pointsman.state import tables
from pointsman.state.tables import TableFile


def table(path: Path, content: str | bytes, key: str = "id") -> TableFile:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return TableFile("t", path, key)


def refused(path: Path, content: str | bytes, key: str = "id") -> Misfit:
    with pytest.raises(Misfit) as caught:
        table(path, content, key)
    return caught.value


def change(path: Path, content: str) -> None:
    """Replaces the file as an editor or a deployment does, so that its inode differs."""
    fresh = path.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(path)


def test_csv_cells_have_the_type_that_fits_their_whole_column(tmp_path: Path) -> None:
    """A column is numbers or bools where every cell is, else strings; an empty cell is null."""
    found = table(
        tmp_path / "t.csv",
        "id,age,score,vip,zip,mixed,none\nU1,41,1,true,01234,7,\nU2,,2.5,false,12345,x,\n",
    )
    assert found.rows == {
        "U1": {"id": "U1", "age": 41, "score": 1.0, "vip": True, "zip": "01234", "mixed": "7", "none": None},
        "U2": {
            "id": "U2",
            "age": None,
            "score": 2.5,
            "vip": False,
            "zip": "12345",
            "mixed": "x",
            "none": None,
        },
    }
    assert [type(row["score"]) for row in found.rows.values()] == [float, float]


def test_csv_integers_beyond_64_bits_are_doubles_and_nan_is_text(tmp_path: Path) -> None:
    """What is no JSON number, or no int of CEL, is not read as one."""
    found = table(tmp_path / "t.csv", "id,big,odd,spaced\nU1,18446744073709551616,NaN, 7\n")
    assert found.rows["U1"] == {"id": "U1", "big": 2.0**64, "odd": "NaN", "spaced": " 7"}


def test_csv_quotes_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    """Files of spreadsheets are read as they are."""
    found = table(tmp_path / "t.csv", '\ufeffid,name\r\nU1,"a, ""b""\nc"\r\n\r\n')
    assert found.rows == {"U1": {"id": "U1", "name": 'a, "b"\nc'}}


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson"])
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    """One object a line; a row keeps the members it has."""
    found = table(tmp_path / f"t{suffix}", '{"id":"é","a":[1,{"b":null}]}\n\n{"id":17}\n')
    assert found.rows == {"é": {"id": "é", "a": [1, {"b": None}]}, "17": {"id": 17}}


def test_a_json_array(tmp_path: Path) -> None:
    """An array of objects is a table too."""
    assert table(tmp_path / "t.json", '[{"id":true,"a":1.5}]').rows == {"true": {"id": True, "a": 1.5}}


def test_parquet_types_become_those_of_expressions(tmp_path: Path) -> None:
    """Dates and times become timestamps, decimals doubles, nested values lists and maps."""
    import pyarrow
    import pyarrow.parquet

    moment = datetime.datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    columns: dict[str, list[Any]] = {
        "id": [17, 18],
        "at": [moment, None],
        "local": [moment.replace(tzinfo=None), None],
        "day": [moment.date(), None],
        "price": [decimal.Decimal("1.25"), None],
        "tags": [["a", "b"], []],
        "nested": [{"x": 1, "at": moment}, None],
        "raw": [b"\x00\xff", None],
    }
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    rows = TableFile("t", path, "id").rows
    at = Timestamp(1_735_787_045_678_901_000)
    assert rows["17"] == {
        "id": 17,
        "at": at,
        "local": at,
        "day": Timestamp(1_735_776_000_000_000_000),
        "price": 1.25,
        "tags": ["a", "b"],
        "nested": {"x": 1, "at": at},
        "raw": b"\x00\xff",
    }
    assert rows["18"]["at"] is None


def test_parquet_moments_keep_their_nanoseconds(tmp_path: Path) -> None:
    """Python's own dates would round them."""
    import pyarrow
    import pyarrow.parquet

    columns = {
        "id": pyarrow.array(["a", "b"]),
        "ns": pyarrow.array([1, None], pyarrow.timestamp("ns")),
        "s": pyarrow.array([-1, 2], pyarrow.timestamp("s", tz="Europe/Berlin")),
        "took": pyarrow.array([1500, None], pyarrow.duration("ms")),
    }
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    rows = TableFile("t", path, "id").rows
    wanted = {"id": "a", "ns": Timestamp(1), "s": Timestamp(-SECOND), "took": Duration(3 * SECOND // 2)}
    assert rows["a"] == wanted
    assert rows["b"] == {"id": "b", "ns": None, "s": Timestamp(2 * SECOND), "took": None}


def test_a_parquet_moment_beyond_the_years_of_expressions_is_told(tmp_path: Path) -> None:
    """A value that no expression could hold does not come in."""
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "t.parquet"
    far = pyarrow.array([2**50], pyarrow.timestamp("ms"))
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"], "at": far}), path)
    with pytest.raises(Misfit, match=r"t\.parquet: timestamp out of range"):
        TableFile("t", path, "id")


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    """The standard library's limit of 128 KiB is not ours."""
    assert len(table(tmp_path / "t.csv", "id,a\nU1," + "x" * 200_000).rows["U1"]["a"]) == 200_000


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the line that installs it."""
    real = builtins.__import__

    def without(name: str, *args: Any, **keys: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **keys)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[parquet\]'"):
        table(tmp_path / "t.parquet", b"")


def test_a_repeated_key_is_told_and_the_last_row_counts(tmp_path: Path) -> None:
    """Repeats are allowed, not silent; told once."""
    found = table(tmp_path / "t.csv", "id,a\nU1,1\nU2,1\nU1,2\n")
    assert found.rows["U1"]["a"] == 2
    assert found.notes() == ["table 't': t.csv names 'U1' repeatedly; the last row counts"]
    assert found.notes() == []


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for a change costs one look at the file's date."""
    found = table(tmp_path / "t.csv", "id,a\nU1,1\n")
    monkeypatch.setattr(TableFile, "_read", lambda _: pytest.fail("read again"))
    assert not found.refresh()


def test_a_changed_file_gives_new_rows_and_leaves_the_old_ones_alone(tmp_path: Path) -> None:
    """Who holds the rows of a batch keeps them; the next batch sees the new ones."""
    found = table(tmp_path / "t.csv", "id,a\nU1,1\n")
    before = found.rows
    change(tmp_path / "t.csv", "id,a\nU1,2\nU2,3\n")
    assert found.refresh()
    assert (before["U1"]["a"], found.rows["U1"]["a"], len(found.rows)) == (1, 2, 2)
    assert not found.refresh()


def test_a_change_that_keeps_date_and_size_is_seen_by_its_inode(tmp_path: Path) -> None:
    """A file that was replaced within the clock's tick is still another file."""
    path = tmp_path / "t.csv"
    found = table(path, "id,a\nU1,1\n")
    stamp = path.stat()
    change(path, "id,a\nU1,2\n")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert found.refresh()


def test_a_broken_reload_keeps_the_rows_and_says_so_once(tmp_path: Path) -> None:
    """A bad deployment of a table does not stop the pipeline; a repaired file is taken."""
    path = tmp_path / "t.csv"
    found = table(path, "id,a\nU1,1\n")
    for broken in ("id,a\nU1\n", "id,a\nU1\n"):
        change(path, broken)
        assert not found.refresh()
    assert found.rows == {"U1": {"id": "U1", "a": 1}}
    assert found.notes() == ["table 't' keeps its rows as they were: t.csv: line 2 has 1 cells, the header 2"]
    change(path, "id,a\nU1,9\n")
    assert found.refresh()
    assert found.rows["U1"]["a"] == 9


def test_a_file_that_is_gone_keeps_the_rows_until_it_is_back(tmp_path: Path) -> None:
    """Removing and writing anew, as some tools do, is a reload."""
    path = tmp_path / "t.csv"
    found = table(path, "id,a\nU1,1\n")
    path.unlink()
    assert not found.refresh()
    assert not found.refresh()
    assert found.notes() == ["table 't' keeps its rows as they were: t.csv cannot be read: " + os.strerror(2)]
    path.write_text("id,a\nU1,2\n")
    assert found.refresh()
    assert found.rows["U1"]["a"] == 2


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a write is never taken for the table."""
    path = tmp_path / "t.csv"
    reads = 0
    real = tables.formats.read_csv

    def torn(file: Path) -> Any:
        nonlocal reads
        reads += 1
        rows = list(real(file))
        if reads == 1:
            change(path, "id,a\nU1,whole\n")
        return rows

    monkeypatch.setitem(tables._READERS, ".csv", torn)
    assert table(path, "id,a\nU1,half\n").rows["U1"]["a"] == "whole"
    assert reads == 2


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("t.csv", "", "E422", "t.csv: the first line names no columns"),
        ("t.csv", "id,id\n1,2\n", "E422", "t.csv: two columns are called 'id'"),
        ("t.csv", "id,a\n1,2,3\n", "E422", "t.csv: line 2 has 3 cells, the header 2"),
        ("t.csv", 'id,a\n1,"2\n', "E422", "t.csv: line 2: unexpected end of data"),
        ("t.csv", b"id\n\xff\n", "E422", "t.csv: byte 3 is not UTF-8"),
        ("t.csv", "name,a\nU1,1\n", "E423", "t.csv: row 1 has no column 'id' but name, a"),
        ("t.csv", "id,a\nU1,1\n,2\n", "E423", "t.csv: the key 'id' of row 2 is empty or not a scalar"),
        ("t.jsonl", '{"id":"a"}\n[1]\n', "E422", "t.jsonl: line 2: Expected `object`, got `array`"),
        ("t.jsonl", b'{"id":"a"}\n{"x":"\xff"}\n', "E422", "t.jsonl: line 2: 'utf-8' codec can't decode"),
        ("t.jsonl", '{"id":[1]}\n', "E423", "t.jsonl: the key 'id' of row 1 is empty or not a scalar"),
        ("t.json", "{}", "E422", "t.json: Expected `array`, got `object`"),
        ("t.parquet", "PAR1 or not", "E422", "t.parquet: "),
        ("t.xlsx", "", "E422", "t.xlsx: '.xlsx' is not a table's format"),
    ],
)
def test_a_file_that_is_no_table_says_where_and_why(
    tmp_path: Path, name: str, content: str | bytes, code: str, said: str
) -> None:
    """Each gives a finding with the place in the file."""
    error = refused(tmp_path / name, content)
    assert error.code == code
    assert str(error).startswith(said)


def test_a_file_that_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """The hint has the whole path."""
    with pytest.raises(Misfit) as caught:
        TableFile("t", tmp_path / "no.csv", "id")
    assert (caught.value.code, str(caught.value)) == ("E421", "there is no file no.csv")
    assert caught.value.hint == f"looked for {tmp_path / 'no.csv'}"


def test_a_table_of_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table is held in memory by every worker, so its size has a bound."""
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    assert str(refused(tmp_path / "t.csv", "id\n1\n2\n3\n")) == "t.csv has more than 2 rows"


def test_a_table_of_too_many_bytes_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's size is looked at first."""
    monkeypatch.setattr(tables, "MAX_BYTES", 4)
    assert refused(tmp_path / "t.csv", "id\n1\n2\n").code == "E424"
