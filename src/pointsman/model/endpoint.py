"""A server as the models behind it share it: its address, its connections, who is calling, and TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from pointsman.base.config import FileName, Flag, Nested, Secret, Text
from pointsman.base.config import key as declare  # a key of `tls` is called key
from pointsman.base.errors import Misfit, MissingExtra
from pointsman.base.secret import Hidden
from pointsman.model.auth import AuthKeys, auth_of

if TYPE_CHECKING:
    from pointsman.model.http_channel import HttpChannel

__all__ = ["Endpoint", "EndpointKeys", "TlsKeys"]

PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443}
"""The schemes of an address, and the port of one that names none."""

UNRESERVED: Final = "/%:@!$&'()*+,;=~"
"""What stands in a path as it is."""

LEAST_SECRET: Final = 6
"""Characters of the shortest text of the document that a message leaves out."""

HIDDEN: Final = "***"
"""What stands for a secret in a message."""


@dataclass(frozen=True, slots=True, repr=False)
class TlsKeys:
    """How the server is verified, and which certificate it is shown."""

    ca: Path | None = declare(
        FileName(),
        "Certificates to trust (PEM), in place of the system's.",
        default=None,
        example="ca.pem",
        step=2,
    )
    cert: Path | None = declare(
        FileName(), "Our certificate chain (PEM), for mutual TLS.", default=None, example="client.pem", step=2
    )
    key: Path | None = declare(
        FileName(), "The private key of `cert` (PEM).", default=None, example="client.key", step=2
    )
    password: Hidden | None = declare(
        Secret(), "The passphrase of `key`.", default=None, example='"${KEY_PASSPHRASE}"', step=2
    )
    server_name: str | None = declare(
        Text(), "The name its certificate must have, where it is not the address's.", default=None, step=2
    )
    verify: bool = declare(
        Flag(), "`false` accepts any certificate: for experiments only.", default=True, example="true", step=2
    )


@dataclass(frozen=True, slots=True, repr=False)
class EndpointKeys:
    """The keys of an endpoint that reach the connection; `concurrency`, `rate`, `breaker` are the guard's."""

    auth: AuthKeys | None = declare(
        Nested(AuthKeys), "Who is calling.", default=None, example='{bearer: "${MODEL_TOKEN}"}', step=2
    )
    tls: TlsKeys | None = declare(
        Nested(TlsKeys), "TLS beyond the defaults.", default=None, example="{ca: ca.pem}", step=2
    )


