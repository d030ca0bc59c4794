"""Cases on the stream engines, each as its users start it; what they do not call is dispatched natively."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from parity.beside import beside
from parity.native import dispatching
from parity.stage import Play

__all__ = ["Flink", "KafkaStreams"]

TESTS = Path(__file__).parents[1]
IDLE = 1.0


class KafkaStreams:
    """All cases in one process with one Java machine, as each is a pipeline of its own in it."""

    name, whole, delivery, engine = "streams", False, None, "kafka-streams"

    def run(self, plays: Sequence[Play]) -> dict[str, str]:
        """Decides all events that are there."""
        said = [
            {
                "case": play.case.name,
                "document": str(play.case.document),
                "overlay": str(play.overlay),
                "environment": dict(play.environment),
            }
            for play in plays
        ]
        with ExitStack() as stack:
            _dispatched(plays, stack)
            found = _child([sys.executable, "-m", "parity.streams"], json.dumps(said))
        told = found.stdout.splitlines()[-1:]
        if found.returncode or not told:
            return {play.case.name: found.stderr[-3000:] for play in plays}
        failures: dict[str, str] = json.loads(told[0])
        return failures


class Flink:
    """A job and a small cluster for each case."""

    name, whole, delivery, engine = "flink", False, None, "flink"

    def __init__(self, at_once: int = 3) -> None:
        self._at_once = at_once

    def run(self, plays: Sequence[Play]) -> dict[str, str]:
        """Decides all events that are there."""
        with ExitStack() as stack:
            _dispatched(plays, stack)
            return beside(self._play, plays, self._at_once)

    def _play(self, play: Play) -> None:
        state, tasks = play.overlay.parent / "state", "1" if play.case.restart is None else "2"
        command = [sys.executable, "-m", "pointsman", "run", str(play.case.document), "--json"]
        command += ["--overlay", str(play.overlay), "--on", "flink", "--parallelism", tasks]
        command += ["--state-dir", str(state), "--until-idle", str(IDLE)]
        found = _child(command, "", play.environment)
        assert found.returncode == 0, found.stderr[-3000:]


def _dispatched(plays: Sequence[Play], stack: ExitStack) -> None:
    """Dispatchers of what the engine leaves to them, where their models are there."""
    for play in plays:
        if play.case.served and play.away:
            stack.enter_context(dispatching(play, play.away))


def _child(command: Sequence[str], given: str, environment: Any = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    return subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **(environment or {})},
    )
