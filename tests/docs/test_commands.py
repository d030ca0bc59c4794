"""Every command of the pages exists, and those of a `console` block do what the page says: they succeed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from docs.pages import PAYMENTS, ROOT, Block, blocks
from kafka import Kafka, unique
from pointsman.cli.main import app

BESIDE_PAYMENTS = {"docs/testing.md"}
"""Pages whose commands stand in the folder of examples/payments; others begin in an empty one."""

NOT_HERE = {
    "pointsman broker start": "tests have a broker of their own; tests/cli tries the command",
    "pointsman broker stop": "as above",
}


def commands(block: Block) -> Iterator[str]:
    """The commands of a block, each as one line, without comments and prompts."""
    for line in block.text.splitlines():
        if block.kind == "console" and not line.startswith("$ "):
            continue
        command = re.sub(r"\s+#.*$", "", line.removeprefix("$ ")).strip()
        if command and not command.startswith("#"):
            yield command


def promised(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the pieces of output that stand below it."""
    lines: list[str] = []
    command = ""
    for line in [*block.text.splitlines(), "$ "]:
        if not line.startswith("$ "):
            lines.append(line)
            continue
        if command:
            pieces = "\n".join(lines).split("…")
            yield command, [piece.strip("\n") for piece in pieces if piece.strip()]
        command, lines = line.removeprefix("$ "), []


def refuse_unknown(words: list[str]) -> None:
    """Asserts that `pointsman WORDS` names a command and only options that it has."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, "a command is missing"
        assert words[0] in command.commands, f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    options = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in options, f"{command.name} has no option {word}"


@pytest.mark.parametrize("block", blocks("sh", "console"), ids=str)
def test_commands_exist(block: Block) -> None:
    """What a page says to type is a command of ours with options it has, or a verb of the Makefile."""
    verbs = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for line in commands(block):
        for command in line.split(" | "):
            words = shlex.split(command)
            if words[0] == "pointsman":
                refuse_unknown(words[1:])
            elif words[0] == "make":
                assert words[1] in verbs


def test_inline_commands_exist() -> None:
    """Commands named within sentences exist, too."""
    for page in {block.page for block in blocks()}:
        prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for command in re.findall(r"`pointsman ([^`…]+)`", prose.replace("\n", " ")):
            words = [word for word in shlex.split(command) if not word.isupper()]
            refuse_unknown([word for word in words if word not in ("FILE", "T", "B")])


def walked_pages() -> list[str]:
    """The pages with commands that are run, by path."""
    return sorted({block.page.relative_to(ROOT).as_posix() for block in blocks("console")})


@pytest.mark.parametrize("page", walked_pages())
def test_a_page_can_be_followed(page: str, tmp_path: Path, broker: Kafka) -> None:
    """Typing a page's commands one after the other, in one folder, works."""
    folder = tmp_path
    if page in BESIDE_PAYMENTS:
        folder = Path(shutil.copytree(PAYMENTS, tmp_path / "payments"))
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": broker.bootstrap,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for block in blocks("console"):
        if block.page != ROOT / page:
            continue
        for command, output in promised(block):
            if command in NOT_HERE:
                continue
            if command.startswith("cd "):
                folder = folder / command.removeprefix("cd ")
                continue
            done = subprocess.run(
                shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            for piece in output:
                assert piece in done.stdout + done.stderr, f"{command} does not say: {piece}"
            if " init " in command:
                make_own(folder / shlex.split(command)[2] / "pipeline.yaml")


def make_own(pipeline: Path) -> None:
    """Gives the pipeline a name and a topic that no other test of the session uses."""
    text = pipeline.read_text("utf-8")
    text = re.sub(r"^pipeline: .*$", f"pipeline: {unique('docs')}", text, flags=re.MULTILINE)
    pipeline.write_text(text.replace("topics: [transactions]", f"topics: [{unique('docs')}]"), "utf-8")
