"""Tables that are not files, on a real broker: read before the first event, followed, and asked for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kafka import Kafka, unique
from pointsman.base.errors import EnvironmentFault, StateError
from pointsman.base.records import Batch
from pointsman.runner.host import Host
from pointsman.runner.tables import Tables
from pointsman.spec import load
from pointsman.state import tables as limits
from runner.pipelines import Pipeline, events

COMPACTED = {"cleanup.policy": "compact"}
NOW = 1_760_000_000_000

Open = Callable[..., "Opened"]


class Opened:
    """A host whose models are never asked, and what its tables say."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.said: list[tuple[str, dict[str, Any]]] = []
        self._changed = threading.Condition()

    def say(self, name: str, **fields: Any) -> None:
        """Keeps a log line."""
        with self._changed:
            self.said.append((name, fields))
            self._changed.notify_all()

    def metadata(self, *found: dict[str, Any], now_ms: int = NOW) -> list[dict[str, Any]]:
        """The metadata that these events get."""
        values = [json.dumps(event).encode() for event in found]
        n = len(values)
        batch = Batch(
            list(values), [None] * n, ["in"] * n, [0] * n, list(range(n)), [now_ms] * n, [None] * n, now_ms
        )
        decided = self.host.decide(batch)
        assert not decided.dead, decided.dead
        (call,) = decided.calls
        return [json.loads(head + b"0}")["metadata"] for head in call.heads]

    def until(self, wanted: Callable[[], bool], seconds: float = 20.0) -> None:
        """Returns once `wanted` is true, looked at while the follower works."""
        done = threading.Event()
        for _ in range(int(seconds / 0.02)):
            if wanted():
                return
            done.wait(0.02)
        raise AssertionError(f"it did not come true within {seconds} s: {self.said}")


@pytest.fixture
def open_with(broker: Kafka, tmp_path: Path) -> Iterator[Open]:
    """Opens a document with these tables and this metadata, its topics read."""
    made: list[Opened] = []

    def open_it(tables: dict[str, Any], enrich: dict[str, Any], code: str = "", **more: Any) -> Opened:
        (tmp_path / "hooks.py").write_text("def model(rows):\n    return rows\n" + code)
        document = {
            "pipeline": unique("p"),
            "kafka": dict(broker.client_config),
            "source": {"topics": ["in"]},
            "tables": tables,
            "enrich": enrich,
            "models": {"m": {"python": "hooks:model"}},
            "routes": [{"name": "all", "use": "m"}],
            **more,
        }
        path = tmp_path / f"{unique('d')}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        opened = Opened(Host.open(load(path)))
        made.append(opened)
        opened.host.follow_tables(opened.say)
        return opened

    yield open_it
    for opened in made:
        opened.host.close()


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def row(key: str | bytes, value: Any, *more: int) -> tuple[Any, ...]:
    """A record of a table's topic."""
    return key, value if value is None or isinstance(value, str) else json.dumps(value), *more


def test_a_topic_is_read_to_its_end_before_the_first_event(broker: Kafka, open_with: Open) -> None:
    """The last row of each key is there, deleted ones are not; what is no row is counted, and said once."""
    topic = broker.create_topic(unique("customers"), 3, COMPACTED)
    rows = [row(f"U{n}", {"segment": f"old{n}"}) for n in range(2000)]
    rows += [row(f"U{n}", {"segment": f"s{n}"}) for n in range(2000)]
    rows += [row("U7", None), row("U8", "[1]"), row("U9", "no json"), row(b"\xff", {})]
    broker.produce(topic, rows)
    opened = open_with(
        {"c": {"topic": topic}},
        {"segment": {"lookup": "c", "key": "user", "take": "segment", "default": "new"}},
    )
    found = opened.metadata({"user": "U0"}, {"user": "U1999"}, {"user": "U7"}, {"user": "U8"})

    assert [one["segment"] for one in found] == ["s0", "s1999", "new", "s8"]
    assert len(opened.host.tables["c"]) == 1999
    ((_, read),) = [one for one in opened.said if one[0] == "table_read"]
    assert read["records"] == 4001
    assert read["tables"] == ["c"]
    ((_, note),) = [one for one in opened.said if one[0] == "table_note"]
    assert "is no row of the table 'c'" in note["problem"]
    opened.host.count_requests()
    assert opened.host.metrics.snapshot()["pointsman_table_unusable_total"] == {("c",): 3}


