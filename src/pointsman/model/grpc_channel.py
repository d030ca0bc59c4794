"""gRPC channels: one for each endpoint, with its TLS and credentials, and what its statuses mean to us."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import (
    InvalidInput,
    InvalidReply,
    Misfit,
    MissingExtra,
    ModelError,
    ModelInternal,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
)
from pointsman.model.endpoint import Endpoint

__all__ = ["LARGEST", "Channel", "channel_of"]

LARGEST: Final = 64 << 20
"""Bytes of the largest message that is sent or taken."""

_OPTIONS: Final = (
    ("grpc.enable_retries", 0),  # the guard's retry loop is the only one
    ("grpc.service_config_disable_resolution", 1),  # nor does a DNS record bring one
    ("grpc.max_send_message_length", LARGEST),
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.use_local_subchannel_pool", 1),  # two endpoints never share a connection
    ("grpc.enable_http_proxy", 0),  # as for HTTP: a proxy in the environment is not obeyed
)

_BROKEN: Final = ("Stream removed", "Socket closed", "sendmsg", "recvmsg")
"""What grpcio says of a connection that broke under a call, before the channel's state shows it."""

_LEAVING: Final = 60.0
"""Seconds that calls under way have on a connection that is left."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")

_SILENT: Final = 8
"""Calls in a row that time out without an answer between them, after which the connection is made anew: a
peer that vanished without a word would otherwise hold it for the quarter of an hour that TCP tries."""

_CLASSES: Final[Mapping[str, type[ModelError]]] = {
    "CANCELLED": ModelRefused,
    "INVALID_ARGUMENT": InvalidInput,
    "OUT_OF_RANGE": InvalidInput,
    "DEADLINE_EXCEEDED": ModelTimeout,
    "NOT_FOUND": ModelRefused,
    "PERMISSION_DENIED": ModelRefused,
    "UNAUTHENTICATED": ModelRefused,
    "UNIMPLEMENTED": ModelRefused,
    "UNAVAILABLE": ModelRefused,
    "FAILED_PRECONDITION": ModelRefused,
    "RESOURCE_EXHAUSTED": ModelOverloaded,
}
"""What a status means; INTERNAL, UNKNOWN, ABORTED, DATA_LOSS and whatever is new are ModelInternal."""


class Channel:
    """Calls unary methods of one endpoint over one HTTP/2 connection, bytes to bytes.

    Made without I/O; connects at the first call, in the event loop of that call, and after a failure again at
    the next call.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Raises:
        Misfit: gRPC cannot do what the endpoint's TLS asks for.
        MissingExtra: grpcio is not installed.
        """
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # or its core writes to standard error
        try:
            import grpc.aio
        except ModuleNotFoundError:
            raise MissingExtra("a model behind gRPC", "grpc") from None
        self._grpc = grpc
        self._endpoint = endpoint
        self._credentials = _credentials(grpc, endpoint) if endpoint.secure else None
        name = endpoint.tls.server_name
        self._options = (*_OPTIONS, ("grpc.ssl_target_name_override", name)) if name else _OPTIONS
        self._channel: Any = None
        self._methods: dict[str, Any] = {}
        self._unanswered = 0
        self._leaving: set[asyncio.Task[Any]] = set()

    async def unary(self, method: str, request: bytes, timeout: float, trace: Mapping[str, str]) -> bytes:
        """One call.

        Args:
            method: Such as `/inference.GRPCInferenceService/ModelInfer`.
            request: The serialized message.
            timeout: Seconds; the server is told too.
            trace: Metadata to forward.

        Raises:
            ModelError: It failed; the class says how.
        """
        try:
            async with asyncio.timeout(timeout):
                auth = await self._endpoint.headers()
                metadata = _metadata({**trace, **auth})
                call, channel = self._method(method), self._channel
                try:
                    reply: bytes | None = await call(request, timeout=timeout, metadata=metadata)
                except self._grpc.aio.AioRpcError as error:
                    raise self._failed(error, auth, channel) from None
                except self._grpc.aio.UsageError as error:  # closed while calls were under way
                    raise ModelRefused(f"the channel is closed: {error}") from None
        except TimeoutError:
            self._heard(False)
            raise ModelTimeout(f"no answer within {timeout:g} s") from None
        self._unanswered = 0
        if reply is None:  # what grpcio gives for a message that ends too early
            raise InvalidReply("the reply ends within a message")
        return reply

    def _failed(self, error: Any, auth: Mapping[str, str], channel: Any) -> ModelError:
        """What a call's status stands for."""
        if error.code() is self._grpc.StatusCode.UNAUTHENTICATED:
            self._endpoint.auth.refused(auth)
        failed = _error(error, self._endpoint.scrub)
        lost = channel.get_state() is self._grpc.ChannelConnectivity.TRANSIENT_FAILURE
        if channel is self._channel and (lost or any(sign in str(failed) for sign in _BROKEN)):
            self._renew()  # the next call tries at once: how long to wait is the guard's matter
        self._heard(not isinstance(failed, ModelTimeout))
        return failed

    def _method(self, name: str) -> Any:
        """The callable of a method, on the channel of now."""
        if self._channel is None:
            if self._credentials is None:
                self._channel = self._grpc.aio.insecure_channel(self._endpoint.target, self._options)
            else:
                self._channel = self._grpc.aio.secure_channel(
                    self._endpoint.target, self._credentials, self._options
                )
        call = self._methods.get(name)
        if call is None:
            call = self._methods[name] = self._channel.unary_unary(name)
        return call

    def _heard(self, heard: bool) -> None:
        """Counts calls that heard nothing; after too many, the next call connects anew."""
        self._unanswered = 0 if heard else self._unanswered + 1
        if self._unanswered >= _SILENT:
            self._renew()

    def _renew(self) -> None:
        """Leaves the connection to the calls that are under way on it; the next call makes another."""
        old, self._channel, self._methods, self._unanswered = self._channel, None, {}, 0
        if old is None:
            return
        task = asyncio.get_running_loop().create_task(old.close(_LEAVING))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Ends the connection and what is under way on it."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        channel, self._channel, self._methods = self._channel, None, {}
        if channel is not None:
            await channel.close(None)