class Endpoint:
    """One server: models that name it share its connections.

    Nothing is opened before the first request. Coroutines run in one event loop; `close` is called in it too.

    Attributes:
        name: As in `endpoints`, or the model's own name.
        scheme: `http`, `https`, `grpc` or `grpcs`.
        address: As written.
        base: The address without a slash at its end; paths are appended to it.
        host: Its name or address.
        port: Its port.
        target: `host:port`.
        authority: The same as the Host header has it.
        path: Where paths are appended to.
        auth: Who is calling.
        tls: What is said of TLS; of use where `secure`.
        private: Whether it belongs to one model, which closes it with `release`.
    """

    def __init__(self, name: str, address: str, keys: EndpointKeys | None = None) -> None:
        """Args:
        name: For messages.
        address: `http://`, `https://`, `grpc://` or `grpcs://` with a host, an optional port and path.
        keys: Authentication and TLS; None for neither.

        Raises:
            Misfit: The address cannot be used, or a file of `tls` cannot be loaded.
        """
        keys = keys or EndpointKeys()
        parts, port = _parts(address)
        self.name = name
        self.scheme = parts.scheme
        self.address = address
        self.base = address.rstrip("/")
        self.host, self.port = parts.hostname or "", port
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.target = f"{shown}:{port}"
        self.authority = shown if port == PORTS[parts.scheme] else self.target
        self.path = quote(parts.path.rstrip("/"), safe=UNRESERVED)
        self.auth = auth_of(keys.auth)
        self.tls = keys.tls or TlsKeys()
        if keys.tls is not None and not self.secure:
            text = f"tls is given, and the address is {self.scheme}://"
            raise Misfit("E442", text, f"write {self.scheme}s://", ("tls",))
        self._context = _context(self.tls) if self.secure else None
        self.private = False
        self._shared: dict[str, Any] = {}
        self._hidden: list[str] = []

    @classmethod
    def of(cls, name: str, address: str, given: Endpoint | None, *, grpc: bool = False) -> Endpoint:
        """The endpoint that a model shares, or one of its own at `address`.

        Args:
            name: The model's name.
            address: The model's own address.
            given: The endpoint it shares; None for its own.
            grpc: Whether the protocol can be spoken in gRPC too.

        Raises:
            Misfit: The address cannot be used with the protocol.
            MissingExtra: httptools is not installed.
        """
        endpoint = given or cls(name, address)
        endpoint.private = given is None
        if endpoint.grpc and not grpc:
            raise Misfit("E441", "the protocol is not spoken in gRPC", "write http:// or https://")
        if not endpoint.grpc:
            http_library()
        return endpoint

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r}, {self.base!r})"

    @property
    def secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self.scheme in ("https", "grpcs")

    @property
    def grpc(self) -> bool:
        """Whether it is spoken to in gRPC."""
        return self.scheme in ("grpc", "grpcs")

    @property
    def context(self) -> ssl.SSLContext | None:
        """How the server is verified; None without TLS."""
        return self._context

    def token_context(self) -> ssl.SSLContext:
        """How a token endpoint is verified: by the system's certificates and those of `tls.ca`."""
        context = ssl.create_default_context()
        if self.tls.ca is not None:
            context.load_verify_locations(self.tls.ca)
        return context

    def hide(self, texts: Iterable[str]) -> None:
        """Has `scrub` leave these out too, unless they are too short to be a secret."""
        for text in texts:
            self._hidden += (one for one in (text, quote(text, safe="")) if len(one) >= LEAST_SECRET)

    def scrub(self, text: str) -> str:
        """`text` without the endpoint's secrets, which a server may have sent back."""
        for secret in sorted((*self.auth.secrets(), *self._hidden), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    async def headers(self) -> Mapping[str, str]:
        """The credentials of one attempt; may fetch a token, and raises a ModelError where there is none."""
        return await self.auth.headers(self)

    def shared(self, kind: str, make: Callable[[], Any]) -> Any:
        """What `make` opens, once for all models of the endpoint; it has an awaitable `close()`.

        Args:
            kind: Which, such as `grpc`.
            make: Called in the event loop at the first use.
        """
        if kind not in self._shared:
            self._shared[kind] = make()
        return self._shared[kind]

    def channel(self) -> HttpChannel:
        """Its connections; must be called in the event loop."""
        channel: HttpChannel = self.shared("http", self._channel)
        return channel

    def _channel(self) -> HttpChannel:
        from pointsman.model.http_channel import HttpChannel

        return HttpChannel(self.host, self.port, self._context, self.tls.server_name)

    async def close(self) -> None:
        """Closes its connections; may be called again."""
        made, self._shared = self._shared, {}
        for one in made.values():
            await one.close()

    async def release(self) -> None:
        """Closes it where it belongs to the model that calls; one that is shared is left to its owner."""
        if self.private:
            await self.close()


def http_library() -> Any:
    """The module `httptools`.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import httptools
    except ModuleNotFoundError:
        raise MissingExtra("a model behind HTTP", "http") from None
    return httptools


def _parts(address: str) -> tuple[SplitResult, int]:
    """The address taken apart, and its port."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:  # whose text may hold a piece of a password
        text = "the address cannot be read: its port is no number, or its brackets do not fit"
        raise Misfit("E441", text, "write http://host:port") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise Misfit(
            "E441",
            f"the address is not one of {', '.join(f'{scheme}://host:port' for scheme in PORTS)}",
            "http:// is REST, grpc:// is gRPC; with an s, over TLS",
        )
    if parts.username is not None or parts.password is not None:
        raise Misfit("E441", "the address holds a user or a password", "write it under auth: {basic: …}")
    if parts.query or parts.fragment or any(c.isspace() for c in address):
        raise Misfit("E441", "the address holds more than a host, a port and a path", "cut it there")
    if parts.scheme.startswith("grpc") and parts.path not in ("", "/"):
        raise Misfit("E441", f"a {parts.scheme}:// address has no path", "cut it after the port")
    return parts, PORTS[parts.scheme] if port is None else port


def _context(tls: TlsKeys) -> ssl.SSLContext:
    """How the server is verified and what it is shown."""
    if (tls.cert is None) != (tls.key is None):
        missing = "key" if tls.key is None else "cert"
        raise Misfit("E442", f"tls has no '{missing}'", "mutual TLS needs cert and key", ("tls",))
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ssl.SSLError):
        raise Misfit("E442", "tls.ca holds no certificate", "give PEM", ("tls", "ca")) from None
    if tls.cert is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key, tls.password or "")
        except (OSError, ssl.SSLError):
            text = "tls.cert and tls.key cannot be loaded together"
            raise Misfit(
                "E442", text, "give the PEM files of one pair, and its password", ("tls", "cert")
            ) from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