def test_a_topic_is_followed(broker: Kafka, open_with: Open) -> None:
    """Rows that come, change and go are seen by later batches; so are those of a new partition's keys."""
    topic = broker.create_topic(unique("customers"), 2, COMPACTED)
    opened = open_with({"c": {"topic": topic}}, {"s": 'c[?user].?s.orValue("none")'})

    def seen() -> str:
        return str(opened.metadata({"user": "U1"})[0]["s"])

    assert seen() == "none"
    broker.produce(topic, [row("U1", {"s": "gold"})])
    opened.until(lambda: seen() == "gold")
    broker.produce(topic, [row("U1", {"s": "silver"})])
    opened.until(lambda: seen() == "silver")
    broker.produce(topic, [row("U1", None)])
    opened.until(lambda: seen() == "none")


def test_rows_do_not_change_within_a_batch(broker: Kafka, open_with: Open) -> None:
    """A follower applies what came only when no batch looks."""
    topic = broker.create_topic(unique("customers"), 1, COMPACTED)
    broker.produce(topic, [row("U1", {"s": "old"})])
    opened = open_with({"c": {"topic": topic}}, {"s": 'c[?user].?s.orValue("none")'})
    tables: Tables = opened.host._tables
    empty = Batch([], [], [], [], [], [], [], NOW)
    with tables.batch(empty) as rows:
        broker.produce(topic, [row("U1", {"s": "new"}), row("U2", {"s": "new"})])
        opened.until(lambda: tables._lock.acquire(blocking=False))
        assert dict(rows["c"]) == {"U1": {"s": "old"}}
        tables._lock.release()
    opened.until(lambda: dict(tables.rows["c"]) == {"U1": {"s": "new"}, "U2": {"s": "new"}})


def test_a_column_may_name_the_row(broker: Kafka, open_with: Open) -> None:
    """With `key`, a row moves when its column changes, and the Kafka key's tombstone deletes it."""
    topic = broker.create_topic(unique("devices"), 1, COMPACTED)
    broker.produce(topic, [row("k1", {"id": 1, "x": "a"}), row("k2", {"id": 2, "x": "b"}), row("k1", None)])
    broker.produce(topic, [row("k2", {"id": 3, "x": "c"}), row("k4", {"x": "without"})])
    opened = open_with({"d": {"topic": topic, "key": "id"}}, {"x": "d[?string(n)].?x.orValue('none')"})

    assert [one["x"] for one in opened.metadata({"n": 1}, {"n": 2}, {"n": 3})] == ["none", "none", "c"]


def test_a_table_of_scope_partition_holds_the_partitions_of_the_worker(
    broker: Kafka, open_with: Open
) -> None:
    """Rows of a partition are read before it is worked on, and forgotten when it goes."""
    source, topic = broker.create_topic(unique("in"), 2), broker.create_topic(unique("c"), 2, COMPACTED)
    broker.produce(topic, [row("a", {"x": 1}, 0), row("b", {"x": 2}, 1)])
    opened = open_with(
        {"c": {"topic": topic, "scope": "partition"}}, {"x": "c[?k].?x"}, source={"topics": [source]}
    )
    tables = opened.host.tables
    assert dict(tables["c"]) == {}
    opened.host.own({0})
    assert set(tables["c"]) == {"a"}
    opened.host.own({0, 1})
    assert set(tables["c"]) == {"a", "b"}
    opened.host.own({1})
    opened.until(lambda: set(tables["c"]) == {"b"})
    broker.produce(topic, [row("later", {"x": 3}, 1), row("not ours", {"x": 3}, 0)])
    opened.until(lambda: set(tables["c"]) == {"b", "later"})
    opened.host.own({0, 1})
    assert set(tables["c"]) == {"a", "b", "later", "not ours"}


