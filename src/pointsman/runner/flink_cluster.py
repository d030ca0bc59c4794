"""A session cluster of Flink's from packages alone: a job manager and a task manager on this machine."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local.process import Process
from pointsman.runner.flink_client import java, java_options, log_settings
from pointsman.runner.flink_rest import ask

__all__ = ["SessionCluster"]

_MANAGER: Final = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_RUNNER: Final = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_START_SECONDS: Final = 90.0
_HOST: Final = "127.0.0.1"

_SETTINGS: Final = {
    "jobmanager.rpc.address": _HOST,
    "jobmanager.bind-host": _HOST,
    "taskmanager.host": _HOST,
    "taskmanager.bind-host": _HOST,
    "rest.address": _HOST,
    "rest.bind-address": _HOST,
    "heartbeat.interval": "1 s",
    "heartbeat.timeout": "30 s",
    # What Flink's own scripts would compute.
    "taskmanager.cpu.cores": "2",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.task.heap.size": "384m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.off-heap.size": "0b",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
}


class SessionCluster:
    """The two processes; both end with this one, however it ends.

    Attributes:
        address: Where its REST interface is, `HOST:PORT`.
    """

    def __init__(self, folder: Path, jars: Sequence[Path], slots: int) -> None:
        """Args:
        folder: Where settings and logs go.
        jars: Flink's own.
        slots: Tasks of each kind that it has room for.
        """
        self._folder = folder
        self._jars = jars
        self._slots = slots
        self._processes: list[Process] = []
        self.address = ""

    def __enter__(self) -> SessionCluster:
        """Raises:
        EnvironmentFault: It does not come up.
        """
        port, rpc = _free_ports(2)
        self.address = f"{_HOST}:{port}"
        settings = {
            **_SETTINGS,
            "rest.port": str(port),
            "rest.bind-port": str(port),
            "jobmanager.rpc.port": str(rpc),
            "taskmanager.numberOfTaskSlots": str(self._slots),
            "io.tmp.dirs": str(self._folder / "tmp"),
        }
        (self._folder / "tmp").mkdir(parents=True, exist_ok=True)
        lines = [f"{name}: {json.dumps(value)}" for name, value in settings.items()]
        (self._folder / "config.yaml").write_text("\n".join(lines) + "\n")
        try:
            self._start("jobmanager", "256m", _MANAGER)
            self._start("taskmanager", "512m", _RUNNER)
            self._wait()
        except BaseException:  # Ctrl-C too: what is half started is not left behind
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self, name: str, heap: str, program: str) -> None:
        options = java_options(heap, log_settings(self._folder, name))
        command = [str(java()), *options, f"-Dlog.file={self._folder / name}.log"]
        command += ["-cp", ":".join(map(str, self._jars)), program, "--configDir", str(self._folder)]
        log = self._folder / f"{name}.out"
        self._processes.append(Process(command, self._folder, log, detached=False, remove=None))

    def _wait(self) -> None:
        """Returns once all slots are there."""
        until = time.monotonic() + _START_SECONDS
        while True:
            if any(process.ended() for process in self._processes):
                raise EnvironmentFault(f"a process of Flink's cluster has ended: see {self._folder}")
            try:
                if ask(self.address, "/overview")["slots-available"] >= self._slots:
                    return
            except EnvironmentFault:
                pass  # it is not up yet
            if time.monotonic() >= until:
                raise EnvironmentFault(
                    f"Flink's cluster is not up after {_START_SECONDS:.0f} s: see {self._folder}"
                )
            time.sleep(0.2)

    def _end(self) -> None:
        for process in reversed(self._processes):
            process.end()
        self._processes.clear()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
