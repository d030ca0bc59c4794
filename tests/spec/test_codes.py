"""The catalogue of codes: it names every code there is, and its pieces give what they say."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.base.errors import Finding
from pointsman.cel.problems import CODES
from pointsman.cli.main import app
from pointsman.spec.codes import CATALOGUE

ROOT = Path(__file__).parents[2]
PAYMENTS = ROOT / "examples" / "payments"

UNSHOWN = {
    "E101": "a page of text cannot hold bytes that are not UTF-8",
    "E107": "a page cannot hold a file of that size",
    "E219": "a test file gives it",
    "E305": "a page cannot hold an expression of that size",
    "E412": "it needs a module that raises",
    "E421": "it needs a file that vanishes",
    "E424": "it needs a table of that size",
    "E443": "it needs a .proto file",
    "E446": "it needs --on",
    "E501": "it needs a server that is down",
    "E502": "it needs a server",
    "E503": "it needs a server",
    "W504": "it needs a server",
    "E505": "it needs a registry that is down",
    "E506": "it needs a registry",
    "W507": "it needs a registry",
    "E425": "it needs a broker",
    "W426": "it needs a broker",
    "E427": "it needs a broker",
    "E431": "it takes away what the other pieces stand on",
}
"""Codes without a wrong and a right piece, each with its reason."""

SHOWN = [code for code in CATALOGUE if code not in UNSHOWN]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The payments example, to put overlays beside."""
    return Path(shutil.copytree(PAYMENTS, tmp_path_factory.mktemp("codes") / "payments"))


def findings(folder: Path, piece: str) -> list[Finding]:
    """What `check` finds in the payments pipeline with a piece merged over it."""
    overlay = folder / "overlay.yaml"
    overlay.write_text(piece, "utf-8")
    done = CliRunner().invoke(
        app, ["check", str(folder / "pipeline.yaml"), "--overlay", str(overlay), "--json"]
    )
    return [Finding(**one) for one in json.loads(done.stdout)["findings"]]


def codes(found: list[Finding], code: str) -> list[str]:
    """The codes found, without warnings about models that a piece's routes leave unused."""
    return [one.code for one in found if one.code != "W221" or code == "W221"]


@pytest.mark.parametrize("code", SHOWN)
def test_a_wrong_piece_gives_its_code(folder: Path, code: str) -> None:
    """The wrong piece of a code gives exactly that code, once, in the overlay's own file."""
    found = findings(folder, CATALOGUE[code].wrong)

    assert codes(found, code) == [code], found
    assert next(one for one in found if one.code == code).severity == (
        "warning" if code.startswith("W") else "error"
    )


@pytest.mark.parametrize("code", SHOWN)
def test_a_right_piece_gives_none(folder: Path, code: str) -> None:
    """The right piece of a code is right."""
    found = findings(folder, CATALOGUE[code].right)

    assert codes(found, "") == [], found


def test_the_catalogue_names_every_code_and_no_other() -> None:
    """Every code that stands in the source has its entry, and every entry stands in the source."""
    source = "".join(
        path.read_text("utf-8")
        for path in (ROOT / "src" / "pointsman").rglob("*.py")
        if not path.name.startswith("codes")
    )

    assert set(re.findall(r'"([EW]\d{3})"', source)) | set(CODES) == set(CATALOGUE)


def test_every_code_is_shown_or_says_why_not() -> None:
    """A code has a wrong and a right piece, or its reason stands in the table."""
    assert {code for code, entry in CATALOGUE.items() if not (entry.wrong and entry.right)} == set(UNSHOWN)
