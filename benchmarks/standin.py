"""A V2 server that answers at once, so that what a client costs is not hidden behind a model.

python -m benchmarks.standin PORT

It reads HTTP/1.1 just as far as the clients measured here write it, and says the same of each row.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import sys

SHAPE = re.compile(rb'"shape": ?\[(\d+)')


@functools.cache
def answer(rows: int) -> bytes:
    """The reply to a request of so many rows."""
    tensor = {"name": "predict", "shape": [rows, 1], "datatype": "FP64", "data": [1.5] * rows}
    reply = {"model_name": "linear", "model_version": "v7", "id": None, "outputs": [tensor]}
    body = json.dumps(reply).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """Answers each request of a connection in turn."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = transport
        self._got = b""

    def data_received(self, data: bytes) -> None:
        """Answers what is complete."""
        got = self._got + data
        while (end := got.find(b"\r\n\r\n")) >= 0:
            head = got[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(got) < end + 4 + length:
                break
            shape = SHAPE.search(got, end)
            got = got[end + 4 + length :]
            self._transport.write(answer(1 if shape is None else int(shape[1])))
        self._got = got


async def main(port: int) -> None:
    """Serves until it is killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
