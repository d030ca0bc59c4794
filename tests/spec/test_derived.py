"""What is derived from the declarations: JSON Schemas and reference pages."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pointsman.spec import check, kinds
from pointsman.spec.cases import CaseKeys, Stub, WantKeys
from pointsman.spec.components import REGISTRIES
from pointsman.spec.dispatch import ConstantKeys, EndpointKeys, LagKeys
from pointsman.spec.expressions import Expressions
from pointsman.spec.generate import ROOT, derived
from pointsman.spec.keys import Common, Keys, Limits, PythonCondition, RouteKeys, Source, Write
from pointsman.spec.later import STEP
from pointsman.spec.node import Node
from pointsman.spec.place import File
from pointsman.spec.read import BAD, Reader, declared
from pointsman.spec.schema import pipeline_schema
from pointsman.spec.yaml import parse

DERIVED = derived()
DOCUMENTS = [
    *ROOT.glob("examples/*/pipeline.yaml"),
    ROOT / "src/pointsman/cli/templates/starter/pipeline.yaml",
]


@pytest.mark.parametrize("name", DERIVED)
def test_derived_files_are_fresh(name: str) -> None:
    """A derived file is what the declarations say now; `make generate` writes it anew."""
    assert (ROOT / name).read_text("utf-8") == DERIVED[name], f"{name} is stale: run make generate"


@pytest.mark.parametrize("name", ["pipeline", "decision", "request", "result", "dead-letter"])
def test_schemas_are_schemas(name: str) -> None:
    """Each JSON Schema is valid as such."""
    Draft202012Validator.check_schema(json.loads(DERIVED[f"schemas/{name}.schema.json"]))


def tree(text: str) -> Node:
    """The tree of a text that has nothing wrong."""
    root, findings = parse(File("f.yaml", text))
    assert findings == []
    assert root is not None
    return root


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.parent.name)
def test_the_schema_takes_documents_that_load(path: Path) -> None:
    """What the loader takes, the editor's schema takes."""
    Draft202012Validator(pipeline_schema()).validate(tree(path.read_text("utf-8")).plain())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pipeline: payments", "pipline: payments"),
        ("pipeline: payments", "pipeline: Payments"),
        ("topics: [transactions]", "topics: transactions"),
        ("amount: double", "amount: number"),
        ("take: segment", "tke: segment"),
        ("use: baseline", "use: [baseline]"),
        ("baseline: 80%", "baseline: 0.8"),
        ("name: ios, ", ""),
        ("version: 1\n", "version: 2\n"),
        ("pipeline: payments", "pipeline: payments\ndelivery: exactly"),
        ("pipeline: payments", "pipeline: payments\nfeedback: {}"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str) -> None:
    """Mistakes that a schema can see, an editor shows."""
    text = (ROOT / "examples/payments/pipeline.yaml").read_text("utf-8")
    assert old in text
    assert not Draft202012Validator(pipeline_schema()).is_valid(tree(text.replace(old, new, 1)).plain())


CONFIGS = [
    ConstantKeys,
    EndpointKeys,
    LagKeys,
    Keys,
    Source,
    Common,
    RouteKeys,
    PythonCondition,
    Limits,
    Write,
    CaseKeys,
    Stub,
    WantKeys,
]


def declarations() -> Iterator[tuple[str, Any]]:
    """Every declared key, of sections and components."""
    components: list[Any] = [component for registry in REGISTRIES.values() for _, component in registry]
    for cls in [*CONFIGS, *(component.Config for component in components)]:
        for name, key in declared(cls).items():
            yield f"{cls.__qualname__}.{name}", key


@pytest.mark.parametrize(
    ("name", "key"), list(declarations()), ids=lambda part: part if isinstance(part, str) else ""
)
def test_a_declaration_is_whole(name: str, key: Any) -> None:
    """A key says what it means in a sentence, and its example is a value that it takes."""
    assert key.meaning.endswith("."), name
    if not key.example or key.step > STEP or "${" in key.example:
        return
    expressions = Expressions()
    expressions.declare(None, ("customers",))
    reader = Reader(ROOT / "examples" / "payments", expressions, None, kinds.read)
    value = reader.read(key.kind, tree(f"x: {key.example}").members["x"])
    only_missing = {finding.code for finding in reader.findings} == {"E216"}  # a file that is not there
    assert value is not BAD or only_missing, (name, reader.findings)


EXAMPLES = [(role, name) for role, registry in REGISTRIES.items() for name, _ in registry]


@pytest.mark.parametrize(("role", "name"), EXAMPLES, ids="-".join)
def test_the_example_of_a_component_is_right(tmp_path: Path, role: str, name: str) -> None:
    """What the reference shows of a component stands in a document without a mistake."""
    component: Any = REGISTRIES[role].get(name)
    place = {
        "enricher": "enrich: {x: %s}",
        "model": "models: {x: %s}",
        "strategy": "routes: [{name: x, use: %s}]",
        "table": "tables: {x: %s}",
    }
    folder = Path(shutil.copytree(ROOT / "examples" / "payments", tmp_path / "payments"))
    overlay = folder / "overlay.yaml"
    both = "{python: 'baseline:predict'}"
    overlay.write_text(f"models: {{stable: {both}, candidate: {both}}}\n", "utf-8")
    (folder / "scoring.proto").write_text('syntax = "proto3";\n', "utf-8")
    example = folder / "example.yaml"
    example.write_text((place[role] % component.example()) + "\nsource: {fields: {spend: double}}\n", "utf-8")
    found = check(folder / "pipeline.yaml", [overlay, example], {})

    assert [finding for finding in found if finding.severity == "error"] == []


