"""Every document of the pages passes the product's own check."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import PAYMENTS, Block, blocks
from pointsman.cel import program
from pointsman.cel.program import Scope
from pointsman.cel.values import Timestamp
from pointsman.cli.check import opened
from pointsman.cli.servers import is_remote
from pointsman.spec import check, examine
from pointsman.spec.show import show


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The payments example, to be written over."""
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    return Path(shutil.copytree(PAYMENTS, tmp_path / "payments"))


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_whole_document_is_right(block: Block, folder: Path) -> None:
    """A document that stands in a page as a whole has no findings."""
    path = folder / "page.yaml"
    path.write_text(block.text, "utf-8")
    for proto in blocks("proto"):
        if proto.page == block.page:
            (folder / "scoring.proto").write_text(proto.text, "utf-8")
    document, findings = examine(path)
    assert findings == []
    assert document is not None
    assert not any(map(is_remote, document.models.values())) or opened(document) == []


@pytest.mark.parametrize("block", blocks("yaml fragment"), ids=str)
def test_a_part_fits_the_payments_pipeline(block: Block, folder: Path) -> None:
    """A part of a document, merged over the payments pipeline, has no findings."""
    overlay = folder / "overlay.yaml"
    overlay.write_text(block.text, "utf-8")
    assert check(folder / "pipeline.yaml", [overlay]) == []


@pytest.mark.parametrize("block", blocks("yaml mistakes"), ids=str)
def test_mistakes_are_told_as_the_page_says(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `check` says of a part with mistakes, called routes.yaml, stands below it."""
    told = next(after for after in blocks("text") if after.page == block.page and after.line > block.line)
    monkeypatch.chdir(folder)
    Path("routes.yaml").write_text(block.text, "utf-8")
    findings = check("pipeline.yaml", ["routes.yaml"])
    assert show(findings).splitlines() == told.text.splitlines()


@pytest.mark.parametrize("block", blocks("yaml cases"), ids=str)
def test_cases_pass(block: Block, folder: Path) -> None:
    """Test cases of a page pass, against the payments pipeline with the page's first part over it."""
    (folder / "pipeline_test.yaml").write_text(block.text, "utf-8")
    command = [sys.executable, "-m", "pointsman.cli.main", "test", "pipeline.yaml"]
    for part in [part for part in blocks("yaml fragment") if part.page == block.page][:1]:
        (folder / "overlay.yaml").write_text(part.text, "utf-8")
        command += ["--overlay", "overlay.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", blocks("cel"), ids=str)
def test_an_expression_has_the_value_it_says(block: Block) -> None:
    """Each line `expression // value` of a page holds for the event above it, whose `amount` is a double."""
    above = block.page.read_text("utf-8").split("```cel")[0]
    event = json.loads(re.findall(r"```json\n(.*?)```", above, re.DOTALL)[-1])
    scope = Scope({"event": "map", "now": "timestamp"}, {"event": {"amount": "double"}}, open="event")
    names = {"event": event, "now": Timestamp.from_ms(event["ts"])}
    for line in block.text.splitlines():
        expression, _, value = line.rpartition("//")
        found = program.compile(expression.strip(), scope).evaluate(names)
        assert (line, found) == (line, json.loads(value))
