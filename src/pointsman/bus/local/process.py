"""The server's process: a session of its own, and no orphan where it is not meant to outlive us."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Process", "environment"]

_STOP_SECONDS = 30.0

_WATCH = 'read _; kill -9 "$1"; if [ -n "$2" ]; then rm -rf "$2"; fi'
"""Waits for the end of its input, which ends with the process that holds it, however that ends."""


def environment() -> dict[str, str]:
    """Returns the variables for a Java program; without a UTF-8 locale it cannot open paths with accents."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


class Process:
    """A server that was started.

    Args:
        command: The program and its arguments.
        folder: Where it runs.
        log: What gets its output.
        detached: Whether it outlives this process.
        remove: A folder to remove where this process is killed before it stops the server.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, log: Path, *, detached: bool, remove: Path | None
    ) -> None:
        self._owner = os.getpid()
        with log.open("ab") as output:
            # A session of its own: Ctrl-C is for the pipeline, which drains while the broker still answers.
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._watcher: subprocess.Popen[bytes] | None = None
        if not detached:
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH, "watcher", str(self.pid), str(remove or "")],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            atexit.register(self.end)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ended(self) -> bool:
        """Tells whether it has ended."""
        return self._process.poll() is not None

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Sends a signal and waits for the end; kills it where that takes too long.

        A forked child, which inherits what its parent registered, ends nothing.
        """
        if os.getpid() != self._owner:
            return
        if self._watcher is not None:
            atexit.unregister(self.end)
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None
        self._process.send_signal(how)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def let_go(self) -> None:
        """Forgets it, for it goes on by itself; Popen would warn that nobody waited for its end."""
        self._process.returncode = 0
