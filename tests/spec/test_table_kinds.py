"""The kinds of tables: which keys go with which, and what expressions see of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.spec import check, load
from pointsman.spec.tables.derived import Derived

BASE = """\
pipeline: small
source: {topics: [events], fields: {user: string, n: int}}
models: {m: {python: "hooks:model"}}
routes: [{name: all, use: m}]
enrich: {x: '%s'}
tables: {t: %s}
"""
DERIVED = "{from: probes, key: cell, window: {over: 1m, aggregate: {n: count}}}"


def found(folder: Path, table: str, reads: str = "t[?user].?n.orValue(0)") -> list[tuple[str, str]]:
    """The codes and messages of what is wrong."""
    path = folder / "pipeline.yaml"
    path.write_text(BASE % (reads, table))
    return [(one.code, one.message) for one in check(path)]


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        ("{key: user}", "E215", "no table kind is named here"),
        ("{file: a.csv, topic: b}", "E215", "'file' and 'topic' are two table kind keys"),
        ("{topic: b, cache: 5m}", "E201", "'cache' is not a key here"),
        ("{topic: b, scope: worker}", "E205", "'worker' is not one of global, partition"),
        ("{topic: b, stale_after: 5m}", "E201", "'stale_after' is not a key here"),
        ("{topc: b}", "E201", "'topc' is not a key here"),
        ("customers", "E204", "expected a map that says where the rows come from, found 'customers'"),
        ("{from: probes, key: cell}", "E202", "the key 'window' of the table 't' is missing"),
        (
            "{from: probes, key: cell, window: {over: 1m, sum: rtt}}",
            "E215",
            "a row needs columns, and the window has no 'aggregate'",
        ),
        (
            "{from: probes, key: cell, window: {over: 1m, key: a, aggregate: {n: count}}}",
            "E201",
            "'key' is not a key here",
        ),
        (
            "{from: $decisions, key: cell, window: {over: 1m, aggregate: {n: count}}}",
            "E301",
            "'cell' is not a field",
        ),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, table: str, code: str, said: str) -> None:
    """A table is of one kind, and has the keys of that kind."""
    assert [(one, message[: len(said)]) for one, message in found(tmp_path, table)] == [(code, said)]


@pytest.mark.parametrize(
    "table",
    [
        "{topic: b}",
        "{topic: b, key: id, scope: partition}",
        "{file: rows.csv, key: id}",
        DERIVED,
        "{from: $decisions, key: metadata.tenant, window: {every: 1h, aggregate: {c: {sum: result.cost}}}}",
        "{from: p, key: key, window: {over: 1m, where: ok && now.getHours() > 3, aggregate: {n: rate}}}",
    ],
)
def test_each_kind_is_read(tmp_path: Path, table: str) -> None:
    """What is right loads without a finding."""
    (tmp_path / "rows.csv").write_text("id\n1\n")
    assert found(tmp_path, table) == []


def test_expressions_of_records_do_not_see_the_event(tmp_path: Path) -> None:
    """A bare name in a derived table is the record's field, whatever fields the event is declared to have."""
    assert found(tmp_path, DERIVED) == []
    config = load(tmp_path / "pipeline.yaml").tables["t"]
    assert isinstance(config, Derived.Config)
    assert config.key.reads == {"event.cell"}
    assert [code for code, _ in found(tmp_path, DERIVED, "string(cell)")] == ["E301"]


def test_a_function_is_read_by_look_ups_only(tmp_path: Path) -> None:
    """An expression over a function's rows is refused at the table's name."""
    assert [code for code, _ in found(tmp_path, "{python: 'hooks:rows'}")] == ["E240"]
