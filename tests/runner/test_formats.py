"""Events that name a schema of a registry, and CloudEvents, from Kafka to their decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from codec.registry import StandIn, standing_in
from pointsman.base.records import Batch
from pointsman.codec.avro import Avro
from pointsman.codec.registry import SchemaRegistry
from pointsman.codec.registry_keys import RegistryKeys
from pointsman.runner.dispatcher import Dispatcher
from pointsman.runner.router import Router
from pointsman.spec import load
from runner.pipelines import Pipeline, events


@pytest.fixture
def registry() -> Iterator[StandIn]:
    """A stand-in for a Schema Registry."""
    with standing_in() as stand_in:
        yield stand_in


def record(**fields: Any) -> dict[str, Any]:
    """An Avro record with these fields."""
    return {"type": "record", "name": "Event", "fields": [{"name": n, "type": t} for n, t in fields.items()]}


V1 = record(id="string", k="string", n="long", kind="string")
V2 = {**V1, "fields": [*V1["fields"], {"name": "tier", "type": ["null", "string"], "default": None}]}
V3 = record(id="string", k="string", n="string", kind="string")


def reads_avro(pipeline: Pipeline, registry: StandIn, **keys: Any) -> None:
    """Has the pipeline read Avro by the registry's schemas."""
    pipeline.document["source"] |= {"format": "avro", "registry": {"url": registry.url, **keys}}


def send(pipeline: Pipeline, registry: StandIn, schema: dict[str, Any], sent: list[dict[str, Any]]) -> None:
    """Writes events by a new version of the schema."""
    number = registry.add(schema)
    encode = Avro.encoder(SchemaRegistry(RegistryKeys(url=registry.url)).schema(number))
    pipeline.kafka.produce(pipeline.source, [(event["k"], encode(event)) for event in sent])


def test_a_schema_that_changes_is_taken_up(pipeline: Pipeline, registry: StandIn) -> None:
    """A new version is read while it runs; one that no longer fits, and an unknown one, are dead letters."""
    reads_avro(pipeline, registry)
    pipeline.document["enrich"] = {"tier": '"tier" in event && event.tier != null ? event.tier : "none"'}
    send(pipeline, registry, V1, list(events(20)))
    run = pipeline.start("--max-events", "61")
    run.wait_for("partitions_assigned")
    send(pipeline, registry, V2, [event | {"tier": "gold"} for event in events(20, start=20)])
    send(pipeline, registry, V3, [event | {"n": "many"} for event in events(20, start=40)])
    pipeline.kafka.produce(pipeline.source, [b"\0\0\0\0\x63never registered"])
    assert run.wait() == 0, (run.logs, run.errors)

    decisions = {d["event"]["n"]: d["metadata"]["tier"] for d in pipeline.decisions()}
    assert decisions == {n: "none" if n < 20 else "gold" for n in range(40)}
    reasons = [dict(m.headers())["pointsman-reason"].decode() for m in pipeline.dead_letters()]
    assert sorted(reasons) == sorted(
        ["schema: schema 3 does not fit: n is string, declared int"] * 20
        + ["schema: the Schema Registry has no schema with the id 99"]
    )
    assert registry.asked.count("/schemas/ids/2") == 2  # this test, and the worker once


def test_a_registry_that_is_down_loses_nothing(pipeline: Pipeline, registry: StandIn) -> None:
    """The worker stops when its patience ends, commits nothing, and the next run decides everything."""
    reads_avro(pipeline, registry, patience="300ms")
    send(pipeline, registry, V1, list(events(20)))
    registry.down = True
    run = pipeline.run("--until-idle", "0.5", code=3)
    assert "does not answer: not now" in f"{run.logs} {run.errors}"
    assert pipeline.dead_letters() == []
    registry.down = False
    pipeline.run("--until-idle", "0.5")
    assert sorted(d["event"]["n"] for d in pipeline.decisions()) == list(range(20))


