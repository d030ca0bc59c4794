"""Pipelines that run on a broker in processes of their own: what the tests of this room share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from kafka import Kafka, unique

MODELS = '''
"""Models for tests: what they do stands in the event."""
import threading, time

def fast(rows):
    return [{"n": row["n"]} for row in rows]

def paced(rows):
    time.sleep(0.02)
    return [{"n": row["n"]} for row in rows]

def talks(rows):
    print("called", flush=True)
    return [{"n": row["n"]} for row in rows]

def slow(rows):
    time.sleep(0.5)
    return [{"n": row["n"]} for row in rows]

def slower(rows):
    time.sleep(1.5)
    return [{"n": row["n"]} for row in rows]

def dies(rows):
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)

def hung(rows):
    threading.Event().wait()

def raises(rows):
    raise ValueError("no such user")

def nonsense(rows):
    return "nonsense"

def picky(rows):
    return [{"n": row["n"]} if row["n"] % 2 else object() for row in rows]
'''


class Run:
    """`pointsman run` as a process.

    Attributes:
        logs: The log lines so far, as dicts.
    """

    def __init__(self, command: list[str], folder: Path) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.logs: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                if line.startswith("{"):
                    self.logs.append(json.loads(line))
                else:
                    self.errors.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def saw(self, name: str) -> list[dict[str, Any]]:
        """The log lines of that name."""
        return [line for line in self.logs if line["log"] == name]

    def wait_for(self, name: str, times: int = 1, seconds: float = 40.0) -> dict[str, Any]:
        """Returns the log line of that name once there are so many."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: len(self.saw(name)) >= times or not self._reader.is_alive(), seconds
            )
        assert found, f"no log line {name} within {seconds} s: {self.logs} {self.errors}"
        assert len(self.saw(name)) >= times, f"it ended without {name}: {self.logs} {self.errors}"
        return self.saw(name)[times - 1]

    def wait_a_moment(self, seconds: float) -> None:
        """Lets it go on for `seconds`, or until it ends: the instant of a kill is what the test is about."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def terminate(self) -> int:
        """Asks it to drain; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, seconds: float = 60.0) -> int:
        """Returns its exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"it did not end within {seconds} s: {self.logs[-20:]} {self.errors}"
            ) from None
        self._reader.join()
        return code

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What it said at its end."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.read())
        return found


class Pipeline:
    """A document of its own, with its own topics and group."""

    def __init__(self, kafka: Kafka, folder: Path, partitions: int = 4) -> None:
        self.kafka = kafka
        self.folder = folder
        self.name = unique("p")
        self.source = kafka.create_topic(f"{self.name}-in", partitions)
        (folder / "models.py").write_text(MODELS)
        self.document: dict[str, Any] = {
            "version": 1,
            "pipeline": self.name,
            "kafka": dict(kafka.client_config),
            "source": {
                "topics": [self.source],
                "key": "k",
                "id": "id",
                "fields": {"id": "string", "k": "string", "n": "int", "kind": "string"},
            },
            "enrich": {"double": "n * 2"},
            "models": {"fast": {"python": "models:fast", "inputs": {"n": "n"}}},
            "routes": [{"name": "all", "use": "fast"}],
        }
        self._runs: list[Run] = []

    def models(self, *names: str, **keys: Any) -> None:
        """Gives each model of `names` the events of its kind; `fast` has the rest."""
        for name in names:
            self.document["models"][name] = {"python": f"models:{name}", "inputs": {"n": "n"}, **keys}
        routes = [{"name": name, "when": f'kind == "{name}"', "use": name} for name in names]
        self.document["routes"] = [*routes, {"name": "all", "use": "fast"}]

    def write(self) -> Path:
        """The document's file."""
        path = self.folder / f"{self.name}.yaml"
        path.write_text(yaml.safe_dump(self.document))
        return path

    def send(self, events: Iterable[dict[str, Any]]) -> int:
        """Writes events, keyed by their k."""
        return self.kafka.produce(self.source, [(event["k"], json.dumps(event)) for event in events])

    def start(self, *arguments: str) -> Run:
        """Starts `pointsman run`."""
        command = [sys.executable, "-m", "pointsman.cli.main", "run", str(self.write()), "--json", *arguments]
        run = Run(command, self.folder)
        self._runs.append(run)
        return run

    def run(self, *arguments: str, code: int = 0) -> Run:
        """Runs it to its end."""
        run = self.start(*arguments)
        assert run.wait() == code, f"{run.logs} {run.errors}"
        return run

    def wait_until_written(self, topic: str, count: int, run: Run) -> None:
        """Returns once so many records were ever written to a topic, while `run` goes on."""
        while self.kafka.count(topic) < count:
            assert run.process.poll() is None, f"it ended before {count}: {run.logs} {run.errors}"
            run.wait_a_moment(0.02)

    def decisions(self) -> list[dict[str, Any]]:
        """All decisions, partition by partition in their order."""
        return [json.loads(message.value()) for message in self.kafka.consume_all(f"{self.name}.decisions")]

    def dead_letters(self) -> list[Any]:
        """All dead letters, as messages."""
        return self.kafka.consume_all(f"{self.name}.dead-letters")

    def close(self) -> None:
        """Ends what still runs."""
        for run in self._runs:
            if run.process.poll() is None:
                os.killpg(run.process.pid, signal.SIGKILL)
                run.process.wait()
            for stream in (run.process.stdout, run.process.stderr):
                if stream is not None:
                    stream.close()


def events(count: int, keys: int = 20, start: int = 0, kind: str = "fast") -> Iterator[dict[str, Any]]:
    """Events numbered from `start`, their keys in turn."""
    for n in range(start, start + count):
        yield {"id": f"e{n}", "k": f"k{n % keys}", "n": n, "kind": kind}


def in_order(decisions: Iterable[dict[str, Any]]) -> bool:
    """Whether first decisions follow the order of events, key by key."""
    last: dict[str, int] = {}
    seen: set[int] = set()
    for decision in decisions:
        key, n = decision["event"]["k"], decision["event"]["n"]
        if n in seen:
            continue
        if n < last.get(key, -1):
            return False
        last[key] = n
        seen.add(n)
    return True
