"""Metadata fields that a person's function or a model in this process gives, once a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.base.errors import SpecError
from pointsman.base.records import Batch
from pointsman.runner.host import Host
from pointsman.spec import check, load

DOCUMENT = """version: 1
pipeline: p
source: {topics: [in], fields: {country: string, amount: double}}
enrich:
  place: {python: "hooks:locate", default: nowhere}
  anomaly: {model: odd, take: score}
models:
  odd: {python: "hooks:odd", inputs: {amount: amount, place: place}, outputs: {score: "reply.s * 2.0"}}
  m: {python: "hooks:answer", inputs: {}}
routes:
  - {name: strange, when: anomaly > 100.0, use: m}
  - {name: ordinary, use: m}
"""
HOOKS = """
CALLS = []

def locate(events):
    CALLS.append(len(events))
    return [e["event"].get("country") or LookupError("no country") for e in events]

def odd(rows):
    return [{"s": row["amount"]} if row["place"] != "XX" else {} for row in rows]

def answer(rows):
    return [1 for _ in rows]
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The document beside its functions."""
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "p.yaml").write_text(DOCUMENT)
    return tmp_path / "p.yaml"


def decided(host: Host, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """The heads of the records."""
    raw: list[bytes | None] = [json.dumps(event).encode() for event in events]
    n = len(raw)
    columns: Any = ([None] * n, ["in"] * n, [0] * n, list(range(n)), [0] * n, [None] * n)
    found = host.decide(Batch(raw, *columns, 0))
    heads = sorted(head for call in found.calls for head in call.heads)
    return [json.loads(head + b"0}") for head in heads]


def test_fields_are_asked_once_for_a_batch(document):
    """The function's value, the model's output, and what stands in where one event alone has none."""
    host = Host.open(load(document))
    try:
        one, two, three = decided(
            host, {"country": "SG", "amount": 60.0}, {"amount": 1.0}, {"country": "XX", "amount": 1.0}
        )
    finally:
        host.close()
    assert one["metadata"] == {"place": "SG", "anomaly": 120.0}
    assert one["decision"]["route"] == "strange"
    assert two["metadata"] == {"place": "nowhere", "anomaly": 2.0}
    assert three["metadata"] == {"place": "XX"}
    assert three["decision"]["errors"][0]["at"] == "enrich.anomaly"


def test_a_function_that_is_not_there_is_told_with_its_place(document):
    """As a model's is: with the line of the field."""
    document.write_text(DOCUMENT.replace("hooks:locate", "hooks:lokate"))
    with pytest.raises(SpecError) as caught:
        Host.open(load(document))
    assert "p.yaml:5" in str(caught.value)
    assert "module 'hooks' has no 'lokate'" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("place: place}", "place: later}", "read 'later', which is not added before this field"),
        ('{python: "hooks:odd",', "{http: 'http://127.0.0.1:1/x',", "is reached over a wire"),
    ],
)
def test_a_model_must_be_one_that_can_be_asked_by_then(document, old, new, said):
    """It runs in this process and its inputs are known before its field is."""
    text = DOCUMENT.replace(old, new).replace("take: score}\n", "take: score}\n  later: '1'\n")
    document.write_text(text)
    assert any(finding.code == "E242" and said in finding.message for finding in check(document))
