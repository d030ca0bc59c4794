"""What an event takes along when it goes on by another key: who it is, and what was computed of it so far.

It stands in one header of the record that carries the event's value and headers as they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pointsman.base.errors import RecordError
from pointsman.base.keys import key_text
from pointsman.base.records import Batch, Headers, SourceRecord
from pointsman.cel.program import describe
from pointsman.cel.values import (
    MISSING,
    BoolKey,
    Duration,
    Missing,
    Mistyped,
    Optional,
    Timestamp,
    TypeValue,
    Uint,
    key_in,
)
from pointsman.engine.support import Errors

__all__ = ["HOP", "Arrived", "Hop", "Moved", "arrived", "told"]

HOP: Final = "pointsman-hop"
"""The header; the last one of that name is ours."""


class Hop(msgspec.Struct, array_like=True, gc=False):
    """What an event takes along.

    Attributes:
        v: The version of this form.
        id: The event's id.
        time: When it happened, milliseconds since 1970.
        order: The key of its decision record: a string, or bytes, or None.
        key: The Kafka key it came with.
        topic, partition, offset: Where it came from.
        timestamp: That of its source record; -1 where it had none.
        counts: Whether it changes what is remembered: one of `enrich.base`'s COUNTS, SEES and AHEAD.
        repeat: Whether `source.dedupe` knows it as a repeat.
        metadata: The fields that have a value so far.
        errors: What has erred so far: the first ones, and the names of all; None: nothing.
    """

    v: int
    id: str
    time: int
    order: Any
    key: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp: int
    counts: int
    repeat: bool
    metadata: dict[str, Any]
    errors: tuple[list[dict[str, str]], list[str]] | None = None

    def noted(self) -> Errors | None:
        """What has erred so far, to be added to."""
        if self.errors is None:
            return None
        errors = Errors()
        errors.first, errors.names = self.errors
        return errors


class _Version(msgspec.Struct, array_like=True):
    v: int


_VERSION: Final = 1
_UINT, _TIMESTAMP, _DURATION, _OPTIONAL, _TYPE, _MISTYPED, _BOOL_KEY = range(1, 8)


def told(hop: Hop) -> bytes:
    """The header's content."""
    return _encode(hop)


def _hook(value: Any) -> Any:
    """The form of the values that MessagePack does not know."""
    made = value.__class__
    if made is Uint:
        return msgspec.msgpack.Ext(_UINT, _encode(int(value)))
    if made is Timestamp:
        return msgspec.msgpack.Ext(_TIMESTAMP, _encode(value.ns))
    if made is Duration:
        return msgspec.msgpack.Ext(_DURATION, _encode(value.ns))
    if made is BoolKey:
        return msgspec.msgpack.Ext(_BOOL_KEY, _encode(value.value))
    if made is TypeValue:
        return msgspec.msgpack.Ext(_TYPE, _encode(value.name))
    if made is Optional:
        return msgspec.msgpack.Ext(_OPTIONAL, _encode([value.present, value.value]))
    if made is Mistyped:
        return msgspec.msgpack.Ext(_MISTYPED, _encode([value.value, value.name, value.declared]))
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{made.__name__} cannot be taken along")


def _back(code: int, content: memoryview) -> Any:
    value = _value(content)
    if code == _UINT:
        return Uint(value)
    if code == _TIMESTAMP:
        return Timestamp(value)
    if code == _DURATION:
        return Duration(value)
    if code == _BOOL_KEY:
        return key_in(value)
    if code == _TYPE:
        return TypeValue(value)
    if code == _OPTIONAL:
        return Optional(*value)
    if code == _MISTYPED:
        return Mistyped(*value)
    raise ValueError(f"an extension of type {code}")


_encode = msgspec.msgpack.Encoder(enc_hook=_hook).encode
_value = msgspec.msgpack.Decoder(ext_hook=_back).decode
_decode = msgspec.msgpack.Decoder(Hop, ext_hook=_back).decode
_version = msgspec.msgpack.Decoder(_Version).decode


# What a stage sends on.


