"""A gRPC server that answers as a test says, and sockets in front of it that do what networks do."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

Answer = Callable[[bytes, grpc.ServicerContext], bytes]
"""From the bytes of a request to those of the reply."""


class Server(grpc.GenericRpcHandler):
    """A running server; `methods` may be changed while it runs.

    Attributes:
        methods: By full name, such as `/inference.GRPCInferenceService/ModelInfer`.
        seen: The metadata of each call, in order.
    """

    def __init__(self, methods: dict[str, Answer]) -> None:
        self.methods = methods
        self.seen: list[dict[str, str]] = []
        self.port = 0

    @property
    def address(self) -> str:
        """Without TLS."""
        return f"grpc://127.0.0.1:{self.port}"

    def service(self, details: Any) -> Any:
        """grpcio asks this for the handler of a call."""
        answer = self.methods.get(details.method) or self.methods.get("*")
        if answer is None:
            return None

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.seen.append(dict(context.invocation_metadata()))
            return answer(request, context)

        return grpc.unary_unary_rpc_method_handler(handle)


@contextlib.contextmanager
def serving(
    credentials: grpc.ServerCredentials | None = None, port: int = 0, **methods: Answer
) -> Iterator[Server]:
    """A server on a free port of the loopback."""
    handler = Server(methods)
    with ThreadPoolExecutor(4) as threads:
        options = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 256 << 20))
        server = grpc.server(threads, [handler], options=options)
        place = f"127.0.0.1:{port}"
        handler.port = (
            server.add_insecure_port(place)
            if credentials is None
            else server.add_secure_port(place, credentials)
        )
        server.start()
        try:
            yield handler
        finally:
            server.stop(0).wait()


def status(code: grpc.StatusCode, text: str = "", trailing: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer that fails with a status."""

    def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata(trailing)
        context.abort(code, text)
        raise AssertionError("abort raises")

    return answer


def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    """The request's bytes."""
    return request


@contextlib.contextmanager
def socket_that(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a listening socket; `behave` is given each connection, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    open_ones: list[socket.socket] = []

    def behaving(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            behave(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                threads.append(threading.Thread(target=behaving, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for connection in open_ones:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in threads:
            thread.join()


def resets(connection: socket.socket) -> None:
    """Closes with a TCP reset once something was said."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def keeps_silent(connection: socket.socket) -> None:
    """Takes everything, says nothing."""
    while connection.recv(65536):
        pass


def speaks_http_1(connection: socket.socket) -> None:
    """Answers in another language."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nwhat?")
    keeps_silent(connection)


def in_front_of(port: int, change: Callable[[int, bytes], bytes | None]) -> Callable[[socket.socket], None]:
    """A proxy of HTTP/2 whose `change` sees each frame of the server: its type, and all its bytes.

    What `change` returns is sent on; None ends the connection there.
    """

    def behave(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            up = threading.Thread(target=_pump, args=(client, server))
            up.start()
            stream = server.makefile("rb")
            while head := stream.read(9):
                frame = head + stream.read(int.from_bytes(head[:3], "big"))
                changed = change(frame[3], frame)
                if changed is None:
                    break
                client.sendall(changed)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            up.join()
            stream.close()

    return behave


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


DATA = 0
"""The type of an HTTP/2 frame that holds a message."""


def half_a_frame(port: int) -> Callable[[socket.socket], None]:
    """A proxy that ends within the frame of the reply."""

    def behave(client: socket.socket) -> None:
        def change(kind: int, frame: bytes) -> bytes | None:
            if kind != DATA:
                return frame
            client.sendall(frame[: 9 + (len(frame) - 9) // 2])
            return None

        in_front_of(port, change)(client)

    return behave


def promises_more(port: int) -> Callable[[socket.socket], None]:
    """A proxy whose replies say that they are longer than they are."""

    def change(kind: int, frame: bytes) -> bytes | None:
        if kind != DATA:
            return frame
        length = int.from_bytes(frame[10:14], "big") + 100
        return frame[:10] + length.to_bytes(4, "big") + frame[14:]

    return in_front_of(port, change)
