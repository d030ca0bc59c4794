"""A job of Flink's as a crew: one client with its cluster, and a worker process for each task."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

import psutil

from chaos.crew import Crew

__all__ = ["JobCrew"]

WORKER = "pointsman.runner.flink_worker"


@dataclass(slots=True)
class JobCrew(Crew):
    """What befalls a crew befalls the job's processes; the first instance stands for all.

    Attributes:
        parallelism: How many tasks decide.
    """

    parallelism: int = 2

    def start(self, instance: str, *, file_limit: int | None = None) -> None:
        """Submits the job, if it does not run; it goes on from its newest savepoint or checkpoint."""
        if instance == "a" and instance not in self.members:
            Crew.start(self, instance, file_limit=file_limit)

    def kill(self, instance: str) -> None:
        """`kill -9` of one worker process; Flink begins the tasks anew."""
        workers = self._workers(instance)
        if workers:
            workers[self.started % len(workers)].kill()

    def kill_all(self) -> None:
        """`kill -9` of client, cluster and workers."""
        for member in self.members.values():
            family = self._family(member.process.pid)
            member.process.kill()
            for process in family:
                _sent(process, signal.SIGKILL)
            member.process.wait()
        self.members.clear()
        self.start("a")

    def pause(self, instance: str, seconds: float) -> None:
        """Stops a worker process for a while."""
        for process in self._workers(instance)[:1]:
            _sent(process, signal.SIGSTOP)
            time.sleep(seconds)
            _sent(process, signal.SIGCONT)

    def storm(self) -> None:
        """Stops with a savepoint, and goes on at another parallelism."""
        self.drain_all()
        self.parallelism = 3 - self.parallelism
        self.start("a")

    def options(self, instance: str) -> list[str]:  # noqa: ARG002  there is one
        """How the run is begun."""
        return ["--on", "flink", "--parallelism", str(self.parallelism), "--state-dir", "state"]

    def end(self) -> None:
        """Nothing of it stays."""
        family = [one for member in self.members.values() for one in self._family(member.process.pid)]
        Crew.end(self)
        for process in family:
            _sent(process, signal.SIGKILL)

    def _workers(self, instance: str) -> list[psutil.Process]:
        found = []
        for process in self._family(self.members[instance].process.pid):
            try:
                if WORKER in process.cmdline():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def _family(self, pid: int) -> list[psutil.Process]:
        try:
            return psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def _sent(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
