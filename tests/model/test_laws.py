"""Laws of every protocol, and opening the models of a document."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pointsman.model
from model import graphs
from pointsman import spec
from pointsman.base.errors import SpecError
from pointsman.model.base import models
from pointsman.model.opening import open_models

HELPERS = {"base", "condition", "jsonlike", "maps", "opening", "plain", "pool", "raised", "tensors"}

DOCUMENT = """\
version: 1
pipeline: laws
source: {{topics: [events], fields: {{amount: double, spend: double, name: string}}}}
models:
{models}
routes:
  - {{name: only, use: first}}
"""


@pytest.fixture
def document(tmp_path: Path) -> Callable[..., Any]:
    """A function that loads a document with the given models, each as YAML."""
    (tmp_path / "baseline.py").write_text("def predict(rows): return [1.0] * len(rows)")
    (tmp_path / "models").mkdir()
    graphs.echo(tmp_path / "models" / "fraud_v2.onnx", graphs.FLOAT, ["n", 2])

    def loaded(**given: str) -> Any:
        path = tmp_path / "pipeline.yaml"
        path.write_text(
            DOCUMENT.format(models="\n".join(f"  {name}: {text}" for name, text in given.items()))
        )
        return spec.load(path)

    return loaded


def test_the_walk_misses_no_file() -> None:
    """Every file of the room but its helpers is a registered protocol of the same name."""
    files = {module.name for module in pkgutil.iter_modules(pointsman.model.__path__)}
    assert files - HELPERS == set(models.names())


@pytest.mark.parametrize("protocol", models.names())
def test_the_example_opens_and_answers(protocol: str, document: Callable[..., Any]) -> None:
    """Its example is a valid document, opens, gives one reply a row, and closes."""
    cls: Any = models.get(protocol)
    doc = document(first=cls.example())
    assert doc.models["first"].protocol == cls.protocol == protocol
    opened = open_models(doc, doc.folder)
    inputs = doc.models["first"].common.inputs
    row: Any = (
        {"id": "1", "time": 0, "key": None, "event": {}, "metadata": {}} if inputs is None else (1.0, 2.0)
    )
    assert len(opened["first"].predict([row] * 3)) == 3
    assert opened["first"].predict([]) in ([], ())
    opened["first"].close()


def test_every_model_that_does_not_fit_is_a_finding_at_its_place(document: Callable[..., Any]) -> None:
    """All findings come at once; what was opened is closed again."""
    doc = document(
        first='{python: "baseline:predcit"}',
        second="{onnx: models/fraud_v2.onnx, inputs: {amount: event.amount}, version: 3}",
        third='{python: "baseline:predict"}',
        fourth='{onnx: models/fraud_v2.onnx, inputs: {"amount": event.amount, name: event.name}}',
    )
    with pytest.raises(SpecError) as caught:
        open_models(doc, doc.folder)
    told = [(finding.line, finding.code, finding.message) for finding in caught.value.findings]
    assert told == [
        (5, "E413", "model 'first': module 'baseline' has no 'predcit' (in 'baseline:predcit')"),
        (6, "E402", "model 'second': input 'amount' is one double; fraud_v2.onnx takes 'x': float[2]"),
        (8, "E403", "model 'fourth': input 'name' is string; fraud_v2.onnx takes 'x': float[2]"),
    ]
