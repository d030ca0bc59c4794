"""What a run that does not end by itself uses between two points of its output: its start is not in it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Stretch", "between"]

LOOK_SECONDS = 0.25
START_SECONDS = 180.0
"""A run that has written nothing by then has failed."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The second half of a run's events.

    Attributes:
        events: How many.
        cpu: User and system seconds of the process tree over them.
        wall: Seconds they took.
        memory: Resident MiB of the tree, the most that was seen in the whole run.
        first: Seconds from the start to the first record.
        whole: Events per CPU second of the whole run, its start included.
    """

    events: int
    cpu: float
    wall: float
    memory: float
    first: float
    whole: float


@dataclass(frozen=True, slots=True)
class _Point:
    at: float
    written: int
    cpu: float
    memory: float


def between(
    command: Sequence[str],
    count: int,
    written: Callable[[], int],
    *,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Stretch:
    """Runs `command` until `written` says `count`, then ends it.

    Args:
        command: A program that goes on until it is told to end.
        count: Events.
        written: How many records there are by now.
        folder: Where it runs.
        env: Its variables.
    """
    points: list[_Point] = []
    with tempfile.TemporaryFile() as said:
        begun = time.monotonic()
        with subprocess.Popen(command, cwd=folder, env=env, stdout=said, stderr=said) as process:
            root = psutil.Process(process.pid)
            try:
                while not points or points[-1].written < count:
                    time.sleep(LOOK_SECONDS)
                    ended = process.poll() is not None
                    if not ended:
                        points.append(_Point(time.monotonic() - begun, written(), *_used(root)))
                    if ended or (points[-1].at > START_SECONDS and not points[-1].written):
                        said.seek(0)
                        text = said.read().decode(errors="replace")[-4000:]
                        sys.exit(f"{' '.join(command)} did not go on:\n{text}")
            finally:
                _end(root)
    first = next(point for point in points if point.written)
    half = [point for point in points if point.written <= count / 2][-1]
    last = points[-2] if points[-2].written > half.written else points[-1]
    return Stretch(
        last.written - half.written,
        last.cpu - half.cpu,
        last.at - half.at,
        max(point.memory for point in points),
        first.at,
        points[-1].written / points[-1].cpu,
    )


def _tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _used(root: psutil.Process) -> tuple[float, float]:
    """CPU seconds of the tree, ended children included, and its resident MiB."""
    cpu, memory = 0.0, 0.0
    for process in _tree(root):
        with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
            cpu += sum(process.cpu_times()[:4])
            memory += process.memory_info().rss / 2**20
    return cpu, memory


def _end(root: psutil.Process) -> None:
    """Ends the whole tree: what it would still write is of no use."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in _tree(root):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
