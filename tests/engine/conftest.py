"""A policy from a few lines of YAML, decided without a broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pointsman.base.records import Batch, DeadLetter
from pointsman.engine.build import build
from pointsman.engine.decide import Decided, decide
from pointsman.engine.finish import finish
from pointsman.engine.policy import Policy
from pointsman.spec import load

NOW = 1_760_000_000_050

MODELS = """
version: 1
pipeline: p
source: {topics: [in]}
models:
  a: {python: "m:f", inputs: {}}
  b: {python: "m:f", inputs: {}}
  c: {python: "m:f", inputs: {}}
"""


def batch_of(values: Sequence[Any], **columns: Any) -> Batch:
    """Records 0, 1, … of partition 0; dicts are encoded."""
    raw = [json.dumps(v).encode() if isinstance(v, dict) else v for v in values]
    n = len(raw)
    return Batch(
        values=raw,
        keys=columns.get("keys", [None] * n),
        topics=["in"] * n,
        partitions=[0] * n,
        offsets=list(range(n)),
        timestamps=columns.get("timestamps", [1_700_000_000_000] * n),
        headers=columns.get("headers", [None] * n),
        now_ms=NOW,
    )


class Case:
    """A policy and what it makes of events."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def decide(
        self, *values: Any, tables: Mapping[str, Any] | None = None, reply: Any = None, **columns: Any
    ) -> Decided:
        """Decides and finishes; every model answers `reply`, or what it gives for a row."""
        decided = decide(batch_of(values, **columns), tables or {}, self.policy)
        for call in decided.calls:
            answers = [reply(row) if callable(reply) else reply for row in call.ready()]
            finish(decided, call, answers, 1.5)
        return decided

    def record(self, value: Any, **rest: Any) -> dict[str, Any]:
        """The decision record of one event."""
        (written,) = self.decide(value, **rest).values
        assert written is not None
        return json.loads(written)

    def letter(self, value: Any, **rest: Any) -> DeadLetter:
        """The dead letter of one event."""
        ((_, letter),) = self.decide(value, **rest).dead
        return letter

    def route(self, value: Any, **rest: Any) -> str:
        """The route one event took."""
        return str(self.record(value, **rest)["decision"]["route"])


@pytest.fixture
def case(tmp_path: Path) -> Callable[..., Case]:
    """Makes a case of a document; `MODELS` stands before it unless it has its own models."""
    (tmp_path / "m.py").write_text("def f(rows):\n    return rows\n")

    def make(text: str, conditions: Mapping[str, Any] | None = None, **files: str) -> Case:
        for name, content in files.items():
            (tmp_path / name.replace("_csv", ".csv")).write_text(content)
        path = tmp_path / "pipeline.yaml"
        path.write_text(text if "version: 1" in text else MODELS + text)
        return Case(build(load(path), {}, conditions))

    return make
