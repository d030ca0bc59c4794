"""The formats against a real Schema Registry and Kafka; `make test-servers` runs this."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kafka import Kafka
from pointsman.base.errors import EnvironmentFault
from pointsman.codec.base import codecs
from pointsman.codec.registry import SchemaRegistry, UnknownSchema
from pointsman.codec.registry_keys import RegistryKeys
from runner.pipelines import Pipeline, events
from servers import apicurio

AVRO = {
    "type": "record",
    "name": "Event",
    "fields": [{"name": name, "type": "string"} for name in ("id", "k", "kind")]
    + [{"name": "n", "type": "long"}],
}
MORE_AVRO = {**AVRO, "fields": [*AVRO["fields"], {"name": "tier", "type": "string", "default": "none"}]}
OTHER_AVRO = {
    **AVRO,
    "fields": [{"name": name, "type": "string"} for name in ("id", "k", "kind", "n", "tier")],
}
PROTO = (
    'syntax = "proto3"; package shop; '
    "message Event { string id = 1; string k = 2; string kind = 3; int64 n = 4; %s}"
)
JSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "k", "kind")} | {"n": {"type": "integer"}},
    "required": ["id", "n"],
}
MORE_JSON = {**JSON, "properties": JSON["properties"] | {"tier": {"type": "string"}}}  # type: ignore[operator]  # a literal
OTHER_JSON = {**MORE_JSON, "properties": MORE_JSON["properties"] | {"n": {"type": "string"}}}
VERSIONS = {
    "avro": ("AVRO", *map(json.dumps, (AVRO, MORE_AVRO, OTHER_AVRO))),
    "protobuf": (
        "PROTOBUF",
        PROTO % "",
        PROTO % "string tier = 5;",
        (PROTO % "string tier = 5;").replace("int64 n = 4", "string n = 4"),
    ),
    "json_schema": ("JSON", *map(json.dumps, (JSON, MORE_JSON, OTHER_JSON))),
}
FORMATS = tuple(VERSIONS)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running registry."""
    with apicurio.serve(tmp_path_factory.mktemp("apicurio")) as server:
        yield server.rest + apicurio.API


@pytest.fixture
def pipeline(broker: Kafka, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline with a fast Python model."""
    made = Pipeline(broker, tmp_path)
    yield made
    made.close()


def send(
    pipeline: Pipeline, registry: SchemaRegistry, form: str, text: str, sent: list[dict[str, Any]]
) -> int:
    """Writes events by a newly registered version of the schema; returns its id."""
    kind = VERSIONS[form][0]
    schema = registry.schema(registry.register(f"{pipeline.source}-value", kind, text).id)
    encode = codecs.get(form).encoder(schema)  # type: ignore[attr-defined]  # the formats of a registry have one
    pipeline.kafka.produce(pipeline.source, [(event["k"], encode(event)) for event in sent])
    return schema.id


@pytest.mark.parametrize("form", FORMATS)
def test_a_schema_that_changes_is_taken_up(pipeline: Pipeline, url: str, form: str) -> None:
    """A new version is read while the pipeline runs; events of one that does not fit are dead letters."""
    registry = SchemaRegistry(RegistryKeys(url=url))
    _, first, more, other = VERSIONS[form]
    pipeline.document["source"] |= {"format": form, "registry": {"url": url}}
    pipeline.document["enrich"] = {"tier": '"tier" in event ? event.tier : "none"'}
    send(pipeline, registry, form, first, list(events(50)))
    run = pipeline.start("--max-events", "150")
    run.wait_for("partitions_assigned")
    send(pipeline, registry, form, more, [e | {"tier": "gold"} for e in events(50, start=50)])
    changed = [e | {"tier": "gold", "n": str(e["n"])} for e in events(50, start=100)]
    last = send(pipeline, registry, form, other, changed)
    assert run.wait() == 0, (run.logs, run.errors)

    found = {d["event"]["n"]: d["metadata"]["tier"] for d in pipeline.decisions()}
    assert found == {n: "none" if n < 50 else "gold" for n in range(100)}
    reasons = [dict(m.headers())["pointsman-reason"].decode() for m in pipeline.dead_letters()]
    assert len(reasons) == 50
    assert all(reason.startswith(f"schema: schema {last} does not fit: ") for reason in reasons)
    assert all("n is string, declared int" in reason for reason in reasons)


@pytest.mark.parametrize("form", FORMATS)
def test_events_of_a_file_are_sent_by_a_schema(pipeline: Pipeline, url: str, form: str) -> None:
    """`send --schema` registers it and writes by it; `check --live` compares it with the document."""
    from typer.testing import CliRunner

    from pointsman.cli.main import app

    def pointsman(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    pipeline.document["source"] |= {"format": form, "registry": {"url": url}}
    file, schema = pipeline.folder / "events.jsonl", pipeline.folder / "schema"
    file.write_text("".join(json.dumps(event) + "\n" for event in events(30)))
    schema.write_text(VERSIONS[form][1])
    path = pipeline.write()
    assert "has no subject" in pointsman("check", path, "--live").output
    sent = pointsman("send", path, file, "--schema", schema)
    assert sent.exit_code == 0, sent.output
    assert pointsman("send", path, file).exit_code == 0
    pipeline.run("--until-idle", "0.5")
    assert sorted(d["event"]["n"] for d in pipeline.decisions()) == sorted([*range(30)] * 2)

    checked = pointsman("check", path, "--live")
    assert checked.exit_code == 0, checked.output
    pipeline.document["source"]["fields"] |= {"n": "bool", "nn": "int"}
    pipeline.document["enrich"] = {}
    checked = pointsman("check", pipeline.write(), "--live").output
    assert "E506: 'n' is int in the newest schema of" in checked
    assert "W507" in checked


def test_a_registry_says_why_it_does_not_take_a_schema(url: str) -> None:
    """What is no schema is refused with the registry's own words; what it does not have is unknown."""
    registry = SchemaRegistry(RegistryKeys(url=url))
    with pytest.raises(EnvironmentFault, match="answers 4"):
        registry.register("broken-value", "AVRO", "nonsense")
    with pytest.raises(UnknownSchema):
        registry.schema(1_000_000)
    with pytest.raises(UnknownSchema):
        registry.latest("nobody")
