"""Findings as people read them: where, what, the line with a caret below, and what to do.

pipeline.yaml:31:12: error E203: no model is called 'fraud-model-v3'
      use: fraud-model-v3
           ^^^^^^^^^^^^^^ did you mean 'fraud-model-v2'?
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from pointsman.base.errors import Finding

__all__ = ["show", "summary"]

_WIDTH = 110


def show(findings: Iterable[Finding]) -> str:
    """All findings as text, each with the line it is about where its file can be read."""
    files: dict[str, list[str]] = {}
    return "\n".join(_one(finding, files) for finding in findings)


def summary(findings: Iterable[Finding]) -> str:
    """How many errors and warnings there are: `2 errors, 1 warning`."""
    counts = {"error": 0, "warning": 0}
    for finding in findings:
        counts[finding.severity] += 1
    return ", ".join(f"{n} {word}{'s'[: n != 1]}" for word, n in counts.items() if n)


def _one(finding: Finding, files: dict[str, list[str]]) -> str:
    where = f"{finding.file}:{finding.line}:{finding.column}"
    head = f"{where}: {finding.severity} {finding.code}: {finding.message}"
    line = _line(finding, files)
    if line is None:
        return f"{head}\n      {finding.hint}" if finding.hint else head
    text, column = _window(line, finding.column - 1)
    carets = "^" * max(1, min(finding.length, len(text) - column, _WIDTH))
    indent = "".join("  " if _wide(sign) else " " for sign in text[:column])
    return f"{head}\n{text}\n{indent}{carets} {finding.hint}".rstrip()


def _line(finding: Finding, files: dict[str, list[str]]) -> str | None:
    if finding.file not in files:
        try:
            text = Path(finding.file).read_text("utf-8-sig", "replace")
        except OSError:
            text = ""
        files[finding.file] = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = files[finding.file]
    if finding.line > len(lines) or not lines[finding.line - 1].strip():
        return None
    return "".join(sign if sign.isprintable() else " " for sign in lines[finding.line - 1])


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of a long line around `column`, and where that column is in it."""
    if len(line) <= _WIDTH:
        return line.rstrip(), column
    start = max(0, min(column - _WIDTH // 3, len(line) - _WIDTH))
    before, after = "…" if start else "", "…" if start + _WIDTH < len(line) else ""
    return f"{before}{line[start : start + _WIDTH].rstrip()}{after}", column - start + len(before)


def _wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in "WF"