def test_cloud_events_are_seen_alike_in_either_mode(pipeline: Pipeline) -> None:
    """Id, time and attributes come from the headers or from the envelope, the event is the data."""
    del pipeline.document["source"]["id"]
    pipeline.document["enrich"] = {"type": 'headers["ce_type"]', "form": 'headers["content-type"]'}
    data = {"k": "k1", "n": 7, "kind": "fast", "at": "x"}
    told = {
        "specversion": "1.0",
        "id": "ce-1",
        "source": "/here",
        "type": "paid",
        "time": "2026-01-31T12:00:00Z",
    }
    envelope = json.dumps({**told, "datacontenttype": "application/json", "data": data})
    pipeline.kafka.produce(
        pipeline.source,
        [("k1", envelope)],
        headers={"content-type": "application/cloudevents+json; charset=utf-8"},
    )
    binary = {"content-type": "application/json", **{f"ce_{name}": value for name, value in told.items()}}
    pipeline.kafka.produce(pipeline.source, [("k1", json.dumps(data))], headers=binary)
    broken = [("k1", json.dumps({"specversion": "1.0", "data": data}))]
    pipeline.kafka.produce(pipeline.source, broken, headers={"content-type": "application/cloudevents+json"})
    pipeline.run("--until-idle", "0.5")

    decisions = pipeline.decisions()
    assert len(decisions) == 2
    for decision in decisions:
        assert (decision["id"], decision["time"]) == ("ce-1", 1_769_860_800_000)
        assert decision["event"] == data
        assert decision["metadata"] == {"type": "paid", "form": "application/json"}
    (letter,) = pipeline.dead_letters()
    assert dict(letter.headers())["pointsman-reason"] == b"undecodable: the CloudEvent has no id"
    assert letter.value() == broken[0][1].encode()


def test_requests_carry_what_came(tmp_path: Path, registry: StandIn) -> None:
    """A dispatcher reads an event of any format, in an envelope or not, as the router did."""
    (tmp_path / "models.py").write_text("def told(rows):\n    return rows\n")
    number = registry.add(V1)
    event = {"id": "e1", "k": "k1", "n": 7, "kind": "paid"}
    encoded = Avro.encoder(SchemaRegistry(RegistryKeys(url=registry.url)).schema(number))(event)
    envelope = {"specversion": "1.0", "id": "ce-1", "source": "/here", "type": "paid", "data": event}
    structured = [("content-type", b"application/cloudevents+json")]
    avro = {"format": "avro", "registry": {"url": registry.url}}
    for keys, value, headers in (
        ({}, json.dumps(envelope).encode(), structured),
        (avro, encoded, [("ce_type", b"paid")]),
    ):
        document = {
            "version": 1,
            "pipeline": "p",
            "source": {"topics": ["t"], **keys},
            "models": {
                "told": {"python": "models:told", "outputs": {"n": "event.n", "type": 'headers["ce_type"]'}}
            },
            "routes": [{"name": "all", "use": "told"}],
        }
        path = tmp_path / "p.yaml"
        path.write_text(yaml.safe_dump(document))
        loaded, asked = load(path), Asked()
        router = Router.onto(asked, loaded)
        router.decide(one(value, headers))
        dispatcher = Dispatcher.of("told", loaded)
        decided = dispatcher.decide(one(asked.values[0], None))
        for call, ticket in dispatcher.ask(decided, decided.calls):
            dispatcher.finish(decided, call, ticket)
        record = json.loads(decided.values[0] or b"{}")
        assert record["event"] == event
        assert record["result"]["output"] == {"n": 7, "type": "paid"}
        assert decided.batch.record(0).value == value
        router.close()
        dispatcher.close()


class Asked:
    """Keeps the requests that a router writes."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def ask(self, _model: str, _keys: Any, values: Any, *_: Any) -> list[int]:
        """Takes all of them."""
        self.values += values
        return []


def one(value: bytes, headers: Any) -> Batch:
    """A batch of one record."""
    return Batch([value], [None], ["t"], [0], [0], [1], [headers], 2)
