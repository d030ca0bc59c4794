"""A server in this process that speaks a REST protocol, and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

__all__ = ["FAULTS", "FaultyServer", "Speaker", "faulty"]

Speaker = Callable[[str, str, Any, str], tuple[int, Any]]
"""From method, path, body and fault to a status and a reply; `wrong_…` and `not_ready` are its own matter."""

FAILURES: Mapping[str, tuple[str, ...]] = {
    "invalid_input": ("status 400", "status 413", "status 415", "status 422"),
    "refused": ("status 302", "status 401", "status 403", "status 404", "status 405", "status 502"),
    "overloaded": ("status 429", "status 503"),
    "internal": ("status 500", "status 501", "status 507"),
}

FAULTS = {
    "hang", "slow", "reset", "truncated", "garbage", "wrong_type", "wrong_length", "large", "not_ready",
    "seen", "echo_secret", *(f"class {name}" for name in FAILURES),
}  # fmt: skip


class FaultyServer:
    """Answers with what its speaker says, or as the fault of now demands."""

    def __init__(self, speaker: Speaker, address: str, more: frozenset[str]) -> None:
        self.address = address
        self.faults = frozenset(FAULTS) | more
        self.failures: Mapping[str, tuple[str, ...]] = FAILURES
        self.fault = ""
        self.connections = 0
        self.elsewhere = "http://127.0.0.1:1/"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self._speaker = speaker
        self._writers: set[asyncio.StreamWriter] = set()
        self._empty = asyncio.Event()
        self._changed = asyncio.Event()

    def misbehave(self, fault: str) -> None:
        """From now on; what hangs is let go."""
        self.fault = fault
        self._changed.set()
        self._changed = asyncio.Event()

    def headers(self) -> Mapping[str, str]:
        """Those of the last request."""
        return self.requests[-1][2]

    async def left(self) -> None:
        """Returns once no client is connected."""
        while self._writers:
            self._empty.clear()
            await self._empty.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            self._empty.set()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((method, path, headers, body))
        fault = self.fault
        if fault == "reset":
            writer.transport.abort()
            return False
        if fault == "hang":
            await self._changed.wait()
            return False
        if fault == "large":
            await _endless(writer)
            return False
        status, kind, content, more = self._answer(method, path, headers, body, fault)
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", *more]
        if kind:
            lines.append(f"Content-Type: {kind}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        if fault == "slow":
            for n in range(len(content)):
                writer.write(content[n : n + 1])
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.1)
                    return False
        if fault == "truncated":
            writer.write(content[: len(content) // 2])
            await writer.drain()
            return False
        writer.write(content)
        await writer.drain()
        return True

    def _answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, fault: str
    ) -> tuple[int, str, bytes, list[str]]:
        if fault == "garbage":
            return 200, "application/json", b"\x00\xff{]", []
        if fault == "wrong_type":
            return 200, "text/html", b"<html>welcome</html>", []
        if fault == "echo_secret":
            said = {"error": f"not with {headers.get('authorization')}"}
            return 400, "application/json", json.dumps(said).encode(), []
        if fault.startswith("status "):
            status = int(fault.split()[1])
            more = ["Retry-After: 7", f"Location: {self.elsewhere}"]
            return status, "application/json", b'{"error": "so it is"}', more
        try:
            said = json.loads(body) if body else None
        except ValueError:
            said = body.decode()
        status, reply = self._speaker(method, path, said, fault)
        return status, "application/json", json.dumps(reply).encode(), []


async def _endless(writer: asyncio.StreamWriter) -> None:
    """More than anybody reads."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    for _ in range(1000):  # 64 MiB at most
        writer.write(chunk)
        await writer.drain()


@contextlib.asynccontextmanager
async def faulty(
    speaker: Speaker, *more: str, path: str = "", context: ssl.SSLContext | None = None
) -> AsyncIterator[FaultyServer]:
    """A server on a free port of the loopback interface.

    Args:
        speaker: Its protocol.
        more: Faults that the speaker knows besides the usual ones.
        path: Of the address.
        context: Makes it speak TLS.
    """
    server = FaultyServer(speaker, "", frozenset(more))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 20, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    server.address = f"{'https' if context else 'http'}://127.0.0.1:{port}{path}"
    try:
        yield server
    finally:
        server.misbehave("")
        listening.close()
        async with asyncio.timeout(10):
            await server.left()