def test_topics_that_do_not_fit_are_told(
    broker: Kafka, open_with: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing topic, a wrong number of partitions and a table too large end the run with a reason."""
    with pytest.raises(EnvironmentFault, match="there is no topic nowhere, which the table 'c' reads"):
        open_with({"c": {"topic": "nowhere"}}, {"x": "c[?k].?x"})
    source, topic = broker.create_topic(unique("in"), 2), broker.create_topic(unique("c"), 1, COMPACTED)
    with pytest.raises(EnvironmentFault, match="the table 'c' has scope partition"):
        open_with(
            {"c": {"topic": topic, "scope": "partition"}}, {"x": "c[?k].?x"}, source={"topics": [source]}
        )
    broker.produce(topic, [row(f"k{n}", {}) for n in range(5)])
    monkeypatch.setattr(limits, "MAX_ROWS", 3)
    with pytest.raises(StateError, match="the table 'c' grows too large"):
        open_with({"c": {"topic": topic}}, {"x": "c[?k].?x"})


def probe(cell: str, rtt: float) -> tuple[str, str]:
    """A record about how a cell behaves."""
    return cell, json.dumps({"cell_id": cell, "rtt": rtt})


def test_a_window_over_another_topic_is_a_table(broker: Kafka, open_with: Open) -> None:
    """Rows are what came of their key in the last minute, of all partitions; stale ones are absent."""
    probes = broker.create_topic(unique("probes"), 3)
    broker.produce(probes, [probe("c1", rtt) for rtt in range(1, 101)], timestamp=now() - 300_000)
    broker.produce(probes, [probe("c1", 10.0 * n) for n in range(1, 101)] + [probe("c2", 7.0), ("c3", "no")])
    broker.produce(probes, [probe("c4", 9.0)], timestamp=now() - 40_000)
    opened = open_with(
        {
            "cells": {
                "from": probes,
                "key": "cell_id",
                "window": {
                    "over": "1m",
                    "aggregate": {"rtt": {"quantile": "rtt", "q": 0.95}, "n": "count", "top": {"max": "rtt"}},
                },
                "stale_after": "30s",
            }
        },
        {"n": "cells[?id].?n.orValue(0)", "rtt": "cells[?id].?rtt.orValue(-1.0)", "row": "cells[id]"},
    )

    def seen(cell: str, ahead_ms: int = 0) -> dict[str, Any]:
        return opened.metadata({"id": cell}, now_ms=now() + ahead_ms)[0]

    found = seen("c1")
    assert found["n"] == 100
    assert found["rtt"] == pytest.approx(950.0, rel=0.011)
    assert found["row"] == {"rtt": found["rtt"], "n": 100, "top": 1000.0}
    assert (seen("c2")["n"], seen("c3")["n"], seen("c4")["n"]) == (1, 0, 0)
    assert seen("c1", 35_000)["n"] == 0
    broker.produce(probes, [probe("c3", 5.0)])
    opened.until(lambda: seen("c3")["n"] == 1)
    opened.host.count_requests()
    assert opened.host.metrics.snapshot()["pointsman_table_unusable_total"] == {("cells",): 1}


def test_what_was_decided_is_a_table(pipeline: Pipeline) -> None:
    """`$decisions`: a rule sees what each key has spent by the decisions made so far."""
    pipeline.document["tables"] = {
        "spent": {
            "from": "$decisions",
            "key": "event.k",
            "window": {
                "over": "1h",
                "aggregate": {"events": "count", "cost": {"sum": 'result.model == "fast" ? event.n : 0'}},
            },
        }
    }
    pipeline.document["enrich"] = {"before": "spent[?k].?cost.orValue(0.0)"}
    pipeline.send(events(30, keys=3))
    pipeline.run("--until-idle", "0.5")
    assert {d["metadata"]["before"] for d in pipeline.decisions()} == {0.0}
    pipeline.send(events(3, keys=3))
    pipeline.run("--until-idle", "0.5")
    wanted = {f"k{key}": float(sum(range(key, 30, 3))) for key in range(3)}
    second = [d for d in pipeline.decisions() if d["metadata"]["before"]]
    assert {d["event"]["k"]: d["metadata"]["before"] for d in second} == wanted


FUNCTIONS = """
import asyncio, threading
asked = []
gate = threading.Event()

def profiles(keys):
    asked.append(sorted(keys))
    return [{"segment": key.lower()} if key != "U0" else None for key in keys]

async def awaited(keys):
    await asyncio.sleep(0)
    return [{"segment": "async " + key} for key in keys]

class Service:
    def __init__(self):
        self.calls = 0
    def predict(self, keys):
        self.calls += 1
        return [{"next": key + "!", "calls": self.calls} for key in keys]

def late(keys):
    asked.append(keys)
    gate.wait(20)
    return [{"segment": "late"} for _ in keys]

def wrong(keys):
    return [{"segment": "x"}]

def partly(keys):
    return [ValueError("unknown") if key == "U1" else {"segment": key} for key in keys]
"""


def lookup(table: str, key: str = "user", take: str = "segment", **more: Any) -> dict[str, Any]:
    """A look-up."""
    return {"lookup": table, "key": key, "take": take, **more}


def hooks(opened: Opened) -> Any:
    """The module of the document's functions."""
    function = opened.host._tables._functions["t"]._hook
    return function.__globals__


def test_a_function_is_asked_once_for_a_batch(open_with: Open) -> None:
    """Its keys go together, each once, and what it said is kept; None is no row."""
    opened = open_with(
        {"t": {"python": "hooks:profiles", "cache": "5m", "timeout": "20s"}},
        {"segment": lookup("t", default="new")},
        FUNCTIONS,
    )
    users = [{"user": f"U{n % 5}"} for n in range(40)]
    found = opened.metadata(*users)
    assert [one["segment"] for one in found[:5]] == ["new", "u1", "u2", "u3", "u4"]
    opened.metadata(*users, {"user": "U9"}, {"other": 1})

    assert hooks(opened)["asked"] == [["U0", "U1", "U2", "U3", "U4"], ["U9"]]


@pytest.mark.parametrize(
    ("function", "take", "wanted"),
    [("awaited", "segment", ["async U1", "async U2"]), ("Service", "calls", [1, 1])],
)
def test_a_function_may_be_awaited_or_an_object(
    open_with: Open, function: str, take: str, wanted: list[Any]
) -> None:
    """`async def` is awaited; a class is built once and its `predict` called."""
    opened = open_with(
        {"t": {"python": f"hooks:{function}", "timeout": "20s"}}, {"x": lookup("t", take=take)}, FUNCTIONS
    )
    assert [one["x"] for one in opened.metadata({"user": "U1"}, {"user": "U2"})] == wanted
    assert [one["x"] for one in opened.metadata({"user": "U1"}, {"user": "U2"})] == wanted


def test_one_look_up_may_give_the_key_of_another(open_with: Open) -> None:
    """Keys are made of the event, expressions and earlier look-ups, whatever they read."""
    opened = open_with(
        {
            "s": {"python": "hooks:Service", "timeout": "20s"},
            "t": {"python": "hooks:profiles", "timeout": "20s"},
        },
        {
            "who": "user + headers.?region.orValue('-') + string(now.getFullYear())",
            "next": lookup("s", "who", "next"),
            "segment": lookup("t", "next + event.user"),
        },
        FUNCTIONS,
    )
    assert opened.metadata({"user": "U1"}) == [
        {"who": "U1-2025", "next": "U1-2025!", "segment": "u1-2025!u1"}
    ]


def test_what_is_late_is_absent_and_taken_when_it_comes(open_with: Open) -> None:
    """A batch waits no longer than `timeout`; the answer serves later ones."""
    opened = open_with(
        {"t": {"python": "hooks:late", "timeout": "1ms"}}, {"segment": lookup("t", default="new")}, FUNCTIONS
    )
    assert opened.metadata({"user": "U1"}) == [{"segment": "new"}]
    opened.metadata({"user": "U1"})  # it failed just now: it is not asked again at once
    assert hooks(opened)["asked"] == [["U1"]]
    hooks(opened)["gate"].set()
    opened.until(lambda: opened.metadata({"user": "U1"}) == [{"segment": "late"}])
    opened.host.count_requests()
    failed = opened.host.metrics.snapshot()["pointsman_table_failures_total"]
    assert failed == {("t", "timeout"): 1}


@pytest.mark.parametrize(
    ("function", "wanted", "said"),
    [
        ("wrong", ["new", "new"], "it returned 1 rows, not a list of 2 rows"),
        ("partly", ["new", "U2"], "for 'U1' it gave ValueError: unknown"),
    ],
)
def test_what_a_function_gives_wrong_is_absent(
    open_with: Open, function: str, wanted: list[str], said: str
) -> None:
    """Rows that cannot be used fall to the look-up's default, and why is said."""
    opened = open_with(
        {"t": {"python": f"hooks:{function}", "timeout": "20s"}},
        {"segment": lookup("t", default="new")},
        FUNCTIONS,
    )
    assert [one["segment"] for one in opened.metadata({"user": "U1"}, {"user": "U2"})] == wanted
    opened.host.refresh_tables(opened.say)
    assert any(name == "table_note" and said in fields["problem"] for name, fields in opened.said)


def test_a_run_reads_its_tables_first_and_writes_enriched_events(pipeline: Pipeline) -> None:
    """The first decision sees the whole topic; `write.enriched` gets what models get, for each decision."""
    topic = pipeline.kafka.create_topic(unique("c"), 2, COMPACTED)
    pipeline.kafka.produce(topic, [row(f"k{n}", {"tier": n % 3}) for n in range(20)])
    pipeline.document["tables"] = {"c": {"topic": topic, "scope": "global"}}
    pipeline.document["delivery"] = "exactly_once"
    pipeline.document["enrich"] = {"tier": {"lookup": "c", "key": "k", "take": "tier"}}
    pipeline.document["write"] = {"enriched": f"{pipeline.name}.enriched", "redact": {"kind": "drop"}}
    pipeline.send(events(300))
    run = pipeline.run("--until-idle", "0.5", "--workers", "2")

    assert run.summary["decisions"] == 300
    assert all(d["metadata"]["tier"] == int(d["event"]["k"][1:]) % 3 for d in pipeline.decisions())
    enriched = pipeline.kafka.consume_all(f"{pipeline.name}.enriched")
    assert len(enriched) == 300
    one = json.loads(enriched[0].value())
    assert list(one) == ["v", "id", "time", "key", "event", "metadata"]
    assert one["key"] == enriched[0].key().decode() == one["event"]["k"]
    assert one["metadata"] == {"tier": int(one["event"]["k"][1:]) % 3}
    assert "kind" not in one["event"]
