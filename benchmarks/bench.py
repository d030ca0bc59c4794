"""What every benchmark stands on: a broker with events, a folder for pipelines, runs that are measured."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.clients import producer_config
from benchmarks.measure import Usage, measured
from benchmarks.workload import PARTITIONS, SCORER, document, events
from pointsman.bus.local import LocalBroker

COUNT = int(os.environ.get("COUNT", "1000000"))


class Bench:
    """A broker with the events on it, and a folder for pipelines."""

    def __init__(self, broker: LocalBroker, folder: Path) -> None:
        self.bootstrap = broker.bootstrap
        self.folder = folder
        self.targets = 0
        self._data = folder / "broker" / "data"
        (folder / "scorer.py").write_text(SCORER)

    def topic(self, name: str) -> str:
        """A new topic."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
        return name

    def target(self) -> str:
        """A new topic for one run's output, whose name is also its group."""
        self.targets += 1
        return self.topic(f"out-{self.targets}")

    def fill(self, name: str, count: int) -> None:
        """Writes the events."""
        self.send(name, events(count))

    def send(self, name: str, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Writes records, each a key and a value."""
        producer = Producer(producer_config(self.bootstrap))
        batch: list[dict[str, bytes]] = []
        for key, value in pairs:
            batch.append({"key": key, "value": value})
            if len(batch) == 10_000:
                _send(producer, name, batch)
                batch = []
        _send(producer, name, batch)
        producer.flush()

    def stored(self, prefix: str) -> int:
        """Bytes at the broker of all topics whose names begin so."""
        return sum(path.stat().st_size for path in self._data.glob(f"{prefix}*/*.log"))

    def script(self, module: str, count: int = COUNT) -> Usage:
        """Runs a hand-written loop."""
        return measured([sys.executable, "-m", module, self.bootstrap, "events", self.target(), str(count)])

    def pointsman(self, routes: int, count: int = COUNT) -> Usage:
        """Runs Pointsman itself."""
        target = self.target()
        self.topic(f"{target}-dead")
        path = self.folder / f"{target}.yaml"
        path.write_text(document(routes, "events", target, self.bootstrap))
        command = [sys.executable, "-m", "pointsman.cli.main", "run", str(path), "--max-events", str(count)]
        return measured(command, self.folder)


def _send(producer: Producer, topic: str, batch: list[dict[str, bytes]]) -> None:
    sent = producer.produce_batch(topic, batch)
    while sent < len(batch):
        producer.poll(0.1)
        batch = [m for m in batch if "_error" in m]
        for message in batch:
            del message["_error"]
        sent = producer.produce_batch(topic, batch)
