"""CloudEvents: what comes in an envelope of JSON is seen as if it had come in headers.

A structured event has the header `content-type: application/cloudevents+json`, and its attributes stand
beside its `data`. A binary one has its attributes in headers `ce_…`, and its value is the data. The first is
turned into the second, so that rules read `headers["ce_type"]` whichever way an event came.

References:
    CloudEvents 1.0.2, "Kafka Protocol Binding" and "JSON Event Format".
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from pointsman.base.errors import RecordError
from pointsman.base.records import Headers

__all__ = ["MARK", "opened"]

MARK: Final = b'"specversion"'
"""Stands in every envelope; values without it need no look at their headers."""

_FORM: Final = b"application/cloudevents+json"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode


def opened(value: bytes, headers: Headers | None) -> tuple[bytes, Headers] | None:
    """The data of a structured event, and the headers it would have had in binary mode; None for any other.

    Raises:
        RecordError: The header says that it is a CloudEvent, and it is none.
    """
    if MARK not in value or not any(_structured(name, text) for name, text in headers or ()):
        return None
    try:
        value.decode()
        members = {name: raw for name, raw in _members(value).items() if bytes(raw) != b"null"}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError("undecodable", f"not a CloudEvent in JSON: {error}") from None
    attributes = {
        name: _text(name, _value(raw)) for name, raw in members.items() if name not in ("data", "data_base64")
    }
    missing = [name for name in ("specversion", "id", "source", "type") if not attributes.get(name)]
    if missing:
        raise RecordError("undecodable", f"the CloudEvent has no {missing[0]}")
    kept = [(name, text) for name, text in headers or () if name.lower() != "content-type"]
    form = attributes.pop("datacontenttype", b"application/json")
    return _data(members), [
        *kept,
        ("content-type", form),
        *((f"ce_{name}", text) for name, text in attributes.items()),
    ]


def _structured(name: str, text: bytes | None) -> bool:
    if text is None or name.lower() != "content-type":
        return False
    return text.partition(b";")[0].strip().lower() == _FORM


def _data(members: dict[str, msgspec.Raw]) -> bytes:
    """The event; a CloudEvent without data is an event without fields."""
    if "data_base64" in members:
        try:
            return base64.b64decode(_value(members["data_base64"]), validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise RecordError(
                "undecodable", f"data_base64 of the CloudEvent is not base64: {error}"
            ) from None
    return bytes(members.get("data", b"{}"))


def _text(name: str, value: Any) -> bytes:
    """An attribute as a header has it."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return b"%d" % value
    raise RecordError(
        "undecodable", f"the attribute {name} of the CloudEvent is not a string, number or boolean"
    )
