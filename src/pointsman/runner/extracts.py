"""What is written of decision records to topics of their own: results alone, and enriched events.

Both are made of the record's bytes, so that what `write.event` and `write.redact` leave out of the record is
left out of them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pointsman.runner.order import Key

__all__ = ["EXTRACTS", "Extract"]


@dataclass(frozen=True, slots=True)
class Extract:
    """A topic that gets something of every decision record, under the same key.

    Attributes:
        largest: Bytes of the largest record that it takes.
        make: From a decision record's key and value to its value.
    """

    topic: str
    largest: int
    make: Callable[[Key, bytes], bytes]


class _Decision(msgspec.Struct):
    route: str
    model: str
    policy: str


class _Result(msgspec.Struct):
    v: int
    id: str
    time: int
    decision: _Decision
    result: msgspec.Raw


class _Record(msgspec.Struct):
    v: int
    id: str
    time: int
    event: msgspec.Raw
    metadata: msgspec.Raw


class _Enriched(msgspec.Struct):
    v: int
    id: str
    time: int
    key: Any
    event: msgspec.Raw
    metadata: msgspec.Raw


_read_result = msgspec.json.Decoder(_Result).decode
_read_record = msgspec.json.Decoder(_Record).decode
_encode = msgspec.json.Encoder().encode


def _result_of(_: Key, value: bytes) -> bytes:
    """Who answered what for which event: id, time, route, model and policy, and `result` as it stands."""
    return _encode(_read_result(value))


def _enriched_of(key: Key, value: bytes) -> bytes:
    """The event as models get it: id, time, key, event and metadata, and nothing of the decision."""
    found = _read_record(value)
    text = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else key
    return _encode(_Enriched(found.v, found.id, found.time, text, found.event, found.metadata))


EXTRACTS: Final[Mapping[str, Callable[[Key, bytes], bytes]]] = {
    "results": _result_of,
    "enriched": _enriched_of,
}
"""How each is made, by its key under `write`."""
