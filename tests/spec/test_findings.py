"""What people read about a wrong document: every mistake at once, where it stands, and what to do."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.cli.main import app
from pointsman.spec import check
from pointsman.spec.show import show, summary

GOLDEN = Path(__file__).parent / "golden"
ENVIRONMENT = {"NO_COLOR": "1"}

FILES = {
    "twenty": ["twenty.yaml"],
    "unquoted": ["unquoted.yaml"],
    "styles": ["styles.yaml"],
    "overlay": ["base.yaml", "prod.yaml"],
    "indentation": ["indentation.yaml"],
    "bracket": ["bracket.yaml"],
    "quote": ["quote.yaml"],
}


@pytest.mark.parametrize("name", FILES)
def test_findings_read_as_they_did(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The findings of a wrong document are those of the golden file (UPDATE_GOLDEN=1 writes it anew)."""
    monkeypatch.chdir(GOLDEN)
    first, *overlays = FILES[name]
    found = check(first, overlays, {})
    text = f"{show(found)}\n\n{summary(found)}\n"

    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


def test_twenty_mistakes_are_twenty_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with twenty different mistakes gets twenty findings, one on each line that has one."""
    monkeypatch.chdir(GOLDEN)
    found = check("twenty.yaml", environment={})
    lines = Path("twenty.yaml").read_text("utf-8").splitlines()
    numbered = {number for number, line in enumerate(lines, 1) if re.search(r"# \d+ ", line)}

    assert len(found) == 20
    assert {finding.line for finding in found} == numbered
    assert all(finding.hint for finding in found)


def test_check_prints_findings_and_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prints what the golden file holds, and a line that counts."""
    monkeypatch.chdir(GOLDEN)
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    done = CliRunner().invoke(app, ["check", "twenty.yaml"], env=ENVIRONMENT)

    assert done.exit_code == 1
    shown, counted = Path("twenty.txt").read_text("utf-8").split("\n\n")
    assert done.stdout == f"{shown}\n\ntwenty.yaml: {counted}"
