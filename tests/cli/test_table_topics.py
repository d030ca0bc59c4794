"""The topics of tables, as `topics`, `check --live` and `explain` see them."""

from __future__ import annotations

import json
from pathlib import Path

from cli.conftest import Pointsman
from kafka import Kafka, unique
from pointsman.bus.topics import Topics


def document(folder: Path, kafka: str, source: str, tables: str) -> Path:
    """A pipeline with these tables."""
    (folder / "hooks.py").write_text("def model(rows):\n    return rows\n")
    path = folder / "pipeline.yaml"
    path.write_text(f"""\
pipeline: {unique("p")}
kafka: {{bootstrap.servers: "{kafka}"}}
source: {{topics: [{source}]}}
tables: {tables}
enrich: {{tier: 't[?k].?tier.orValue("none")'}}
models: {{m: {{python: "hooks:model"}}}}
routes: [{{name: all, use: m}}]
""")
    return path


def test_the_topics_of_tables_are_created_checked_and_read(
    broker: Kafka, tmp_path: Path, pointsman: Pointsman
) -> None:
    """A missing one is found and made, compacted and as wide as the source; then its rows are explained."""
    source, topic = broker.create_topic(unique("in"), 3), unique("profiles")
    path = document(tmp_path, broker.bootstrap, source, f"{{t: {{topic: {topic}, scope: partition}}}}")

    found = json.loads(pointsman("check", path, "--live", "--json").out)["findings"]
    assert [(one["code"], one["line"]) for one in found] == [("E425", 4)]
    assert topic in pointsman("topics", path, "--create").out
    rows = json.loads(pointsman("topics", path, "--json").out)["topics"]
    (shown,) = [row for row in rows if row["topic"] == topic]
    assert (shown["role"], shown["partitions"]) == ("table t", 3)
    made = Topics(broker.client_config).describe([topic])[topic]
    assert made is not None
    assert made.config["cleanup.policy"] == "compact"
    assert pointsman("check", path, "--live").code == 0

    broker.produce(topic, [("U1", '{"tier": "gold"}')])
    told = json.loads(pointsman("explain", path, "--event", '{"k": "U1"}', "--json").out)
    assert told["metadata"] == [{"name": "tier", "value": "gold"}]


def test_a_topic_that_does_not_suit_a_table_is_pointed_out(
    broker: Kafka, tmp_path: Path, pointsman: Pointsman
) -> None:
    """One that is not compacted is a warning, one of another width an error where partitions matter."""
    source, topic = broker.create_topic(unique("in"), 3), broker.create_topic(unique("c"), 2)
    path = document(tmp_path, broker.bootstrap, source, f"{{t: {{topic: {topic}, scope: partition}}}}")

    found = json.loads(pointsman("check", path, "--live", "--json").out)["findings"]
    assert {one["code"]: one["severity"] for one in found} == {"W426": "warning", "E427": "error"}


def test_without_a_broker_a_topic_has_no_rows(tmp_path: Path, pointsman: Pointsman) -> None:
    """`explain` says so and goes on; `test` takes the case's rows; `check --live` names the broker."""
    path = document(tmp_path, "localhost:1", "in", "{t: {topic: profiles}}")
    done = pointsman("explain", path, "--event", '{"k": "U1"}', "--json")
    assert json.loads(done.out)["metadata"] == [{"name": "tier", "value": "none"}]
    assert "tables made of profiles have no rows" in done.err

    (tmp_path / "pipeline_test.yaml").write_text("""\
- name: rows are given
  event: {k: U1}
  tables: {t: {U1: {tier: gold}}}
  want: {metadata: {tier: gold}}
- name: rows are not given
  event: {k: U1}
  want: {metadata: {tier: none}}
""")
    assert pointsman("test", path).code == 0
    found = json.loads(pointsman("check", path, "--live", "--json").out)["findings"]
    assert [one["code"] for one in found] == ["E501"]
