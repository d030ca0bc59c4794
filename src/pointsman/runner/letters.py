"""What a dead letter looks like: as a Kafka record, and as a line of JSON."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from pointsman.base.records import DeadLetter, SourceRecord

__all__ = ["as_json", "kafka_headers"]

OURS = "pointsman-"


def kafka_headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """The record's headers as they came, then ours; those of an earlier death are replaced."""
    kept = [(name, value) for name, value in letter.record.headers or () if not name.startswith(OURS)]
    return [
        *kept,
        ("pointsman-id", letter.id.encode("utf-8", "replace")),
        ("pointsman-reason", f"{letter.reason}: {letter.message}".encode("utf-8", "replace")),
        ("pointsman-source", msgspec.json.encode(_source(letter.record))),
        ("pointsman-attempts", msgspec.json.encode(list(letter.attempts))),
        *([("pointsman-redacted", b"true")] if letter.redacted else []),
    ]


def as_json(letter: DeadLetter) -> bytes:
    """The letter as one line of JSON; what is not UTF-8 stands as `{"base64": …}`."""
    record = letter.record
    line: dict[str, Any] = {
        "id": _clean(letter.id),
        "reason": letter.reason,
        "message": _clean(letter.message),
        "source": _source(record),
        "key": _text(record.key),
        "value": _text(record.value),
    }
    if record.headers:
        line["headers"] = [[name, _text(value)] for name, value in record.headers]
    if letter.redacted:
        line["redacted"] = True
    if letter.attempts:
        line["attempts"] = list(letter.attempts)
    return msgspec.json.encode(line)


def _source(record: SourceRecord) -> dict[str, Any]:
    found: dict[str, Any] = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return found if record.timestamp < 0 else {**found, "timestamp": record.timestamp}


def _clean(text: str) -> str:
    """`text` without lone surrogates, which are not UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _text(content: bytes | None) -> Any:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
