"""How much of an event leaves in records and letters: all as it came, some fields, some of them hidden."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from pointsman.base.errors import RecordError
from pointsman.codec.base import EventDecoder
from pointsman.engine.policy import encode

__all__ = ["Project", "hider", "projector"]

Project = Callable[[bytes], bytes]
"""From a value that decodes to the event's JSON as it is written."""

MASK = msgspec.Raw(b'"***"')

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def projector(
    event: str | Collection[str], redact: Mapping[str, str], decoder: EventDecoder
) -> Project | None:
    """What records carry of an event; None where that is the value as it came.

    Args:
        event: `all`, `none`, or the fields to carry.
        redact: Field → `drop`, `hash` (SHA-256 of a string's UTF-8, or of another value's JSON) or `mask`.
        decoder: Reads values.
    """
    if event == "none":
        return lambda _: b"{}"
    if event == "all" and not redact:
        return None
    kept = None if event == "all" else frozenset(event)
    read = _reader(decoder)

    def project(raw: bytes) -> bytes:
        members = read(raw)
        if kept is not None:
            members = {name: value for name, value in members.items() if name in kept}
        return encode(_hidden(members, redact))

    return project


def hider(redact: Mapping[str, str], decoder: EventDecoder) -> Callable[[bytes | None], bytes | None]:
    """What dead letters keep of a value: hidden fields are hidden; what cannot be read is left out wholly."""
    read = _reader(decoder)

    def hide(raw: bytes | None) -> bytes | None:
        if raw is None:
            return None
        try:
            return encode(_hidden(read(raw), redact))
        except (RecordError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    return hide


def _reader(decoder: EventDecoder) -> Callable[[bytes], dict[str, msgspec.Raw]]:
    """The members of an event, each as its JSON."""
    if decoder.verbatim:
        head = decoder.head
        return (lambda raw: _members(raw[head:])) if head else _members
    whole = decoder.decode_whole
    return lambda raw: {name: msgspec.Raw(encode(value)) for name, value in whole(raw).items()}


def _hidden(members: dict[str, msgspec.Raw], redact: Mapping[str, str]) -> dict[str, msgspec.Raw]:
    for name, how in redact.items():
        if name not in members:
            continue
        if how == "drop":
            del members[name]
        else:
            members[name] = MASK if how == "mask" else _hash(members[name])
    return members


def _hash(value: msgspec.Raw) -> msgspec.Raw:
    found: Any = msgspec.json.decode(value)
    text = found.encode() if isinstance(found, str) else bytes(value)
    return msgspec.Raw(encode(hashlib.sha256(text).hexdigest()))
