"""What the pages say of files, links, dependencies and decisions is so."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from docs.pages import KNOWN, PAGES, ROOT, Block, blocks
from pointsman.base import reasons, signals

DECISIONS = ROOT / "docs" / "decisions"


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the repository, and a heading of it where it has an anchor."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_a_block_says_what_it_is(block: Block) -> None:
    """Each block has one of the kinds that these tests know what to do with."""
    assert block.kind in KNOWN


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    """JSON in a page can be pasted."""
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_is_python(block: Block) -> None:
    """Python in a page can be pasted."""
    ast.parse(block.text)


def test_every_page_is_in_the_index() -> None:
    """A page that nobody links is not found: the index names each, the list of decisions each decision."""
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"({page})" not in index} == set()
    listed = (DECISIONS / "README.md").read_text("utf-8")
    decisions = {page.name for page in DECISIONS.glob("[0-9]*.md")}
    assert {page for page in decisions if f"({page})" not in listed} == set()


@pytest.mark.parametrize("page", sorted(DECISIONS.glob("[0-9]*.md")), ids=page_id)
def test_a_decision_has_a_status(page: Path) -> None:
    """A record says whether it holds, and the list says the same."""
    text = page.read_text("utf-8")
    found = re.search(r"^Status: (accepted|rejected|superseded by \d{4})$", text, re.MULTILINE)
    assert found
    number = page.name[:4]
    row = re.search(
        rf"^\| \[{number}\].*\| (.+) \|$", (DECISIONS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert row
    assert row[1] == found[1]


def test_every_dependency_earns_its_line() -> None:
    """dependencies.md names each package that pyproject.toml asks for, extras with their name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    asked = list(project["project"]["dependencies"])
    for extra, packages in project["project"]["optional-dependencies"].items():
        if extra != "demo":
            assert f"| `{extra}` |" in text
            asked += packages
    asked += [package for package in project["dependency-groups"]["dev"] if not package.startswith("types-")]
    names = {re.split(r"[\[<>=!~]", package)[0] for package in asked}
    assert {name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)} == set()


def test_closed_lists_are_documented() -> None:
    """Each word of a closed list that stands in records is explained on its page."""
    letters = (ROOT / "docs" / "dead-letters.md").read_text("utf-8")
    assert {word for word in reasons.DEAD_LETTER_REASONS if f"| `{word}` |" not in letters} == set()
    records = (ROOT / "docs" / "records.md").read_text("utf-8")
    words = [*reasons.DECISION_REASONS, *reasons.STATUSES]
    assert {word for word in words if f"`{word}`" not in records} == set()
    models = (ROOT / "docs" / "models.md").read_text("utf-8")
    assert {word for word in reasons.FAILURE_CLASSES if f"`{word}`" not in models} == set()


def test_named_metrics_exist() -> None:
    """A metric that a page names is one that the program serves."""
    named = {name for page in PAGES for name in re.findall(r"`(pointsman_[a-z_]+)`", page.read_text("utf-8"))}
    assert named
    assert named - set(signals.METRICS) == set()


def test_the_changelog_names_the_version() -> None:
    """The version of the package has an entry."""
    import pointsman

    assert f"## {pointsman.__version__}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")
