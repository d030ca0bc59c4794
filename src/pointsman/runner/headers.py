"""The headers of decision records, for pipelines that ask for some in `write.headers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pointsman.base.records import Headers

__all__ = ["HeadersFor", "headers_for"]

HeadersFor = Callable[[bytes, Headers | None], list[tuple[str, bytes | None]]]
"""From a decision record, and the headers its event came with, to the record's own headers."""


class _Source(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _Decision(msgspec.Struct):
    route: str
    model: str
    policy: str


class _Record(msgspec.Struct):
    id: str
    source: _Source
    decision: _Decision


_read = msgspec.json.Decoder(_Record).decode

_TEXTS: dict[str, Callable[[_Record], str]] = {
    "id": lambda record: record.id,
    "model": lambda record: record.decision.model,
    "route": lambda record: record.decision.route,
    "policy": lambda record: record.decision.policy,
    "source": lambda record: f"{record.source.topic}-{record.source.partition}-{record.source.offset}",
}


def headers_for(names: Sequence[str]) -> HeadersFor | None:
    """Makes the headers called `names`, each as `pointsman-<name>`; None where there are none to make.

    `traceparent` keeps its name and is that of the event, or of the router's span, where it came with one.
    """
    if not names:
        return None
    ours = [(f"pointsman-{name}", _TEXTS[name]) for name in names if name != "traceparent"]
    traced = "traceparent" in names

    def make(value: bytes, came: Headers | None) -> list[tuple[str, bytes | None]]:
        record = _read(value)
        found: list[tuple[str, bytes | None]] = [
            (name, text(record).encode("utf-8", "replace")) for name, text in ours
        ]
        if traced:
            found += [header for header in came or () if header[0] == "traceparent"][-1:]
        return found

    return make
