"""Connections of a channel: when one is used again, and how a reply ends."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from pointsman.model.http_channel import HttpChannel, Lost, NotHttp, Reply, TooLong, Unreachable
from pointsman.model.loops import new_loop

ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 2\r\n\r\n{}"

Scene = Callable[[HttpChannel, "Server"], Awaitable[None]]


class Server:
    """Says `says` to each request, and then hangs up where `leaves`."""

    def __init__(self) -> None:
        self.says = WHOLE
        self.leaves = False
        self.connections = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.left.clear()
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked.set()
                writer.write(self.says)
                if self.leaves:
                    break
        writer.close()
        self.left.set()


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[HttpChannel, Server]]:
    """A channel to a server."""
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    channel = HttpChannel("127.0.0.1", listening.sockets[0].getsockname()[1], None, None)
    yield channel, server
    await channel.close()
    listening.close()


def played(scene: Scene) -> None:
    """Plays it on asyncio's loop and on that of remote models."""

    async def run() -> None:
        async with opened() as (channel, server):
            await scene(channel, server)

    for factory in (asyncio.new_event_loop, new_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run())


@pytest.mark.parametrize(
    ("says", "body"),
    [
        (WHOLE, b"{}"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + WHOLE, b"{}"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + gzip.compress(b"{}", mtime=0), b"{}"),
    ],
)
def test_a_connection_is_used_again_after_a_whole_reply(says: bytes, body: bytes) -> None:
    """However its end is told; an interim reply is passed over."""

    async def scene(channel: HttpChannel, server: Server) -> None:
        server.says = says
        for _ in range(3):
            reply = await channel.request(ASK, 100)
            assert (reply.status // 100, reply.body) == (2, body)
        assert server.connections == 1

    played(scene)


@pytest.mark.parametrize(
    "says",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        WHOLE + WHOLE,
        WHOLE + b"garbage",
    ],
)
def test_a_connection_that_cannot_be_trusted_is_not_used_again(says: bytes) -> None:
    """The server wants it closed, or said more than it was asked for: no later request gets the rest."""

    async def scene(channel: HttpChannel, server: Server) -> None:
        server.says = says
        for expected in (1, 2):
            with contextlib.suppress(NotHttp):
                assert (await channel.request(ASK, 100)).body == b"{}"
            assert server.connections == expected

    played(scene)


def test_a_reply_without_a_length_ends_with_its_connection() -> None:
    """As HTTP/1.0 has it."""

    async def scene(channel: HttpChannel, server: Server) -> None:
        server.says, server.leaves = b"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\n{}", True
        assert await channel.request(ASK, 100) == Reply(200, {"x-a": "b"}, b"{}")

    played(scene)


@pytest.mark.parametrize(
    ("says", "failure"),
    [
        (b"", Lost),
        (OK + b"Content-Length: 3\r\n\r\n{}", Lost),
        (OK + b"Content-Length: 101\r\n\r\n" + b"x" * 101, TooLong),
        (OK + b"X: " + b"x" * 100_000, NotHttp),
        (OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", NotHttp),
        (
            OK + b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n" + gzip.compress(b"{}", mtime=0)[:10],
            NotHttp,
        ),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b" " * 101, mtime=0), TooLong),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", NotHttp),
    ],
)
def test_what_is_no_whole_reply_fails(says: bytes, failure: type[Exception]) -> None:
    """It ends early, is too long, or is none."""

    async def scene(channel: HttpChannel, server: Server) -> None:
        server.says, server.leaves = says, True
        with pytest.raises(failure):
            await channel.request(ASK, 100)

    played(scene)


def test_a_request_that_is_given_up_takes_its_connection_with_it() -> None:
    """Its reply may still come, and belongs to nobody."""

    async def scene(channel: HttpChannel, server: Server) -> None:
        server.says = b""
        task = asyncio.create_task(channel.request(ASK, 100))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.left.wait()
        server.says = WHOLE
        assert (await channel.request(ASK, 100)).body == b"{}"
        assert server.connections == 2

    played(scene)


def test_a_connection_that_the_server_ended_is_not_used_again() -> None:
    """One that ended while nobody used it is made anew, and nothing fails."""

    async def scene(channel: HttpChannel, server: Server) -> None:
        server.leaves = True
        for _ in range(3):
            assert (await channel.request(ASK, 100)).status == 200
            await server.left.wait()
            while channel._idle:  # nobody is told of the end
                await asyncio.sleep(0)
        assert server.connections == 3

    played(scene)


def test_nobody_there_is_unreachable() -> None:
    """A closed port refuses; a name that does not exist has no address."""

    async def run() -> None:
        for host in ("127.0.0.1", "nowhere.invalid"):
            with pytest.raises(Unreachable):
                await HttpChannel(host, 1, None, None).request(ASK, 100)

    asyncio.run(run())
