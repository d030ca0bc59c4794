"""The command as a whole: help, suggestions, exit codes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.conftest import Pointsman
from pointsman import __version__
from pointsman.base.errors import EnvironmentFault, Finding, Misfit, SpecError
from pointsman.cli import main as command


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by its words, those of groups included."""
    group = group or typer.main.get_command(command.app)
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from commands(found, (*path, name))
        else:
            yield (*path, name), found


EVERY = dict(commands())


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_shows_examples_that_parse(words: tuple[str, ...]) -> None:
    """Each help has examples; each names a command with arguments and options that it takes."""
    examples = re.findall(r"^ *(?:.* \| )?(pointsman .*)$", EVERY[words].help, re.MULTILINE)
    assert examples
    for example in examples:
        typed = shlex.split(re.sub(r" >.*", "", example))[1:]
        assert tuple(typed[: len(words)]) == words
        EVERY[words].make_context(words[-1], typed[len(words) :])


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_speaks_to_programs(words: tuple[str, ...]) -> None:
    """Each command has --json."""
    assert any("--json" in parameter.opts for parameter in EVERY[words].params)


def test_the_commands_are_grouped_as_people_think(pointsman: Pointsman) -> None:
    """The help of the whole names three groups in the order of the work, each with its commands."""
    said = pointsman("--help").out

    places = [said.index(name) for name in ("Write a pipeline", "Run it", "Look at data")]
    assert places == sorted(places)
    for first, last, names in zip(
        places,
        [*places[1:], len(said)],
        (
            ("init", "check", "explain", "test"),
            ("run", "demo", "broker", "bench"),
            ("topics", "send", "tail"),
        ),
        strict=True,
    ):
        assert all(f" {name} " in said[first:last] for name in names)


def test_the_version(pointsman: Pointsman) -> None:
    """--version says which one this is."""
    assert pointsman("--version").out == f"pointsman {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("explian",), "Did you mean 'explain'?"),
        (("dead-letters", "lst"), "Did you mean 'list'?"),
        (("explain", "--evnt", "{}"), "--event"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(
    pointsman: Pointsman, typed: tuple[str, ...], message: str
) -> None:
    """An unknown command or option exits 2 and names the nearest one."""
    done = pointsman(*typed)

    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (EnvironmentFault("no broker: start one"), 3, "pointsman: no broker: start one\n"),
        (
            Misfit("E411", "there is no module", "write it"),
            1,
            "pointsman: E411: there is no module; write it\n",
        ),
        (
            SpecError([Finding("no-file.yaml", 3, 5, 2, "E200", "error", "is wrong", "mend it")]),
            1,
            "no-file.yaml:3:5: error E200: is wrong\n      mend it\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_becomes_of_an_error(
    pointsman: Pointsman, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    """An error on purpose is a message and an exit code, never a traceback; Ctrl-C is quiet."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(typer.Typer, "__call__", fail)
    done = pointsman("anything")

    assert (done.code, done.err) == (code, said)


def test_ctrl_c_inside_a_command(pointsman: Pointsman, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a command works ends it with 130 and no words."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pointsman.cli.init.template_files", stop)
    done = pointsman("init", "never")

    assert (done.code, done.out, done.err) == (130, "", "")


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    """What the system refuses to write ends the command with exit 3 and no traceback."""
    if not Path("/dev/full").exists():
        return
    command = [sys.executable, "-m", "pointsman.cli.main", "--help"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)

    assert ended.returncode == 3
    said = "the output: No space left on device; free some space and run it again"
    assert ended.stderr == f"pointsman: {said}\n"
