"""HTTP/1.1 to one address: connections that are kept, and replies that are bounded.

llhttp, the parser of Node.js, reads the replies (by httptools); here is only who waits for which, and when a
connection may be used again. A server that says more than it was asked for loses its connection.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pointsman.model.endpoint import http_library

__all__ = ["HttpChannel", "Lost", "NotHttp", "Reply", "TooLong", "Unreachable"]

MOST_HEAD: Final = 64 << 10
"""Bytes of the longest head of a reply that is read."""

IDLE: Final = 30.0
"""Seconds that a connection is kept which nobody uses."""

STAGGER: Final = 0.25
"""Seconds after which the next address of a name is tried too, as RFC 8305 has it."""

CLOSING: Final = 1.0
"""Seconds that connections have to end."""


class Unreachable(OSError):
    """There is no connection."""


class Lost(ConnectionError):
    """The connection ended before the whole reply was there.

    Attributes:
        begun: Whether some of the reply was.
    """

    def __init__(self, text: str, *, begun: bool) -> None:
        super().__init__(text)
        self.begun = begun


class NotHttp(Exception):
    """What came is no reply of HTTP/1.1."""


class TooLong(Exception):
    """The reply is longer than the caller reads."""


class Reply(NamedTuple):
    """What a server sent.

    Attributes:
        status: 200 to 999.
        headers: By name in lower case; of several with one name, the last.
        body: Uncompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection, and the one request that it carries now."""

    transport: asyncio.Transport

    def __init__(self, channel: HttpChannel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._parser = channel.httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._failure: Exception | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._most = self._got = self._size = 0
        self._in_head = True
        self.since = 0.0
        self.reusable = False
        self.gone = loop.create_future()

    def ask(self, content: bytes, most_bytes: int) -> asyncio.Future[Reply]:
        """Sends a whole request; its reply, of up to `most_bytes`, comes with the future."""
        self._headers, self._parts = [], []
        self._most, self._got, self._size, self._in_head = most_bytes, 0, 0, True
        self.reusable = False
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiter = waiter
        self.transport.write(content)
        return waiter

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is open."""
        self.transport = transport  # type: ignore[assignment]  # of a stream

    def data_received(self, data: bytes) -> None:
        """Some of a reply; or what nobody asked for."""
        if self._waiter is None:
            self.transport.abort()
            return
        if self._in_head:
            self._got += len(data)
        try:
            self._parser.feed_data(data)
        except self._channel.httptools.HttpParserUpgrade:
            self._fail(NotHttp("it changes the protocol"))
        except self._channel.httptools.HttpParserError as error:
            self._fail(NotHttp(str(error)))
        if self._in_head and self._got > MOST_HEAD:
            self._fail(NotHttp(f"its head has more than {MOST_HEAD} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Is closed; a reply without a length ends so."""
        self._channel.forget(self)
        self.gone.set_result(None)
        if self._waiter is None:
            return
        if exc is None and not self._in_head and not self._measured():
            self._answer()
        elif isinstance(exc, ssl.SSLError):
            self._fail(exc)
        else:
            text = str(exc) if exc is not None and str(exc) else "the server hung up"
            self._fail(Lost(text, begun=self._got > 0))

    # Called by the parser

    def on_message_begin(self) -> None:
        """A reply; a second one to the same request spoils the connection."""
        if self._waiter is None:
            self.reusable = False
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """What follows is the body."""
        self._in_head = False

    def on_body(self, part: bytes) -> None:
        """Some of the body."""
        self._size += len(part)
        if self._size > self._most:
            self._fail(TooLong(f"the reply has more than {self._most} bytes"))
        else:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        """The reply is whole; after an interim one comes another."""
        if self._parser.get_status_code() < 200:
            self._headers, self._in_head = [], True
            return
        self.reusable = self._parser.should_keep_alive()
        self._answer()

    def _measured(self) -> bool:
        """Whether the reply says where it ends."""
        return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self._headers)

    def _answer(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._headers}
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        try:
            body = _plain(headers.get("content-encoding", ""), body, self._most)
        except (NotHttp, TooLong) as error:
            waiter.set_exception(error)
        else:
            waiter.set_result(Reply(self._parser.get_status_code(), headers, body))

    def _fail(self, error: Exception) -> None:
        """The request is over, and the connection with it."""
        waiter, self._waiter = self._waiter, None
        self.reusable = False
        self.transport.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


class HttpChannel:
    """Requests to one address; as many connections as requests at once. Used in one event loop.

    Attributes:
        httptools: The module.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None, server_name: str | None) -> None:
        """Args:
        host: A name or an address.
        port: Its port.
        context: How it is verified; None without TLS.
        server_name: The name that its certificate must have, where that is not `host`.

        Raises:
            MissingExtra: httptools is not installed.
        """
        self.httptools = http_library()
        self._host = host
        self._port = port
        self._context = context
        self._server_name = server_name or host
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(self, content: bytes, most_bytes: int) -> Reply:
        """One request, on a connection that is idle or on a new one; never repeated.

        Args:
            content: All of it, head and body.
            most_bytes: The longest body of a reply.

        Raises:
            Unreachable, ssl.SSLError: There is no connection.
            Lost: It ended too soon.
            NotHttp, TooLong: What came is no reply, or too long.
        """
        idle = self._idle
        while idle and idle[-1].transport.is_closing():
            idle.pop()
        connection = idle.pop() if idle else await self._connect()
        try:
            reply = await connection.ask(content, most_bytes)
        except BaseException:  # cancelled, too: what still comes belongs to nobody
            connection.transport.abort()
            raise
        if connection.reusable and not self._closed and not connection.transport.is_closing():
            loop = asyncio.get_running_loop()
            connection.since = loop.time()
            idle.append(connection)
            if self._timer is None:
                self._timer = loop.call_later(IDLE, self._tidy)
        else:
            connection.transport.close()
        return reply

    def forget(self, connection: _Connection) -> None:
        """The connection has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def close(self) -> None:
        """Ends all connections; may be called again."""
        self._closed = True
        self._idle.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        leaving = [connection.gone for connection in self._open]
        for connection in list(self._open):
            connection.transport.abort()
        if leaving:
            await asyncio.wait(leaving, timeout=CLOSING)

    async def _connect(self) -> _Connection:
        import aiohappyeyeballs

        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=1)  # SOCK_STREAM
            sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=STAGGER, loop=loop)
        except OSError as error:
            raise Unreachable(error.errno, error.strerror or str(error)) from None
        tls: dict[str, Any] = {}
        if self._context is not None:
            tls = {"ssl": self._context, "server_hostname": self._server_name}
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self, loop), sock=sock, **tls)
        except ssl.SSLError:
            raise
        except OSError as error:
            raise Lost(str(error) or "the server hung up", begun=False) from None
        self._open.add(connection)
        return connection

    def _tidy(self) -> None:
        """Ends connections that nobody has used for long."""
        loop = asyncio.get_running_loop()
        self._timer = None
        before = loop.time() - IDLE
        for connection in [one for one in self._idle if one.since <= before]:
            self._idle.remove(connection)
            connection.transport.close()
        if self._idle:
            self._timer = loop.call_at(self._idle[0].since + IDLE, self._tidy)


def _plain(encoding: str, body: bytes, most_bytes: int) -> bytes:
    """The body uncompressed; none was asked for, and some servers compress all the same."""
    if not encoding or encoding == "identity" or not body:
        return body
    if encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        raise NotHttp(f"it is encoded as {encoding[:20]}, which was not asked for")
    try:
        made = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        plain = made.decompress(body, most_bytes + 1)
    except zlib.error:
        raise NotHttp("it cannot be decompressed") from None
    if len(plain) > most_bytes:
        raise TooLong(f"the reply has more than {most_bytes} bytes uncompressed")
    if not made.eof:
        raise NotHttp("it cannot be decompressed: it ends early")
    return plain
