"""`/metrics`, `/healthz` and `/readyz` over HTTP, for this machine only unless told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from pointsman.base.errors import EnvironmentFault
from pointsman.runner.metrics import Snapshot, expose

__all__ = ["MetricsServer"]


class MetricsServer:
    """Answers until it is closed.

    Attributes:
        address: Where, as `http://HOST:PORT`.
    """

    def __init__(
        self,
        port: int,
        snapshot: Callable[[], Snapshot],
        healthy: Callable[[], bool],
        ready: Callable[[], bool],
        host: str = "127.0.0.1",
    ) -> None:
        """Args:
        port: 0 takes any that is free.
        healthy: Whether the workers turn.
        ready: Whether they have their partitions.
        host: The address to listen on; 0.0.0.0 is all of this machine's.

        Raises:
            EnvironmentFault: The port is taken, or the address is not this machine's.
        """

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the base class wants this name
                """Answers one request."""
                status, text = 404, "try /metrics, /healthz or /readyz\n"
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    status, text = 200, expose(snapshot())
                elif path == "/healthz":
                    status, text = (200, "ok\n") if healthy() else (503, "workers do not turn\n")
                elif path == "/readyz":
                    status, text = (200, "ok\n") if ready() else (503, "not every worker is in the group\n")
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Says nothing: a scrape every few seconds is no news."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise EnvironmentFault(
                f"metrics cannot be served on {host}:{port} ({error.strerror}): choose another "
                "--metrics-port, or an address of this machine for --metrics-host"
            ) from error
        self._server.daemon_threads = True
        self.address = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="pointsman-metrics", daemon=True
        )

    def __enter__(self) -> MetricsServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
