"""Text for people: colour on a terminal and none elsewhere, columns that line up, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

__all__ = [
    "Paint",
    "ask",
    "clean",
    "columns",
    "is_terminal",
    "jsonish",
    "pad",
    "paint",
    "plain",
    "prints_aside",
    "say",
    "warn",
    "write_json",
]

Paint = Callable[[str, str], str]
"""From a text and what it is (`good`, `bad`, `name`, `faint`, `title`) to the text as it is shown."""

_CODES = {"good": "32", "bad": "31", "name": "36", "faint": "2", "title": "1", "warn": "33"}
_COLOUR = re.compile(r"\x1b\[[0-9]+m")


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person watches `stream` (standard output by default)."""
    return (stream or sys.stdout).isatty()


def plain(text: str, role: str) -> str:  # noqa: ARG001  the signature of Paint
    """Shows everything alike."""
    return text


def _coloured(text: str, role: str) -> str:
    return f"\x1b[{_CODES[role]}m{text}\x1b[0m" if text else text


def paint(stream: TextIO | None = None) -> Paint:
    """Colours for `stream` where it is a terminal and NO_COLOR is not set."""
    return _coloured if is_terminal(stream) and not os.environ.get("NO_COLOR") else plain


def say(text: str = "") -> None:
    """Writes one line to standard output at once."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Writes one line to standard error: progress, questions and warnings, so that output can be piped."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def prints_aside() -> Iterator[None]:
    """What models and conditions print goes to standard error: standard output holds records and answers."""
    with redirect_stdout(sys.stderr):
        yield


def write_json(value: Any, *, indent: int | None = None) -> None:
    """Writes one JSON value and a line end to standard output."""
    say(json.dumps(value, ensure_ascii=False, indent=indent))


def jsonish(value: Any, *, limit: int = 0) -> str:
    """`value` as JSON where that is possible, in at most `limit` characters where that is not 0."""
    text = clean(json.dumps(value, ensure_ascii=False, default=str))
    return text[: limit - 1] + "…" if limit and len(text) > limit else text


def clean(text: str) -> str:
    """`text` of an event without what a terminal would obey: control characters stand as escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def columns(rows: Sequence[Sequence[str]], *, indent: str = "  ", gap: str = "  ") -> list[str]:
    """Lines in which each column is as wide as its widest cell; the last one is not padded."""
    if not rows:
        return []
    widths = [max(_width(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    return [
        (indent + gap.join(pad(cell, width) for cell, width in zip(row, widths, strict=False))).rstrip()
        for row in rows
    ]


def pad(text: str, width: int) -> str:
    """`text` with blanks up to `width` columns; colours take none."""
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    return len(_COLOUR.sub("", text))


def ask(question: str, default: str) -> str:
    """Asks on the terminal; an empty answer is `default`."""
    warn_line = f"{question} [{default}]: "
    print(warn_line, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or default
