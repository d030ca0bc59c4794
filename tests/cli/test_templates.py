"""What `init` and `demo` write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pointsman.cli.init import template_files

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "payments"
COPY = ROOT / "src" / "pointsman" / "cli" / "templates" / "payments"
LEFT_OUT = {"__init__.py", "run.py", "train.py", "golden.jsonl"}
"""What plays and trains the example; the demo does without."""


def _example() -> dict[str, bytes]:
    paths = (path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {
        path.relative_to(EXAMPLE).as_posix(): path.read_bytes()
        for path in paths
        if path.name not in LEFT_OUT and path.suffix != ".md"
    }


def test_the_demo_is_the_payments_example() -> None:
    """The wheel carries the example's files as they stand there; POINTSMAN_GOLDEN=write copies them anew."""
    wanted = _example()
    if os.environ.get("POINTSMAN_GOLDEN") == "write":
        for path, content in wanted.items():
            (COPY / path).parent.mkdir(parents=True, exist_ok=True)
            (COPY / path).write_bytes(content)

    assert template_files("payments") == wanted


@pytest.mark.parametrize("template", ["starter", "payments"])
def test_a_template_has_what_the_next_commands_need(template: str) -> None:
    """Each template has a pipeline, its cases and events."""
    assert {"pipeline.yaml", "pipeline_test.yaml", "events.jsonl"} <= set(template_files(template))
