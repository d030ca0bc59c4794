"""A dead letter as people look at it: who, why, from where, and the bytes as they came."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.cli.wire import Record

__all__ = ["PREFIX", "Letter", "letter_of", "text_or_base64"]

PREFIX = "pointsman-"
"""What the names of our own headers begin with; the others came with the event."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter.

    Attributes:
        source: Topic, partition and offset of the event; empty where no header says.
        attempts: The model attempts that failed.
        headers: The event's own headers, without ours.
        timestamp: When the letter was written, milliseconds since 1970.
    """

    id: str
    reason: str
    message: str
    source: dict[str, Any]
    attempts: list[dict[str, Any]]
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def place(self) -> str:
        """`topic-partition-offset` of the event."""
        return "-".join(
            str(self.source[part]) for part in ("topic", "partition", "offset") if part in self.source
        )

    @property
    def why_not(self) -> str:
        """Why it cannot be sent again; empty where it can."""
        return "" if "topic" in self.source else "no header says which topic it came from"

    def summary(self) -> dict[str, Any]:
        """What a list shows of it."""
        return {
            "id": self.id,
            "time": self.timestamp,
            "reason": self.reason,
            "source": self.source,
            "message": self.message,
        }

    def whole(self) -> dict[str, Any]:
        """All of it; bytes that are not UTF-8 stand as `{"base64": …}`."""
        return {
            **self.summary(),
            "key": text_or_base64(self.key),
            "value": text_or_base64(self.value),
            "headers": [[name, text_or_base64(value)] for name, value in self.headers],
            "attempts": self.attempts,
        }


def letter_of(record: Record) -> Letter:
    """Reads a record of the dead letters' topic."""
    ours = {
        name.removeprefix(PREFIX): (value or b"").decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(PREFIX)
    }
    reason, _, message = ours.get("reason", "unknown").partition(": ")
    source, attempts = _json(ours.get("source")), _json(ours.get("attempts"))
    return Letter(
        id=ours.get("id", f"{record.topic}-{record.partition}-{record.offset}"),
        reason=reason,
        message=message,
        source=source if isinstance(source, dict) else {},
        attempts=attempts if isinstance(attempts, list) else [],
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=[(name, value) for name, value in record.headers if not name.startswith(PREFIX)],
    )


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def text_or_base64(content: bytes | None) -> str | dict[str, str] | None:
    """Text where it is UTF-8, else `{"base64": …}`."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
