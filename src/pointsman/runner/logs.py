"""Structured log lines: one per thing that happened, as `name=value` pairs or as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from pointsman.base.clock import Clock
from pointsman.base.log_lines import LOGS

__all__ = ["Say", "line", "quiet", "to_stream"]

Say = Callable[..., None]
"""`say(name, **fields)`: writes one log line; names and their fields are those of `base.log_lines`."""

_PLAIN = re.compile(r"[^\s\"=]+")


def line(name: str, fields: dict[str, Any], now_ms: int, *, as_json: bool) -> str:
    """One log line without its line end."""
    log = LOGS[name]
    time = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    whole = {"time": time.replace("+00:00", "Z"), "level": log.level, "log": name}
    whole |= {field: fields[field] for field in log.fields if field in fields}
    if as_json:
        return json.dumps(whole, ensure_ascii=False, default=str)
    return " ".join(f"{field}={_text(value)}" for field, value in whole.items())


def _text(value: Any) -> str:
    if isinstance(value, float):
        value = round(value, 3)
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def quiet(name: str, **fields: Any) -> None:
    """Says nothing; for one whose output is not log lines."""


def to_stream(clock: Clock, *, as_json: bool, stream: TextIO | None = None) -> Say:
    """Log lines to `stream`, standard error by default."""

    def say(name: str, **fields: Any) -> None:
        # One write, so that lines of several processes do not mix.
        (stream or sys.stderr).write(line(name, fields, clock.now_ms(), as_json=as_json) + "\n")
        (stream or sys.stderr).flush()

    return say
