"""An HTTP server for tests, whose paths behave each in its own way."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Answering", "answering"]

STATUS = {"busy": 503, "limited": 429, "broken": 500, "picky": 422}


class Answering(ThreadingHTTPServer):
    """Answers an event with its n.

    A path is a behaviour: `/fast` answers at once, `/held` when `release` is called, `/mixed` as the n of the
    event says: one in four is answered, one reset, one refused with 503, one answered with garbage.

    Attributes:
        asked: Requests by path.
        traces: The traceparent of each request that had one, by the event's n.
    """

    daemon_threads = True
    request_queue_size = 1024
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.traces: dict[int, str] = {}
        self.released = threading.Event()
        self.changed = threading.Condition()

    @property
    def address(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def release(self) -> None:
        """From now on, what was held is answered, and what comes is not held."""
        self.released.set()

    def wait_for(self, path: str, requests: int, seconds: float = 40.0) -> None:
        """Returns once a path was asked so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.asked[path] >= requests, seconds), self.asked

    def handle_error(self, *_: Any) -> None:
        """Clients that went away are no news."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Answering

    def do_POST(self) -> None:
        """One request."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        n, path, server = body["n"], self.path, self.server
        with server.changed:
            server.asked[path] += 1
            if trace := self.headers.get("traceparent"):
                server.traces[n] = trace
            server.changed.notify_all()
        if path == "/held":
            server.released.wait(60)
        if path == "/mixed" and n % 4:
            path = ("", "/reset", "/busy", "/garbage")[n % 4]
        if path == "/reset":
            self.close_connection = True
            return
        content = b"{" if path == "/garbage" else json.dumps({"n": n}).encode()
        with suppress(OSError):
            self.send_response(STATUS.get(path[1:], 200))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def answering() -> Iterator[Answering]:
    """A running server."""
    server = Answering()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release()
        server.shutdown()
        thread.join()
        server.server_close()