@dataclass(slots=True)
class Moved:
    """Events of a batch that go on by another key, as columns of equal length.

    Attributes:
        name: The field that they go on to.
        indices: Which events of the batch.
        keys: By what they go: the window's key, or the event's own Kafka key where that has no value.
        hops: What each takes along.
    """

    name: str
    indices: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    hops: list[bytes] = field(default_factory=list)

    def add(
        self,
        batch: Batch,
        index: int,
        via: Any,
        ident: str,
        time: int,
        order: str | bytes | None,
        source: tuple[bytes | None, str, int, int],
        counts: int,
        repeat: bool,
        metadata: Iterable[tuple[str, Any]],
        errors: Errors | None,
    ) -> None:
        """Event `index` goes on by `via`, the value of the window's key.

        Args:
            source: Its Kafka key, topic, partition and offset.
            metadata: All fields so far, those without a value included.
        """
        key, topic, partition, offset = source
        hop = Hop(
            _VERSION,
            ident,
            time,
            order,
            key,
            topic,
            partition,
            offset,
            batch.timestamps[index],
            counts,
            repeat,
            {name: value for name, value in metadata if value.__class__ is not Missing},
            None if errors is None else (errors.first, errors.names),
        )
        content = told(hop)  # first: where this raises, nothing of the event is here
        text = None if via is MISSING else key_text(via)
        self.indices.append(index)
        self.keys.append(key if text is None else text.encode("utf-8", "surrogatepass"))
        self.hops.append(content)

    def headers(self, batch: Batch) -> list[list[tuple[str, bytes | None]]]:
        """The headers of each record: those that the event came with, and ours."""
        return [
            [*(batch.headers[index] or ()), (HOP, hop)]
            for index, hop in zip(self.indices, self.hops, strict=True)
        ]

    def ident(self, place: int) -> str:
        """The id of the event at `place`."""
        return _decode(self.hops[place]).id


# What the next stage finds.


@dataclass(slots=True)
class Arrived(Batch):
    """Events that went on by another key; topics, partitions and offsets are those of their records here.

    Attributes:
        hops: What each took along, or why that cannot be read.
    """

    hops: list[Hop | RecordError] = field(default_factory=list)

    def record(self, index: int) -> SourceRecord:
        """Record `index` as it came from the source."""
        hop = self.hops[index]
        if isinstance(hop, RecordError):
            return Batch.record(self, index)
        return SourceRecord(
            self.values[index],
            hop.key,
            hop.topic,
            hop.partition,
            hop.offset,
            hop.timestamp,
            self.headers[index],
        )


def arrived(batch: Batch) -> Arrived:
    """A batch of a topic of `repartition` as the events it is about."""
    hops: list[Hop | RecordError] = []
    headers: list[Headers | None] = []
    for index in range(len(batch)):
        came = batch.headers[index] or ()
        hops.append(_read(came))
        headers.append(_without(came) or None)
    return Arrived(
        values=batch.values,
        keys=[
            key if isinstance(hop, RecordError) else hop.key
            for hop, key in zip(hops, batch.keys, strict=True)
        ],
        topics=batch.topics,
        partitions=batch.partitions,
        offsets=batch.offsets,
        timestamps=[
            batch.timestamps[index] if isinstance(hop, RecordError) else hop.timestamp
            for index, hop in enumerate(hops)
        ],
        headers=headers,
        now_ms=batch.now_ms,
        polled=batch.polled,
        hops=hops,
    )


def _read(headers: Headers) -> Hop | RecordError:
    content = next((value for name, value in reversed(headers) if name == HOP), None)
    if content is None:
        return RecordError("undecodable", f"it has no header {HOP}: only Pointsman writes this topic")
    try:
        version = _version(content).v
        if version != _VERSION:
            return RecordError("undecodable", f"its header {HOP} is of version {version}, not {_VERSION}")
        return _decode(content)
    except Exception as error:  # whatever stands there, the others go on
        return RecordError("undecodable", f"its header {HOP} is broken: {describe(error)}")


def _without(headers: Headers) -> list[tuple[str, bytes | None]]:
    """The headers that the event came with: all but ours, which is the last of its name."""
    kept = list(headers)
    for place in range(len(kept) - 1, -1, -1):
        if kept[place][0] == HOP:
            del kept[place]
            break
    return kept
