"""`pointsman init`, and that what it writes works as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Pointsman


def test_what_it_says_can_be_typed(
    pointsman: Pointsman, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    """After init, the commands it names succeed one after the other."""
    said = pointsman("init", "mine", cwd=tmp_path)
    golden("init", said.out)
    commands = [line.split() for line in said.out.splitlines() if line.startswith("  ")]

    assert commands[0] == ["cd", "mine"]
    for command in commands[1:]:
        done = pointsman(*command[1:], cwd=tmp_path / "mine")
        assert done.code == 0, f"{command}\n{done.out}\n{done.err}"


def test_the_document_names_its_schema(mine: Path) -> None:
    """Editors find the JSON Schema by the first line, and it is where the line says."""
    first = (mine / "pipeline.yaml").read_text().splitlines()[0]
    name = first.removeprefix("# yaml-language-server: $schema=")

    assert name != first
    assert (mine / name).read_text().startswith("{")


def test_names_are_put_in(pointsman: Pointsman, tmp_path: Path) -> None:
    """The name is the folder's where none is given, and the topic is what was asked for."""
    assert pointsman("init", "My Shop!", "--topic", "orders.v2", cwd=tmp_path).code == 0

    text = (tmp_path / "My Shop!" / "pipeline.yaml").read_text()
    assert "\npipeline: my-shop\n" in text
    assert "topics: [orders.v2]\n" in text


def test_nothing_is_overwritten(pointsman: Pointsman, mine: Path) -> None:
    """What is there stays, until --force says otherwise."""
    (mine / "models.py").write_text("mine = True\n")

    refused = pointsman("init", cwd=mine)
    assert refused.code == 2
    assert "is there already" in refused.err
    assert (mine / "models.py").read_text() == "mine = True\n"
    assert pointsman("init", "--force", cwd=mine).code == 0
    assert (mine / "models.py").read_text() != "mine = True\n"


@pytest.mark.parametrize("option", [("--name", "Bad Name"), ("--topic", "a/b")])
def test_bad_names_are_refused(pointsman: Pointsman, tmp_path: Path, option: tuple[str, str]) -> None:
    """A name that Kafka or the document would refuse is refused before anything is written."""
    refused = pointsman("init", "mine", *option, cwd=tmp_path)

    assert refused.code == 2
    assert f"'{option[1]}' cannot name" in refused.err
    assert not (tmp_path / "mine").exists()
