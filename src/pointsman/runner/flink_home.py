"""The folder of a pipeline inside Flink: checkpoints, savepoints, and what a new start has to know."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pointsman.base.errors import EnvironmentFault

__all__ = ["Home", "home_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """What was so at the last start.

    Attributes:
        partitions: How many the source had.
        begun: How often `--from` set the beginning anew; checkpoints before that know nothing of offsets.
    """

    partitions: int
    begun: int = 0


@dataclass(frozen=True, slots=True)
class Home:
    """One pipeline on one Kafka cluster."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Where Flink writes them while it goes on."""
        return self.folder / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Where Flink writes them when it stops."""
        return self.folder / "savepoints"

    @property
    def logs(self) -> Path:
        """Where the JVM's log goes."""
        return self.folder / "logs"

    def newest(self) -> Path | None:
        """The newest savepoint or checkpoint that is whole."""
        # Of a pair of the same instant the savepoint, which comes first here, ended the job.
        found = [*self.savepoints.glob("*/_metadata"), *self.checkpoints.glob("*/chk-*/_metadata")]
        return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None

    def forget_checkpoints(self) -> None:
        """Removes checkpoints, also of runs that were killed: a savepoint stands for them."""
        for folder in self.checkpoints.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def known(self) -> Known | None:
        """What the last start left; None where there was none."""
        try:
            return Known(**json.loads((self.folder / "run.json").read_bytes()))
        except FileNotFoundError:
            return None

    def remember(self, known: Known) -> None:
        """Leaves it for the next start."""
        new = self.folder / "run.json.new"
        new.write_text(json.dumps(asdict(known)))
        new.replace(self.folder / "run.json")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folders, and has them for this run alone.

        Raises:
            EnvironmentFault: They cannot be made, or another run has them.
        """
        import fcntl

        self._make()
        with (self.folder / "run.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EnvironmentFault(
                    f"another run has {self.folder}: stop it first, or name this deployment with --instance"
                ) from None
            yield

    def _make(self) -> None:
        try:
            for folder in (self.checkpoints, self.savepoints, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(
                f"{self.folder} cannot be used: {error.strerror}; name another folder with --state-dir"
            ) from error


def home_of(state_dir: Path | None, pipeline: str, instance: str, cluster: str) -> Home:
    """The folder of a pipeline below `state_dir`, or below the user's folder of states.

    Args:
        cluster: The Kafka cluster's id: offsets of one mean nothing in another.
    """
    if state_dir is None:
        base = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser().absolute()
        state_dir = base / "pointsman"
    return Home(state_dir / "flink" / f"{pipeline}-{instance}" / cluster)
