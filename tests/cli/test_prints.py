"""What people's models print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Pointsman


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--json"],
        ["test", "--json"],
        ["explain", "--event", "@events.jsonl", "--json"],
        ["run", "--events", "events.jsonl"],
    ],
)
def test_prints_of_models_stand_beside_the_output(pointsman: Pointsman, mine: Path, words: list[str]) -> None:
    """A model that prints for debugging does not break the JSON on standard output."""
    models = mine / "models.py"
    models.write_text("print('loaded')\n" + models.read_text().replace("return", "print('called'); return"))

    done = pointsman(*words, cwd=mine)

    assert done.code == 0
    for line in done.out.splitlines() if words[0] == "run" else [done.out]:
        json.loads(line)
    assert "loaded" in done.err
    assert ("called" in done.err) == (words[0] != "check")
