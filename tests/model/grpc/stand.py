"""A gRPC server that speaks a protocol of the conformance suite, behind a wire that misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc

from model.grpc.server import DATA, Server, serving
from pointsman.model.grpc_channel import LARGEST

__all__ = ["FAILURES", "GrpcStand", "Speaker", "standing"]

Speaker = Callable[[str, bytes, str], bytes]
"""From method, request and fault to the reply; raises Fails for a status of its own."""

FAILURES: Mapping[str, tuple[str, ...]] = {
    "invalid_input": ("INVALID_ARGUMENT", "OUT_OF_RANGE"),
    "refused": ("UNAVAILABLE", "NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"),
    "overloaded": ("RESOURCE_EXHAUSTED",),
    "internal": ("INTERNAL", "UNKNOWN", "ABORTED", "DATA_LOSS"),
}

WIRE = frozenset(("reset", "slow", "truncated"))
FAULTS = frozenset(
    (
        *WIRE,
        *("hang", "garbage", "wrong_length", "large", "not_ready", "seen", "echo_secret"),
        *(f"class {name}" for name in FAILURES),
    )
)


class Fails(Exception):
    """A status that a speaker answers with."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class GrpcStand:
    """The server and the wire in front of it."""

    def __init__(self, speaker: Speaker, server: Server, more: frozenset[str]) -> None:
        self.faults = FAULTS | more
        self.failures = FAILURES
        self.fault = ""
        self.address = ""
        self._speaker = speaker
        self._server = server
        self._let_go = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._empty = asyncio.Event()
        server.methods = {"*": self._answer}

    def misbehave(self, fault: str) -> None:
        """From now on; what hangs is let go."""
        self.fault = fault
        self._let_go.set()
        self._let_go = threading.Event()

    def headers(self) -> Mapping[str, str]:
        """The metadata of the last call."""
        return self._server.seen[-1]

    async def left(self) -> None:
        """Returns once no client is connected."""
        while self._writers:
            self._empty.clear()
            await self._empty.wait()

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        fault = self.fault
        if fault == "hang":
            context.add_callback(self._let_go.set)
            self._let_go.wait(60)
        if fault == "garbage":
            return b"\xff\xff\xff"
        if fault == "large":
            return bytes(LARGEST + 1)
        if fault == "echo_secret":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"not you: {self.headers()['authorization']}")
        if fault.isupper():
            context.set_trailing_metadata((("retry-after", "7"),))
            context.abort(getattr(grpc.StatusCode, fault), "as you wish")
        try:
            return self._speaker(context._rpc_event.call_details.method.decode(), request, fault)
        except Fails as error:
            context.abort(getattr(grpc.StatusCode, error.code), str(error))
            raise

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        self._writers.add(writer)
        behind, forth = await asyncio.open_connection("127.0.0.1", self._server.port)
        try:
            pumps = [
                asyncio.ensure_future(self._up(reader, forth, writer)),
                asyncio.ensure_future(self._down(behind, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            forth.close()
            writer.close()
            self._writers.discard(writer)
            self._empty.set()

    async def _up(
        self, reader: asyncio.StreamReader, forth: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if self.fault == "reset":
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            forth.write(data)

    async def _down(self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The server's frames, one at a time."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await behind.readexactly(9)
                frame = head + await behind.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == DATA and self.fault == "truncated":
                    writer.write(frame[: 9 + (len(frame) - 9) // 2])
                    return
                if head[3] == DATA and self.fault == "slow":
                    while frame and self.fault == "slow":
                        writer.write(frame[:1])
                        frame = frame[1:]
                        await asyncio.sleep(0.1)  # what drips
                    writer.write(frame)
                else:
                    writer.write(frame)
                    await writer.drain()


@contextlib.asynccontextmanager
async def standing(speaker: Speaker, *more: str) -> AsyncIterator[Any]:
    """A stand that speaks; `more` are faults of the speaker's own."""
    with serving() as server:
        stand = GrpcStand(speaker, server, frozenset(more))
        wire = await asyncio.start_server(stand.relay, "127.0.0.1", 0)
        stand.address = f"grpc://127.0.0.1:{wire.sockets[0].getsockname()[1]}"
        try:
            yield stand
        finally:
            stand.misbehave("")
            wire.close()
            for writer in list(stand._writers):
                writer.close()
            await stand.left()
