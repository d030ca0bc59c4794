"""A stand-in for a Schema Registry: the requests that the client makes, answered from a dictionary."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["StandIn", "standing_in"]


class StandIn:
    """What the registry has, and how it behaves.

    Attributes:
        url: Its address.
        asked: The paths that were asked for, in order.
        down: Every request is answered 503 while this is set.
        authorization: What the header has to be; None: anything.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.down = False
        self.authorization: str | None = None
        self._schemas: dict[int, dict[str, Any]] = {}
        self._subjects: dict[str, list[int]] = {}

    def add(
        self, text: str | dict[str, Any], kind: str = "AVRO", subject: str = "s", references: Any = ()
    ) -> int:
        """Adds a schema; returns its id."""
        number = len(self._schemas) + 1
        text = text if isinstance(text, str) else json.dumps(text)
        found: dict[str, Any] = {"schema": text, "references": list(references)}
        self._schemas[number] = found if kind == "AVRO" else {**found, "schemaType": kind}
        self._subjects.setdefault(subject, []).append(number)
        return number

    def answer(self, path: str, authorization: str | None, body: bytes) -> tuple[int, Any]:
        """Status and JSON."""
        self.asked.append(path)
        if self.down:
            return 503, {"error_code": 50301, "message": "not now"}
        if self.authorization is not None and authorization != self.authorization:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        match path.strip("/").split("/"):
            case ["schemas", "ids", number]:
                found = self._schemas.get(int(number))
                return (200, found) if found else (404, {"error_code": 40403, "message": "Schema not found"})
            case ["subjects", subject, "versions"]:
                asked = json.loads(body)
                return 200, {"id": self.add(asked["schema"], asked.get("schemaType", "AVRO"), subject)}
            case ["subjects", subject, "versions", version]:
                numbers = self._subjects.get(subject)
                if not numbers:
                    return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
                number = numbers[-1] if version == "latest" else numbers[int(version) - 1]
                return 200, {"id": number, "version": len(numbers), "subject": subject} | self._schemas[
                    number
                ]
        return 404, {"message": "no such page"}


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A running stand-in."""
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            status, told = stand_in.answer(
                self.path, self.headers.get("Authorization"), self.rfile.read(size)
            )
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  # the name that the base class looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