RECORD: dict[str, Any] = {
    "v": 1,
    "id": "t-91",
    "time": 1760000000000,
    "decided_at": 1760000000050,
    "source": {"topic": "transactions", "partition": 3, "offset": 1729, "key": "U8723"},
    "event": {"txn_id": "t-91", "user_id": "U8723", "amount": 1020},
    "metadata": {"risk_level": "medium", "segment": "gold"},
    "decision": {
        "route": "singapore-large",
        "strategy": "split",
        "model": "fraud-model-v2",
        "propensity": 0.05,
        "reason": "rule",
        "policy": "17@9f2c41d0",
        "unit": "U8723",
        "candidates": {"fraud-model-v1": 0.95, "fraud-model-v2": 0.05},
    },
    "result": {
        "status": "ok",
        "model": "fraud-model-v2",
        "output": {"score": 0.83},
        "model_version": "3",
        "latency_ms": 4.2,
    },
}


def decision() -> Draft202012Validator:
    return Draft202012Validator(json.loads(DERIVED["schemas/decision.schema.json"]))


def test_the_record_of_the_documentation_is_a_record() -> None:
    """The example of a decision record fits its schema, with and without what only some have."""
    decision().validate(RECORD)
    spare = copy.deepcopy(RECORD)
    for part, names in {"decision": ("unit", "candidates"), "result": ("output", "model_version")}.items():
        for name in names:
            del spare[part][name]
    decision().validate(spare)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("v",), 2),
        (("id",), 7),
        (("source", "key"), 7),
        (("source", "offset"), -1),
        (("event",), [1]),
        (("decision", "propensity"), 0),
        (("decision", "reason"), "luck"),
        (("decision", "policy"), "9f2c41d0"),
        (("decision", "errors"), [{"at": "x"}]),
        (("result", "status"), "fine"),
        (("result", "attempts"), [{"model": "m", "status": "failed", "class": "tired"}]),
    ],
)
def test_the_schema_refuses_what_is_no_record(path: tuple[str, ...], value: object) -> None:
    """A record with a wrong member does not fit."""
    record = copy.deepcopy(RECORD)
    part = record
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value

    assert not decision().is_valid(record)


def test_every_required_member_is_required() -> None:
    """What the documentation promises in every record cannot be left out."""
    for name in RECORD:
        assert not decision().is_valid({key: value for key, value in RECORD.items() if key != name})


def test_every_attempt_has_its_place_in_the_record() -> None:
    """A record of an event that another model, or a constant, answered fits the schema."""
    record = copy.deepcopy(RECORD)
    record["result"] = {
        "status": "fallback",
        "model": "constant",
        "output": {"score": 0.5},
        "cost": 0.002,
        "attempts": [
            {"model": "fraud-model-v2", "status": "failed", "class": "timeout", "latency_ms": 50.1},
            {"model": "fraud-model-v1", "status": "ok", "latency_ms": 2.0},
        ],
    }
    decision().validate(record)
    for status in ("dispatched", "expired"):
        decision().validate({**RECORD, "result": {"status": status, "model": "m"}})


def test_a_request_fits_its_schema() -> None:
    """What a router hands to a dispatch worker fits, and nothing of it may be left out."""
    schema = Draft202012Validator(json.loads(DERIVED["schemas/request.schema.json"]))
    request: dict[str, Any] = {name: value for name, value in RECORD.items() if name != "result"}
    request |= {
        "key": "U8723",
        "deadline": 1760000000350,
        "plan": ["fraud-model-v2", "fraud-model-v1"],
        "policy": "17@9f2c41d0",
        "origin": {"timestamp": 1760000000000, "headers": [["trace", "t"]], "value": {"base64": "/w=="}},
    }
    schema.validate(request)
    schema.validate({**request, "deadline": None, "key": None})

    for name in request:
        assert not schema.is_valid({other: value for other, value in request.items() if other != name})
    assert not schema.is_valid({**request, "plan": []})


def test_a_result_fits_its_schema() -> None:
    """The result alone of a decision fits, and nothing of it may be left out."""
    schema = Draft202012Validator(json.loads(DERIVED["schemas/result.schema.json"]))
    chosen = {name: RECORD["decision"][name] for name in ("route", "model", "policy")}
    result = {name: RECORD[name] for name in ("v", "id", "time", "result")} | {"decision": chosen}
    schema.validate(result)

    for name in result:
        assert not schema.is_valid({other: value for other, value in result.items() if other != name})
    for name in chosen:
        less = {other: value for other, value in chosen.items() if other != name}
        assert not schema.is_valid({**result, "decision": less})


def test_a_dead_letter_fits_its_schema() -> None:
    """A dead letter as a line of JSON, and its headers in Kafka, fit the schema."""
    schema = json.loads(DERIVED["schemas/dead-letter.schema.json"])
    letter = {
        "id": "transactions-3-1729",
        "reason": "undecodable",
        "message": "not UTF-8: byte 7 is 0xff",
        "source": {"topic": "transactions", "partition": 3, "offset": 1729, "timestamp": 1760000000000},
        "key": None,
        "value": {"base64": "/w=="},
        "headers": [["trace", "t"], ["raw", {"base64": "/w=="}]],
    }
    headers = {
        "pointsman-id": "t-1",
        "pointsman-reason": "model_failed: baseline: timeout: no answer within 1 s",
        "pointsman-source": '{"topic": "transactions", "partition": 3, "offset": 1729}',
        "pointsman-attempts": "[]",
    }
    Draft202012Validator(schema).validate(letter)
    Draft202012Validator(schema["$defs"]["headers"]).validate(headers)

    assert not Draft202012Validator(schema).is_valid({**letter, "reason": "odd"})
    assert not Draft202012Validator(schema["$defs"]["headers"]).is_valid(
        {**headers, "pointsman-reason": "odd"}
    )
