"""The shape of the house: sizes, registries, heavy imports, the verbs of the Makefile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from house.rooms import PACKAGE, ROOT, files, imports, name
from pointsman.base.registry import Registry

LONGEST = 500
"""Lines; a file is about 300, and above this it holds more than one thing."""

LONGER: dict[str, str] = {}
"""Files that are longer, each with its reason."""

HEAVY = {
    "numpy",
    "pandas",
    "pyarrow",
    "onnxruntime",
    "confluent_kafka",
    "cel_expr_python",
    "prometheus_client",
}


@pytest.mark.parametrize("path", files(), ids=name)
def test_a_file_is_one_thing(path: Path) -> None:
    """No file is longer than a reader can hold, unless its reason stands here."""
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGEST or name(path) in LONGER


@pytest.mark.parametrize("path", files(), ids=name)
def test_every_file_says_what_it_is(path: Path) -> None:
    """A file that holds code begins with a docstring."""
    text = path.read_text("utf-8")
    assert not text.strip() or text.lstrip().startswith('"""')


def test_the_command_starts_without_heavy_packages() -> None:
    """Importing the command loads none of the packages that take long to load."""
    code = f"import sys, pointsman.cli.main; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


REGISTRIES = {"strategy": "strategies", "enrich": "enrichers", "model": "models", "codec": "codecs"}


@pytest.mark.parametrize("room", sorted(REGISTRIES))
def test_the_walk_over_a_registry_misses_no_file(room: str) -> None:
    """Every file of a role's room that declares a component is found by walking its registry."""
    module = __import__(f"pointsman.{room}.base", fromlist=[REGISTRIES[room]])
    registry: Registry[object] = getattr(module, REGISTRIES[room])
    walked = {cls.__module__ for _, cls in registry if cls.__module__.startswith("pointsman.")}
    decorator = re.compile(rf"^@{REGISTRIES[room]}\.add\(", re.MULTILINE)
    declared = {
        f"pointsman.{room}.{path.stem}"
        for path in (PACKAGE / room).glob("*.py")
        if decorator.search(path.read_text("utf-8"))
    }
    assert walked == declared
    assert walked


@pytest.mark.parametrize("room", ["strategy", "enrich"])
def test_a_component_is_named_like_its_file(room: str) -> None:
    """In these rooms the key in a document is the file's name, so a component is found by its name."""
    module = __import__(f"pointsman.{room}.base", fromlist=[REGISTRIES[room]])
    for key, cls in getattr(module, REGISTRIES[room]):
        assert cls.__module__ == f"pointsman.{room}.{key}"


def verbs() -> dict[str, str]:
    """The Makefile's verbs and what `make` alone says of each."""
    text = (ROOT / "Makefile").read_text("utf-8")
    return dict(re.findall(r"^([a-z-]+):[^#\n]*## (.+)$", text, re.MULTILINE))


def test_the_makefile_has_at_most_fifteen_verbs() -> None:
    """One task runner, small enough to be listed on one screen, and every verb says what it does."""
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)[0].split())
    assert set(verbs()) == phony
    assert len(phony) <= 15


def test_ci_calls_the_same_verbs() -> None:
    """What CI runs, a person can run: .ci/run calls verbs of the Makefile and nothing else of ours."""
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    called = re.findall(r"^part make ([a-z-]+)", text, re.MULTILINE)
    assert called
    assert set(called) <= set(verbs())


def test_components_do_not_know_each_other() -> None:
    """No component imports another of its room; what they share stands in a file that is no component."""
    for room, registry in REGISTRIES.items():
        components = {
            f"pointsman.{room}.{path.stem}"
            for path in (PACKAGE / room).glob("*.py")
            if f"@{registry}.add(" in path.read_text("utf-8")
        }
        for path in (PACKAGE / room).glob("*.py"):
            own = f"pointsman.{room}.{path.stem}"
            if own in components:
                assert not (set(imports(path)) & (components - {own})), path
