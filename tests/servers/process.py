"""A server as a child process: started on a free loopback port, waited for, and always stopped."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

__all__ = ["Server", "free_port", "serving"]


class Server:
    """A running server.

    Attributes:
        rest: Its `http://` address.
        grpc: Its `grpc://` address; empty where it has none.
    """

    def __init__(self, process: subprocess.Popen[bytes], rest: str, grpc: str, log: Path) -> None:
        self.process = process
        self.rest = rest
        self.grpc = grpc
        self.log = log

    def stop(self) -> None:
        """Ends it and its children; may be called again."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path],
    folder: Path,
    ready: str,
    *,
    rest: str,
    grpc: str = "",
    environment: Mapping[str, str] | None = None,
    seconds: float = 90.0,
) -> Iterator[Server]:
    """A server from its start until the block ends.

    Args:
        command: What starts it; the environment's `bin` is first in its PATH.
        folder: Its working directory; its output goes to `server.log` there.
        ready: The path that answers 200 once it is ready.
        rest: Its `http://` address.
        grpc: Its `grpc://` address.
        environment: Variables besides ours.
        seconds: How long it may take to be ready.
    """
    log = folder / "server.log"
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "PYTHONPATH": str(folder), **(environment or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, rest, grpc, log)
    try:
        _wait(server, rest + ready, seconds)
        _on_loopback(process.pid)
        yield server
    finally:
        server.stop()


def _wait(server: Server, url: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # our own server on the loopback interface
                return
        except (urllib.error.URLError, OSError):
            pass
        if server.process.poll() is not None or time.monotonic() > end:
            text = server.log.read_text("utf-8", "replace")[-3000:]
            raise AssertionError(f"the server at {url} did not become ready:\n{text}")
        time.sleep(0.1)  # a server has no event that another process could await


def _on_loopback(pid: int) -> None:
    """A test's server is nobody else's: it listens where only this machine comes."""
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        for connection in one.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                where = ipaddress.ip_address(connection.laddr.ip.removeprefix("::ffff:"))
                assert where.is_loopback, f"{one.cmdline()} listens at {connection.laddr}"
