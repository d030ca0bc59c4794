"""Compares what the changelogs hold with what the oracle remembers, window by window and key by key.

The changelogs are read as a worker that takes a partition over reads them: committed records, the last of
each key. What is compared is what people are shown of a window: its newest event, its value, and the value of
each sub-bucket that still counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaos.oracle import HOUR, MINUTE, Oracle
from chaos.reading import read
from pointsman.engine.build import stores_of
from pointsman.runner.changes import changelog
from pointsman.spec import load
from pointsman.spec.document import Document
from pointsman.state.memory import Memory

__all__ = ["differences", "same"]

Event = tuple[int, float | None, str]


def differences(bootstrap: str, document: Path, oracle: Oracle, host: str = "native") -> Iterator[str]:
    """What the committed state has that the oracle has not, and the other way round.

    Flink's state is its own, in savepoints; there the metadata of the last decisions must do.
    """
    if host == "flink":
        return
    found = load(document)
    for spec in stores_of(found):
        backings: dict[int, Memory] = {}
        for message in read(bootstrap, _changelog(found, spec.name, host)):
            backings.setdefault(message.partition(), Memory()).load([(message.key(), message.value())])
        held = [(key, backing) for backing in backings.values() for key in list(backing.keys())]
        shown = {key: spec.make(backing).show(key) for key, backing in held}
        wanted = {key: one for key, seen in oracle.seen.items() if (one := _WANTED[spec.field](seen))}
        newest = max((one["newest"] for one in wanted.values()), default=0)
        for key in sorted(shown.keys() | wanted.keys()):
            got = shown.get(key)
            if got is None and wanted[key]["newest"] < newest - _IDLE[spec.field]:
                continue  # it has been idle so long that it may have been dropped
            told = None if got is None else _told(spec.field, got)
            if not same(told, wanted.get(key)):
                yield f"{spec.field} of {key}: {told}, wanted {wanted.get(key)}"


def _changelog(document: Document, store: str, host: str) -> str:
    """The topic that keeps a store: Kafka Streams names its own."""
    if host == "kafka-streams":
        return f"{document.pipeline}-{store}-changelog"
    return changelog(document, store)


def _told(field: str, shown: dict[str, Any]) -> dict[str, Any]:
    """What is compared of what people are shown."""
    told: dict[str, Any] = {"newest": shown["newest"], "value": shown["value"]}
    if field != "big":  # whose sub-buckets are but where its events are kept
        told["buckets"] = {one["from"]: one["value"] for one in shown["buckets"] if one["counts"]}
    return told


def _spend(events: list[Event]) -> dict[str, Any]:
    def value(inside: list[Event]) -> dict[str, Any]:
        total = sum(e[1] for e in inside if e[1] is not None)
        return {"total": total, "n": len(inside), "devices": len({e[2] for e in inside})}

    return _sliding(events, MINUTE, 60, value)


def _hourly(events: list[Event]) -> dict[str, Any]:
    def value(inside: list[Event]) -> float | None:
        return max((e[1] for e in inside if e[1] is not None), default=None)

    return _sliding(events, HOUR, 1, value)


def _sliding(
    events: list[Event], bucket: int, count: int, value: Callable[[list[Event]], Any]
) -> dict[str, Any]:
    newest = max(e[0] for e in events)
    inside = [e for e in events if e[0] // bucket > newest // bucket - count]
    numbers = sorted({e[0] // bucket for e in inside})
    buckets = {k * bucket: value([e for e in inside if e[0] // bucket == k]) for k in numbers}
    return {"newest": newest, "value": value(inside), "buckets": buckets}


def _big(times: list[int]) -> dict[str, Any]:
    newest = max(times)
    return {"newest": newest, "value": sum(newest - 10 * MINUTE < one for one in times)}


_IDLE = {"spend": 3 * HOUR, "hourly": 3 * HOUR, "big": 80 * MINUTE}
"""After so long without an event a key may be dropped: twice the window's length, and an hour."""

_WANTED: dict[str, Callable[[Any], dict[str, Any] | None]] = {
    "spend": lambda seen: _spend(seen.events) if seen.events else None,
    "hourly": lambda seen: _hourly(seen.events) if seen.events else None,
    "big": lambda seen: _big(seen.large) if seen.large else None,
}


def same(got: Any, wanted: Any) -> bool:
    """Whether two values agree; numbers within one in a thousand million."""
    if isinstance(wanted, dict):
        return (
            isinstance(got, dict)
            and got.keys() == wanted.keys()
            and all(same(got[name], value) for name, value in wanted.items())
        )
    if isinstance(wanted, float):
        return isinstance(got, (int, float)) and math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-9)
    return bool(got == wanted)
