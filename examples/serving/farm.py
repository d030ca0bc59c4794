"""Four real model servers, each in an environment of its own that is made at the first run and kept."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

__all__ = ["SERVERS", "Farm"]

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))  # where the servers are, which tests start, too

from servers import kserve, mlflow, mlserver, pythie
from servers.process import free_port

SERVERS: Mapping[str, tuple[Callable[..., AbstractContextManager[Any]], dict[str, str]]] = {
    "MLServer": (mlserver.serve, {"MLSERVER_REST": "rest", "MLSERVER_GRPC": "grpc"}),
    "KServe": (kserve.serve, {"KSERVE": "rest"}),
    "MLflow": (mlflow.serve, {"MLFLOW": "rest"}),
    "pythie-serving": (pythie.serve, {"TFS": "grpc"}),
}
"""By name: what starts it, and which of its addresses the document calls what."""


class Farm:
    """Servers that can be killed, and come back where they were."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, tuple[int, int]] = {}
        self._up: dict[str, tuple[ExitStack, Any]] = {}

    def __enter__(self) -> Farm:
        return self

    def __exit__(self, *_: object) -> None:
        for stack, _ in self._up.values():
            stack.close()

    def start(self, name: str) -> float:
        """Starts a server, the second time on the same ports; returns the seconds until it was ready."""
        began = time.monotonic()
        serve, _ = SERVERS[name]
        first, second = self._ports.setdefault(name, (free_port(), free_port()))
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        stack = ExitStack()
        ports = (first,) if name == "MLflow" else (first, second)
        self._up[name] = (stack, stack.enter_context(serve(folder, *ports)))
        return time.monotonic() - began

    def kill(self, name: str) -> None:
        """Ends a server in the middle of what it does, without a word to anybody."""
        stack, server = self._up.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        stack.close()

    def addresses(self) -> dict[str, str]:
        """What the document's variables stand for."""
        return {
            variable: getattr(server, kind)
            for name, (_, server) in self._up.items()
            for variable, kind in SERVERS[name][1].items()
        }
