"""Runs a command and counts what its process tree used."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Usage", "measured"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run used.

    Attributes:
        cpu: User and system seconds of the process and all its children.
        wall: Seconds from start to end.
        memory: Resident MiB of the tree over the run, one sample a quarter of a second.
        said: What was written to standard error.
    """

    cpu: float
    wall: float
    memory: tuple[float, ...]
    said: str = ""

    def flat(self) -> float:
        """Growth of memory over the second half of the run, as a ratio to its middle."""
        if len(self.memory) < 8:
            return 1.0
        half = self.memory[len(self.memory) // 2 : -1]
        return max(half) / half[0]


def measured(command: Sequence[str], folder: Path | None = None) -> Usage:
    """Runs `command` to its end; raises if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        samples: list[float] = []
        watcher = threading.Thread(target=_watch, args=(process, samples), daemon=True)
        watcher.start()
        _, errors = process.communicate()
        wall = time.monotonic() - started
        watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed with {process.returncode}:\n{errors.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Usage(cpu, wall, tuple(samples), errors.decode())


def _watch(process: subprocess.Popen[bytes], samples: list[float]) -> None:
    try:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            tree = [root, *root.children(recursive=True)]
            samples.append(sum(p.memory_info().rss for p in tree) / 2**20)
            time.sleep(0.25)
    except psutil.Error:
        return
