"""The one place that makes an HTTP request: failures become classes, and a reply is bounded."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from pointsman import __version__
from pointsman.base.errors import (
    EvalError,
    InvalidInput,
    InvalidReply,
    ModelError,
    ModelInternal,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
)
from pointsman.cel.values import to_json
from pointsman.model.endpoint import PORTS, Endpoint
from pointsman.model.http_channel import HttpChannel, Lost, NotHttp, Reply, TooLong, Unreachable
from pointsman.model.remote import Ask

__all__ = [
    "MOST_BYTES",
    "Answer",
    "body_of",
    "elsewhere",
    "failure_of",
    "json_of",
    "post",
    "quoted",
    "readiness",
]

MOST_BYTES: Final = 16 << 20
"""Bytes of the longest reply that is read."""

MOST_SAID: Final = 300
"""Characters of what a server says that are repeated."""

CLASSES: Final[Mapping[int, type[ModelError]]] = {
    400: InvalidInput,
    408: ModelTimeout,
    411: InvalidInput,
    413: InvalidInput,
    415: InvalidInput,
    422: InvalidInput,
    429: ModelOverloaded,
    502: ModelRefused,
    503: ModelOverloaded,
    504: ModelTimeout,
}
"""The failure class of a status; other 3xx and 4xx are `refused`, other 5xx `internal`."""

_USUAL: Final[Mapping[str, str]] = {"Accept": "application/json", "User-Agent": f"pointsman/{__version__}"}
_USUAL_WITH_BODY: Final[Mapping[str, str]] = {**_USUAL, "Content-Type": "application/json"}

_encode = msgspec.json.Encoder(enc_hook=to_json).encode
_decode = msgspec.json.Decoder().decode
_STRAY: Final = re.compile(r"[^\x20-\x7e]+")
_KIND: Final = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")
_TAGS: Final = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: 200 to 299, unless any was asked for.
        kind: The content type without its parameters, in lower case; empty where it named none.
        headers: By name in lower case.
        body: Uncompressed.
    """

    status: int
    kind: str
    headers: Mapping[str, str]
    body: bytes


def quoted(part: str) -> str:
    """One part of a path."""
    return quote(part, safe="")


