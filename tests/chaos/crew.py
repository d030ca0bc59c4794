"""Workers as processes of their own, and what befalls them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Crew"]


@dataclass(slots=True)
class _Member:
    """One `pointsman run`.

    Attributes:
        log: Where its lines go.
    """

    process: subprocess.Popen[bytes]
    log: Path


@dataclass(slots=True)
class Crew:
    """The workers of one pipeline, by instance.

    Attributes:
        folder: Where the document and the models are.
        on_disk: Whether state is kept in RocksDB.
        host: What the workers run on.
        strange: Exit codes that no fault explains.
    """

    folder: Path
    on_disk: bool
    host: str = "native"
    members: dict[str, _Member] = field(default_factory=dict)
    started: int = 0
    strange: list[str] = field(default_factory=list)

    def start(self, instance: str, *, file_limit: int | None = None) -> None:
        """Starts a worker; with `file_limit` no file of it grows beyond so many bytes, as on a full disk."""
        self.started += 1
        log = self.folder / f"{instance}-{self.started}.log"
        command = [sys.executable, "-m", "pointsman", "run", "pipeline.yaml", "--instance", instance]
        command += self.options(instance)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit or 0, file_limit or 0))

        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                preexec_fn=limit if file_limit else None,
            )
        self.members[instance] = _Member(process, log)

    def options(self, instance: str) -> list[str]:
        """How a run is begun, besides its name."""
        on = ["--on", self.host] if self.host != "native" else []
        return [*on, *(["--state-dir", f"state-{instance}"] if self.on_disk else [])]

    def kill_all(self) -> None:
        """`kill -9` of everybody, and all begin again."""
        names = sorted(self.members)
        for name in names:
            self.kill(name)
        for name in names:
            self.start(name)

    def storm(self) -> None:
        """Others join and leave without a word."""
        for extra in ("x", "y"):
            self.start(extra)
            time.sleep(1.0)
        for extra in ("x", "y"):
            self.kill(extra)

    def kill(self, instance: str) -> None:
        """`kill -9`."""
        member = self.members.pop(instance)
        member.process.kill()
        member.process.wait()

    def pause(self, instance: str, seconds: float) -> None:
        """Stops a worker for longer than its session, and lets it go on as a zombie."""
        process = self.members[instance].process
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def drain_all(self) -> None:
        """SIGTERM to all: they finish, commit and leave."""
        members, self.members = self.members, {}
        for member in members.values():
            member.process.terminate()
        for instance, member in members.items():
            try:
                member.process.wait(60)
            except subprocess.TimeoutExpired:
                member.process.kill()
                self.strange.append(f"{instance} did not drain within 60 s: {tail(member.log)}")
            if member.process.returncode not in (0, 3, -signal.SIGTERM):  # the last: it had not begun
                self.strange.append(f"{instance} ended with {member.process.returncode}: {tail(member.log)}")

    def revive(self) -> None:
        """Starts again who ended by itself; only code 3, an environment that failed, is no surprise."""
        for instance, member in list(self.members.items()):
            code = member.process.poll()
            if code is not None:
                if code != 3:
                    self.strange.append(f"{instance} ended with {code}: {tail(member.log)}")
                self.start(instance)

    def tails(self) -> str:
        """What the workers said last."""
        return "; ".join(f"{name}: {tail(member.log)}" for name, member in self.members.items())

    def end(self) -> None:
        """Nothing of it stays."""
        for member in self.members.values():
            member.process.send_signal(signal.SIGCONT)
            member.process.kill()
            member.process.wait()


def tail(log: Path) -> str:
    """The last lines of a log."""
    return " | ".join(log.read_text(errors="replace").splitlines()[-6:])
