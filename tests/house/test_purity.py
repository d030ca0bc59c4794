"""The middle reads no clock, chance, environment, file or socket: these are handed in."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from house.rooms import files, imports, name

PURE = ("base", "cel", "strategy", "enrich", "engine")

EXEMPT = {
    "base/clock.py": "the one place that reads the clock",
    "base/hooks.py": "imports the user's modules from the document's folder",
    "base/registry.py": "asks the installed packages for components",
    "cel/conformance.py": "a command: reads the file of cases",
    "cel/__main__.py": "a command",
}

MODULES = {
    "time", "random", "secrets", "uuid", "os", "socket", "subprocess", "tempfile", "shutil", "asyncio",
    "threading", "multiprocessing", "urllib", "http", "logging", "signal", "confluent_kafka",
}  # fmt: skip

CALLS = {"open", "input", "print", "datetime.now", "datetime.datetime.now", "datetime.utcnow", "date.today"}
METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "utcnow"}

CHECKED = [path for path in files(*PURE) if name(path) not in EXEMPT]


@pytest.mark.parametrize("path", CHECKED, ids=name)
def test_imports_nothing_that_touches_the_world(path: Path) -> None:
    """A pure file imports no module of clocks, chance, environment, files, sockets, threads or logs."""
    assert {module for module in imports(path) if module.partition(".")[0] in MODULES} == set()


@pytest.mark.parametrize("path", CHECKED, ids=name)
def test_calls_nothing_that_touches_the_world(path: Path) -> None:
    """A pure file calls none of the built-ins and methods that read or write outside."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
                found.append(f"line {node.lineno}: {called}")
    assert found == []


def test_sees_what_it_forbids(tmp_path: Path) -> None:
    """The walk finds an import inside a function and a call by attribute, so it does not pass blindly."""
    path = tmp_path / "impure.py"
    path.write_text("def f():\n    import time\n    return open('x')\n")
    assert "time" in set(imports(path))
    assert "time" not in set(imports(path, top_only=True))
    assert any(isinstance(node, ast.Call) for node in ast.walk(ast.parse(path.read_text())))
