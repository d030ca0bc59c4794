"""The request: an event that was decided and waits for a model; routers write it, dispatchers read it.

Its form is `schemas/request.schema.json`. It begins as the decision record does, with what the router wrote,
byte for byte; in the end `result` takes the place of what only the dispatcher needs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from pointsman.base.records import Batch, Headers, SourceRecord
from pointsman.cel.functions.time import parse_duration, parse_timestamp
from pointsman.cel.values import Uint
from pointsman.codec.cloudevents import MARK
from pointsman.engine.decide import Decided
from pointsman.engine.policy import Lane, ModelPlan, encode
from pointsman.engine.project import Project
from pointsman.engine.support import json_key
from pointsman.spec.document import Document

__all__ = ["Request", "Requests", "request_topic", "restorer", "version_of"]

_RESULT: Final = b'"result":'


def request_topic(document: Document, model: str) -> str:
    """The topic of the requests whose plan begins with `model`."""
    return f"{document.pipeline}.requests.{model}"


# What a router writes.


class Requests:
    """Writes the requests of a policy."""

    def __init__(self, version: str, *, verbatim: bool) -> None:
        """Args:
        version: The policy version.
        verbatim: Whether an event is the value of its record.
        """
        self._policy = encode(version)
        self._verbatim = verbatim
        self._plans: dict[int, tuple[Lane, bytes]] = {}

    def make(self, decided: Decided, index: int, head: bytes, lane: Lane, headers: Headers | None) -> bytes:
        """The request of one event.

        Args:
            index: Its place in the batch.
            head: Its decision record up to the result.
            lane: Its route and choice.
            headers: Those of its source record.
        """
        batch = decided.batch
        deadline = lane.group.deadline
        due = b"null" if deadline is None else b"%d" % (batch.now_ms + round(deadline * 1000))
        return b'%b"key":%b,"deadline":%b,"plan":%b,"policy":%b,"origin":%b}' % (
            head.removesuffix(_RESULT),
            _key(decided.keys[index]),
            due,
            self._plan(lane),
            self._policy,
            self._origin(batch, index, headers),
        )

    def _plan(self, lane: Lane) -> bytes:
        """The models that may be asked, in turn; the lane is kept, so that its identity stays its own."""
        known = self._plans.get(id(lane))
        if known is None:
            names = [lane.model.name, *(stop.name for stop in lane.rest if isinstance(stop, ModelPlan))]
            known = self._plans[id(lane)] = (lane, encode(names))
        return known[1]

    def _origin(self, batch: Batch, index: int, headers: Headers | None) -> bytes:
        origin: dict[str, Any] = {"timestamp": batch.timestamps[index]}
        if headers:
            origin["headers"] = [[name, _text(value)] for name, value in headers]
        value = batch.values[index] or b""
        whole = self._verbatim and value.startswith(b"{") and value.endswith(b"}") and MARK not in value
        if not whole:
            origin["value"] = _text(value)
        return encode(origin)


# What a dispatcher reads.


class _Base64(msgspec.Struct):
    base64: str


_Bytes = str | _Base64 | None
_Policy = Annotated[str, msgspec.Meta(pattern="^[0-9]+@[0-9a-f]{8}$")]


class _Origin(msgspec.Struct):
    timestamp: int
    headers: list[tuple[str, _Bytes]] = []
    value: _Bytes | msgspec.UnsetType = msgspec.UNSET


class _Source(msgspec.Struct):
    topic: str
    partition: int
    offset: int
    key: _Bytes


class _Decision(msgspec.Struct):
    route: str
    model: str


class _Form(msgspec.Struct):
    id: msgspec.Raw
    time: int
    decided_at: int
    source: msgspec.Raw
    event: msgspec.Raw
    metadata: msgspec.Raw
    decision: msgspec.Raw
    key: _Bytes
    deadline: int | None
    policy: _Policy
    origin: _Origin


class _Version(msgspec.Struct):
    policy: _Policy


_form = msgspec.json.Decoder(_Form).decode
_source = msgspec.json.Decoder(_Source).decode
_decision = msgspec.json.Decoder(_Decision).decode
_metadata = msgspec.json.Decoder(dict[str, Any]).decode
_version = msgspec.json.Decoder(_Version).decode


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was read.

    Attributes:
        record: The source record as it came.
        key: The decision record's key.
        time: When the event happened, milliseconds since 1970.
        metadata: What enrichers added, as JSON gives it back.
        route: The route that took the event.
        model: The model it picked.
        deadline: When an answer is of no more use, milliseconds since 1970; None is never.
    """

    record: SourceRecord
    key: str | bytes | None
    time: int
    metadata: dict[str, Any]
    route: str
    model: str
    deadline: int | None
    _form: _Form

    @classmethod
    def read(cls, value: bytes) -> Request:
        """The request that a record holds; raises msgspec's errors, or ValueError, where it holds none."""
        form = _form(value)
        source, decision, origin = _source(form.source), _decision(form.decision), form.origin
        whole = bytes(form.event) if origin.value is msgspec.UNSET else _bytes(origin.value)
        headers = [(name, _bytes(text)) for name, text in origin.headers]
        key = _bytes(source.key)
        return cls(
            SourceRecord(
                whole, key, source.topic, source.partition, source.offset, origin.timestamp, headers or None
            ),
            form.key if isinstance(form.key, str) else _bytes(form.key),
            form.time,
            _metadata(form.metadata),
            decision.route,
            decision.model,
            form.deadline,
            form,
        )

    def head(self, project: Project | None) -> bytes:
        """The decision record up to the result.

        Args:
            project: What it carries of the event; None: all of it.
        """
        form, value = self._form, self.record.value
        return HEAD % (
            form.id,
            form.time,
            form.decided_at,
            form.source,
            form.event if project is None else project(value or b""),
            form.metadata,
            form.decision,
        )


HEAD: Final = (
    b'{"v":1,"id":%b,"time":%d,"decided_at":%d,"source":%b,"event":%b,"metadata":%b,"decision":%b,"result":'
)


def version_of(value: bytes | None) -> str | None:
    """The policy version that a request asks for; None where it is no request."""
    try:
        return _version(value or b"").policy
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def restorer(document: Document) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Gives metadata the types back that JSON does not have, as far as the document says what they are."""
    kinds = {spec.field: _KINDS[spec.result] for spec in document.enrich if spec.result in _KINDS}

    def restore(metadata: dict[str, Any]) -> dict[str, Any]:
        for name, kind in kinds.items():
            value = metadata.get(name)
            if value is not None:
                metadata[name] = kind(value)
        return metadata

    return restore


_KINDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "timestamp": parse_timestamp,
    "duration": parse_duration,
    "bytes": base64.b64decode,
    "uint": Uint,
    "double": float,
}


def _bytes(content: _Bytes | msgspec.UnsetType) -> bytes | None:
    if isinstance(content, _Base64):
        return base64.b64decode(content.base64, validate=True)
    return content.encode() if isinstance(content, str) else None


def _key(key: str | bytes | None) -> bytes:
    return encode(key) if isinstance(key, str) else json_key(key)


def _text(content: bytes | None) -> Any:
    """Bytes as they stand in JSON: text where they are UTF-8, else base64."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
