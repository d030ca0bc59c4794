"""Environments of real servers are made once, whole, and from the registries that pip is told of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from servers import environment as subject
from servers.environment import NotMade, environment

UV = """#!/bin/sh
echo "$UV_DEFAULT_INDEX $*" >> calls
[ "$1" = pip ] || mkdir "$5"
if grep -qx "$(wc -l < calls)" failing; then echo "no such host" >&2; exit 1; fi
"""
"""Stands in for uv: fails at the calls whose numbers the file `failing` has."""

Calls = Callable[[], list[str]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the stand-in was called with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTSMAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://registry.test/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setattr(subject, "find_uv_bin", lambda: str(tmp_path / "uv"))
    Path("failing").touch()
    Path("uv").write_text(UV)
    Path("uv").chmod(0o755)
    return lambda: [" ".join(line.split()[:2]) for line in Path("calls").read_text().splitlines()]


VENV, INSTALL = "http://registry.test/simple venv", "http://registry.test/simple pip"


def test_it_is_made_once(calls: Calls) -> None:
    """The second call finds it; other requirements are another one."""
    python = environment("small", "six==1")

    assert environment("small", "six==1") == python
    assert calls() == [VENV, INSTALL]
    assert environment("small", "six==2") != python


def test_half_of_one_is_made_anew(calls: Calls) -> None:
    """What was left by a process that ended in the middle is removed: there is no stamp."""
    folder = environment("small", "six==1").parents[1]
    (folder / "left").touch()
    (folder / "installed.txt").unlink()
    environment("small", "six==1")

    assert not (folder / "left").exists()
    assert calls() == [VENV, INSTALL] * 2


def test_a_download_that_fails_once_is_tried_again(calls: Calls) -> None:
    """The second time all is made anew; a second failure is told with what uv said."""
    Path("failing").write_text("2\n6\n8\n")

    assert environment("small", "six==1").parents[1].joinpath("installed.txt").exists()
    assert calls() == [VENV, INSTALL] * 2
    with pytest.raises(NotMade, match=r"(?s)six==2.*no such host"):
        environment("small", "six==2")
    assert calls() == [VENV, INSTALL] * 4