def body_of(value: Any) -> bytes:
    """A request's body.

    Raises:
        InvalidInput: A value has no form in JSON.
    """
    try:
        return _encode(value)
    except (EvalError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the request has no form in JSON: {error}") from None


def json_of(answer: Answer) -> Any:
    """The reply's value.

    Raises:
        InvalidReply: It is not JSON, or says that it is something else.
    """
    kind = answer.kind
    if kind and kind != "application/json" and not kind.endswith("+json"):
        shown = kind if _KIND.fullmatch(kind) else "of a strange type"
        raise InvalidReply(f"the reply is {shown}, expected application/json")
    try:
        return _decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        size = len(answer.body)
        raise InvalidReply(f"the reply ({size} bytes) is not JSON: {error}") from None


def _tracing(ask: Ask, sent: dict[str, str]) -> None:
    """Adds the headers that tie a request to its event: the trace, and the id where there is one event."""
    if ask.trace:
        sent.update({name: value for name, value in ask.trace.items() if _plain(value)})
    if len(ask.ids) == 1 and _plain(ask.ids[0]) and len(ask.ids[0]) <= 256:
        sent["X-Request-ID"] = ask.ids[0]


async def post(
    endpoint: Endpoint,
    path: str,
    body: bytes | None,
    ask: Ask,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    most_bytes: int = MOST_BYTES,
    anyway: bool = False,
) -> Answer:
    """One request of JSON within `ask.timeout`.

    Args:
        endpoint: Where to.
        path: Appended to its address; begins with a slash, and holds nothing from an event.
        body: None for none.
        ask: What the attempt is told.
        method: The HTTP method.
        headers: Besides the usual ones, which they replace.
        most_bytes: The longest reply.
        anyway: Whether an answer of any status is returned.

    Raises:
        ModelError: It failed; the class says how.
    """
    sent = dict(_USUAL if body is None else _USUAL_WITH_BODY)
    _tracing(ask, sent)
    if headers:
        ours = {name.lower() for name in headers}
        sent = {name: value for name, value in sent.items() if name.lower() not in ours} | dict(headers)
    try:
        async with asyncio.timeout(ask.timeout):
            who = await endpoint.headers()
            sent.update(who)
            content = _request(method, endpoint.path + path, endpoint.authority, sent, body)
            try:
                reply = await endpoint.channel().request(content, most_bytes)
            except (OSError, NotHttp, TooLong) as error:
                raise _failed(error, endpoint.target, endpoint) from None
    except TimeoutError:
        raise ModelTimeout(f"no answer within {ask.timeout:g} s") from None
    if reply.status == 401 and not anyway:
        endpoint.auth.refused(who)
    return _answer(reply, endpoint, anyway=anyway)


async def readiness(endpoint: Endpoint, path: str, timeout: float) -> tuple[str, Any]:
    """Asks whether a model is ready.

    Returns:
        Why it is not, empty where it is; and what the server says, None where that is not JSON.

    Raises:
        ModelError: It could not be asked, or who asked was not accepted.
    """
    answer = await post(endpoint, path, None, Ask(timeout, (), {}), method="GET", anyway=True)
    if answer.status in (401, 403):
        raise failure_of(answer.status, answer.headers, _said(_reason(answer.body), endpoint))
    try:
        said = json_of(answer)
    except InvalidReply:
        said = None
    if 200 <= answer.status < 300:
        return "", said
    reason = _said(_reason(answer.body), endpoint)
    return f"HTTP {answer.status}: {reason}" if reason else f"HTTP {answer.status}", said


async def elsewhere(
    endpoint: Endpoint, url: str, headers: Mapping[str, str], body: bytes, most_bytes: int
) -> Answer:
    """Posts to another address than the endpoint's own, such as that of a token, without a time limit.

    Args:
        endpoint: Who asks; of its TLS only `ca` counts.
        url: The whole address.
        headers: All that are sent.
        body: The body.
        most_bytes: The longest reply.

    Raises:
        ModelError: It failed; the class says how.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or PORTS[parts.scheme]
    context = endpoint.token_context() if parts.scheme == "https" else None
    channel = HttpChannel(host, port, context, None)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    content = _request("POST", target, parts.netloc.rpartition("@")[2], headers, body)
    try:
        reply = await channel.request(content, most_bytes)
    except (OSError, NotHttp, TooLong) as error:
        raise _failed(error, f"{host}:{port}", endpoint) from None
    finally:
        await channel.close()
    return _answer(reply, endpoint)


def _request(
    method: str, target: str, authority: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """A request as bytes.

    Raises:
        InvalidInput: A header or the path holds what neither can.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    head = (
        f"{method} {target if target[:1] == '/' else '/' + target} HTTP/1.1\r\nHost: {authority}\r\n{lines}"
    )
    if head.count("\n") != len(headers) + 2 or head.count("\r") != len(headers) + 2:
        raise InvalidInput("the request cannot be sent: a header or the path holds a line break")
    try:
        if body is None:
            return f"{head}\r\n".encode("ascii")
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the request cannot be sent: {error}") from None


def _answer(reply: Reply, endpoint: Endpoint, *, anyway: bool = False) -> Answer:
    """The reply, if its status says that it is one."""
    status, headers, body = reply
    if anyway or 200 <= status < 300:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return Answer(status, kind, headers, body)
    raise failure_of(status, headers, _said(_reason(body), endpoint))


def failure_of(status: int, headers: Mapping[str, str], said: str = "") -> ModelError:
    """What a status outside 200 to 299 means."""
    text = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status < 400:
        return ModelRefused(f"HTTP {status}: it sends us elsewhere; give the final address")
    cls = CLASSES.get(status) or (ModelRefused if status < 500 else ModelInternal)
    if cls is ModelOverloaded:
        return ModelOverloaded(text, _retry_after(headers))
    return cls(text)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asked to be left alone for; a date counts from the reply's own date."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        until, sent = parsedate_to_datetime(said), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError, IndexError):
        return None


def _failed(error: Exception, where: str, endpoint: Endpoint) -> ModelError:
    """The failure that an exception of the channel stands for."""
    why = _said(str(error) or type(error).__name__, endpoint)
    if isinstance(error, ssl.SSLCertVerificationError):
        return ModelRefused(f"{where}: its certificate was not accepted: {why}")
    if isinstance(error, ssl.SSLError):
        return ModelRefused(f"{where}: TLS failed: {why}")
    if isinstance(error, Unreachable):
        return ModelRefused(f"cannot connect to {where}: {_said(error.strerror or why)}")
    if isinstance(error, Lost) and error.begun:
        return ModelRefused(f"{where}: the connection ended within the reply")
    if isinstance(error, TooLong):
        return InvalidReply(f"{where}: {why}")
    if isinstance(error, NotHttp):
        return InvalidReply(f"{where}: the reply cannot be read: {why}")
    return ModelRefused(f"{where}: the connection was closed before the reply: {why}")


def _reason(content: bytes) -> str:
    """What an error's body says: the text under one of the usual names, else the whole."""
    try:
        said = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _TAGS.sub(" ", content[: 64 * MOST_SAID].decode("utf-8", "replace"))
    for _ in range(3):
        if not isinstance(said, dict):
            break
        said = next((said[name] for name in _NAMES if said.get(name)), said)
    return said if isinstance(said, str) else msgspec.json.encode(said).decode()


_NAMES: Final[Sequence[str]] = ("error", "message", "detail", "error_description", "error_code")


def _said(text: str, endpoint: Endpoint | None = None) -> str:
    """What somebody else wrote, in one short line without our secrets."""
    if endpoint is not None:
        text = endpoint.scrub(text)
    return _STRAY.sub(" ", " ".join(text.split()))[:MOST_SAID].strip()


def _plain(value: str) -> bool:
    """Whether a header can carry it."""
    return value.isascii() and value.isprintable()
