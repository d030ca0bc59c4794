"""The command, called in this process, and golden files of what it says."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pointsman.cli.main import main

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Done:
    """What a call of the command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Pointsman = Callable[..., Done]


class _Input:
    """Standard input that is a file or a pipe, not a terminal."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@pytest.fixture
def pointsman(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Pointsman:
    """Calls `pointsman ARGUMENTS` in a folder, with bytes on standard input."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def call(*arguments: str | Path, cwd: Path | None = None, stdin: bytes = b"") -> Done:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["pointsman", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", _Input(stdin))
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        said = capfd.readouterr()
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return call


@pytest.fixture
def mine(pointsman: Pointsman, tmp_path: Path) -> Path:
    """A folder with what `pointsman init` writes."""
    assert pointsman("init", "mine", "--yes", cwd=tmp_path).code == 0
    return tmp_path / "mine"


CHANGING = {
    r'("latency_ms": )[0-9.e-]+': r"\1<latency>",
    r"\b1[0-9]{12}\b": "<ms>",
    r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z": "<time>",
    r"\b0@[0-9a-f]{8}\b": "0@<hash>",
    r"\bin [0-9.]+ s\b": "in <seconds> s",
    r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}\b": "<clock>",
    r"\b[0-9.]+ ms\b": "<latency> ms",
}
"""What differs from call to call, and what stands for it in golden files."""


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares a text with its golden file; POINTSMAN_GOLDEN=write makes it the new one."""

    def compare(name: str, text: str) -> None:
        for pattern, stand_in in CHANGING.items():
            text = re.sub(pattern, stand_in, text)
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("POINTSMAN_GOLDEN") == "write":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare
