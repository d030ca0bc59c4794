"""The one place that makes an HTTP request: failures become classes, and a reply is bounded."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

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
from pointsman.model.endpoint import Endpoint, http_library
from pointsman.model.remote import Ask

__all__ = [
    "MOST_BYTES",
    "Answer",
    "body_of",
    "exchange",
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

_encode = msgspec.json.Encoder(enc_hook=to_json).encode
_decode = msgspec.json.Decoder().decode
_STRAY: Final = re.compile(r"[^\x20-\x7e]+")
_TAGS: Final = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: 200 to 299, unless any was asked for.
        kind: The content type without its parameters, in lower case; empty where it named none.
        headers: By name, whatever the case.
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
        raise InvalidReply(f"the reply is {_said(kind)}, expected application/json")
    try:
        return _decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        size = len(answer.body)
        raise InvalidReply(f"the reply ({size} bytes) is not JSON: {error}") from None


def _tracing(ask: Ask) -> dict[str, str]:
    """The headers that tie a request to its event: the trace, and the id where there is one event."""
    headers = {name: value for name, value in ask.trace.items() if _plain(value)}
    if len(ask.ids) == 1 and _plain(ask.ids[0]) and len(ask.ids[0]) <= 256:
        headers["X-Request-ID"] = ask.ids[0]
    return headers


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
    sent = {"Accept": "application/json", **_tracing(ask)}
    if body is not None:
        sent["Content-Type"] = "application/json"
    sent.update(headers or {})
    try:
        async with asyncio.timeout(ask.timeout):
            who = await endpoint.headers()
            sent.update(who)
            try:
                url = endpoint.base + path
                return await exchange(endpoint, method, url, sent, body, most_bytes, anyway=anyway)
            except _Unknown as error:
                endpoint.auth.refused(who)
                raise ModelRefused(str(error)) from None
    except TimeoutError:
        raise ModelTimeout(f"no answer within {ask.timeout:g} s") from None


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


class _Unknown(ModelRefused):
    """401: who called was not accepted."""


async def exchange(
    endpoint: Endpoint,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    most_bytes: int,
    *,
    token: bool = False,
    anyway: bool = False,
) -> Answer:
    """One request without credentials of its own and without a time limit.

    Args:
        endpoint: Whose connections are used.
        method: The HTTP method.
        url: The whole address.
        headers: All that are sent.
        body: None for none.
        most_bytes: The longest reply.
        token: Whether it goes to a token endpoint, which `tls` does not describe.
        anyway: Whether an answer of any status is returned.

    Raises:
        ModelError: It failed; the class says how.
    """
    import yarl

    aiohttp = http_library()
    more: dict[str, Any] = {}
    if token:
        more["ssl"] = endpoint.token_context()
    elif endpoint.context is not None:
        more["ssl"] = endpoint.context
        if endpoint.tls.server_name:
            more["server_hostname"] = endpoint.tls.server_name
    try:
        async with endpoint.session().request(
            method,
            yarl.URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None),
            **more,
        ) as response:
            content = await _content(response, most_bytes)
            if anyway or 200 <= response.status < 300:
                return Answer(response.status, _kind(response), response.headers, content)
            raise failure_of(response.status, response.headers, _said(_reason(content), endpoint))
    except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
        raise _failed(aiohttp, error, endpoint) from None


async def _content(response: Any, most_bytes: int) -> bytes:
    """The body, as long as it is not too long."""
    length = response.content_length
    if length is not None and length > most_bytes:
        response.close()
        raise InvalidReply(f"the reply has {length} bytes, at most {most_bytes} are read")
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most_bytes:
            response.close()
            raise InvalidReply(f"the reply has more than {most_bytes} bytes")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def failure_of(status: int, headers: Mapping[str, str], said: str = "") -> ModelError:
    """What a status outside 200 to 299 means."""
    text = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status < 400:
        return ModelRefused(f"HTTP {status}: it sends us elsewhere; give the final address")
    if status == 401:
        return _Unknown(text)
    cls = CLASSES.get(status) or (ModelRefused if status < 500 else ModelInternal)
    if cls is ModelOverloaded:
        return ModelOverloaded(text, _retry_after(headers))
    return cls(text)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asked to be left alone for; a date counts from the reply's own date."""
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        until, sent = parsedate_to_datetime(said), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError, IndexError):
        return None


def _failed(aiohttp: Any, error: Exception, endpoint: Endpoint) -> ModelError:
    """The failure that an exception of the client stands for."""
    where, why = endpoint.target, _said(str(error) or type(error).__name__, endpoint)
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return ModelTimeout(f"{where}: {why}")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ModelRefused(f"{where}: its certificate was not accepted: {why}")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return ModelRefused(f"{where}: TLS failed: {why}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ModelRefused(f"cannot connect to {where}: {_said(error.os_error.strerror or why)}")
    if isinstance(error, aiohttp.ClientPayloadError):
        broken = getattr(error, "__cause__", None)
        if type(broken).__name__ == "ContentEncodingError":
            return InvalidReply(f"{where}: the reply cannot be decompressed")
        return ModelRefused(f"{where}: the connection ended within the reply")
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientConnectionError | OSError):
        return ModelRefused(f"{where}: the connection was closed before the reply: {why}")
    if isinstance(error, aiohttp.ClientResponseError):
        return InvalidReply(f"{where}: the reply is not HTTP: {_said(error.message, endpoint)}")
    if isinstance(error, ValueError):
        return InvalidInput(f"the request cannot be sent: {why}")
    return ModelRefused(f"{where}: {why}")


def _kind(response: Any) -> str:
    """The content type that the reply names."""
    named: str = response.headers.get("Content-Type", "")
    return named.partition(";")[0].strip().lower()


def _reason(content: bytes) -> str:
    """What an error's body says: the text under one of the usual names, else the whole."""
    try:
        said = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _TAGS.sub(" ", content[: 4 * MOST_SAID].decode("utf-8", "replace"))
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
