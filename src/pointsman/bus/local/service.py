"""The broker that outlives the command which started it: one per user, in the cache folder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local.broker import LocalBroker, is_free
from pointsman.bus.local.paths import cache_dir, exclusive, is_locked
from pointsman.bus.local.state import State, read_state

__all__ = ["PREFERRED_PORT", "Status", "start", "status", "stop"]

PREFERRED_PORT = 9092
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Status:
    """Whether the broker of a folder runs, and what is known of it.

    Attributes:
        running: Whether a server holds the folder's data.
        state: What its last start left; None where it was never started.
        directory: The folder.
        log: The server's own log.
    """

    running: bool
    state: State | None
    directory: Path
    log: Path


def status(directory: Path | None = None) -> Status:
    """Returns what is so now."""
    directory = directory or cache_dir() / "broker"
    state = read_state(directory)
    running = state is not None and is_locked(directory / "data" / ".lock")
    return Status(running, state, directory, directory / "server.log")


def start(
    directory: Path | None = None,
    *,
    port: int | None = None,
    seconds: float = 60.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Status:
    """Starts the broker and leaves it running; returns at once where it runs already.

    Args:
        directory: Its folder; `broker` in the cache folder by default.
        port: Where clients connect. By default the port of the last start, else 9092, else any free one.
        seconds: How long to wait until it answers.
        progress: As for `LocalBroker.start`.

    Raises:
        EnvironmentFault: If it does not come up, or runs already on another port than `port`.
    """
    now = status(directory)
    if now.running and now.state is not None:
        if port not in (None, now.state.port):
            raise EnvironmentFault(
                f"a broker already runs at {now.state.bootstrap}, not on port {port}; "
                "stop it first with 'pointsman broker stop'"
            )
        with exclusive(now.directory / "start.lock"):  # whoever starts it holds this until it answers
            return now
    if port is None and now.state is None and is_free(PREFERRED_PORT):
        port = PREFERRED_PORT
    broker = LocalBroker(now.directory, port=port, detached=True, quick=False)
    try:
        broker.start(progress, seconds=seconds)
    except EnvironmentFault:
        if not status(now.directory).running:  # else another command started it meanwhile
            raise
    return status(now.directory)


def stop(directory: Path | None = None, *, erase: bool = False) -> bool:
    """Stops the broker in order and waits for its end; returns whether one ran.

    Args:
        directory: Its folder; `broker` in the cache folder by default.
        erase: Whether to remove its topics too.
    """
    now = status(directory)
    if now.running and now.state is not None:
        _end(now.directory, now.state.pid)
    if erase:
        shutil.rmtree(now.directory, ignore_errors=True)
    return now.running


def _end(directory: Path, pid: int) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if not is_locked(directory / "data" / ".lock"):
                return
            time.sleep(0.05)
    raise EnvironmentFault(f"the broker (process {pid}) does not end; its log is {directory / 'server.log'}")
