"""The results alone, for `write.results`: who answered what for which event, and nothing of the event."""

from __future__ import annotations

import msgspec

__all__ = ["result_of"]


class _Decision(msgspec.Struct):
    route: str
    model: str
    policy: str


class _Record(msgspec.Struct):
    v: int
    id: str
    time: int
    decision: _Decision
    result: msgspec.Raw


_read = msgspec.json.Decoder(_Record).decode
_encode = msgspec.json.Encoder().encode


def result_of(value: bytes) -> bytes:
    """The result of a decision record: id, time, route, model and policy, and `result` as it stands."""
    return _encode(_read(value))