def channel_of(endpoint: Endpoint) -> Channel:
    """The one channel of an endpoint, which all its models share, and which closes with it.

    Raises:
        Misfit: gRPC cannot do what the endpoint's TLS asks for.
        MissingExtra: grpcio is not installed.
    """
    channel: Channel = endpoint.shared("grpc", lambda: Channel(endpoint))
    return channel


def _credentials(grpc: Any, endpoint: Endpoint) -> Any:
    """How the server is verified and what it is shown."""
    tls = endpoint.tls
    if not tls.verify:
        hint = "give its certificate, or that of who signed it, as ca"
        raise Misfit("E442", "with gRPC the server is always verified", hint, ("tls", "verify"))
    if tls.password is not None:
        hint = "write the key without a passphrase into a file that only we may read"
        raise Misfit("E442", "gRPC takes no key with a passphrase", hint, ("tls", "password"))
    roots = _system_roots() if tls.ca is None else _content(tls.ca, "ca")
    key = None if tls.key is None else _content(tls.key, "key")
    cert = None if tls.cert is None else _content(tls.cert, "cert")
    return grpc.ssl_channel_credentials(roots, key, cert)


def _system_roots() -> bytes | None:
    """The certificates that this system trusts, as for HTTP; None for those that grpcio carries."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None


def _content(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misfit("E442", f"{path.name}: {error.strerror}", f"looked for {path}", ("tls", key)) from None


def _error(error: Any, scrub: Callable[[str], str]) -> ModelError:
    """The failure that a call's status stands for."""
    code, said = error.code().name, _one_line(scrub(error.details() or ""))
    if code == "RESOURCE_EXHAUSTED" and "message larger than max" in said:
        if "Received" in said and f"vs. {LARGEST}" in said:  # grpcio's own words, on our side
            return InvalidReply(f"gRPC: the reply is larger than {LARGEST >> 20} MiB")
        return InvalidInput(f"gRPC: the request is too large: {said}")
    text = f"gRPC {code}: {said}" if said else f"gRPC {code}"
    if code == "RESOURCE_EXHAUSTED":
        return ModelOverloaded(text, _retry_after(error.trailing_metadata() or ()))
    return _CLASSES.get(code, ModelInternal)(text)


def _metadata(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Headers as metadata; what gRPC could not carry, such as a trace that is none, is left out."""
    return [
        (name.lower(), value)
        for name, value in headers.items()
        if _NAME.fullmatch(name) and not name.lower().endswith("-bin") and _VALUE.fullmatch(value)
    ]


def _retry_after(trailing: Any) -> float | None:
    """Seconds that the server asks to be left alone for: gRPC's own `pushback`, or HTTP's header."""
    said = {str(name): value for name, value in trailing}
    for name, scale in (("grpc-retry-pushback-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(said[name]) * scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 86400:
            return seconds
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
