"""Small documents for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pointsman.base.errors import Finding
from pointsman.spec import check, load
from pointsman.spec.document import Document

BASE = """\
pipeline: small
source:
  topics: [events]
  key: user_id
  fields: {user_id: string, amount: double, device: string}
models:
  baseline: {python: "baseline:predict"}
  other: {python: "baseline:predict"}
routes:
  - {name: large, when: amount > 10.0, use: other}
  - {name: rest, use: baseline}
"""


def write(folder: Path, text: str, name: str = "pipeline.yaml") -> Path:
    """A file of a document, beside a model's module and a table."""
    (folder / "baseline.py").write_text("def predict(rows):\n    return [0.5] * len(rows)\n", "utf-8")
    (folder / "customers.csv").write_text("user_id,segment\nU1,gold\n", "utf-8")
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def loaded(folder: Path, text: str = BASE, environment: Mapping[str, str] | None = None) -> Document:
    """The document of a text."""
    return load(write(folder, text), environment=environment or {})


def found(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> list[Finding]:
    """What is wrong with a text."""
    return check(write(folder, text), environment=environment or {})


def told(findings: list[Finding]) -> list[tuple[str, int, int]]:
    """Code, line and column of each."""
    return [(finding.code, finding.line, finding.column) for finding in findings]
