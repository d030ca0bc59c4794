"""What the examples play on: a broker, the command `pointsman`, and topics read to their end."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from prometheus_client.parser import text_string_to_metric_families

from pointsman.bus.local import LocalBroker
from pointsman.bus.topics import Topics

__all__ = ["HOSTS", "Run", "Stage", "arguments", "stage"]

HOSTS: dict[str, list[str]] = {
    "native": [],
    "kafka-streams": ["--on", "kafka-streams"],
    "flink": ["--on", "flink", "--state-dir"],
}
"""What `pointsman run` is told, by who hosts the pipeline; Flink's checkpoints need a folder besides."""


def arguments(description: str) -> argparse.ArgumentParser:
    """What every example is told on its command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--on", choices=list(HOSTS), default="native", help="who hosts the pipeline")
    return parser


class Run:
    """A `pointsman run` that goes on beside the example."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._port = port

    def metric(self, name: str, **labels: str) -> float:
        """What a metric says now; 0 where the run does not say anything yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as page:
                families = text_string_to_metric_families(page.read().decode())
        except OSError:
            return 0.0
        samples = [sample for family in families for sample in family.samples]
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    def wait(self, what: str, there: Callable[[], bool], seconds: float = 120.0) -> None:
        """Returns once `there` says so; ends the example where it does not, or where the run has ended."""
        end = time.monotonic() + seconds
        while not there():
            if self._process.poll() is not None:
                raise SystemExit(f"the pipeline has ended while waiting for {what}")
            if time.monotonic() > end:
                raise SystemExit(f"after {seconds:.0f} s still waiting for {what}")
            time.sleep(0.2)

    def kill(self) -> None:
        """Ends it as a machine that breaks does."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Lets it finish what it took."""
        self._process.send_signal(signal.SIGTERM)
        if code := self._process.wait(120):
            raise SystemExit(f"the run ended with exit code {code}")


class Stage:
    """A broker that holds nothing yet, and commands that talk to it.

    Attributes:
        bootstrap: The broker's address.
        folder: Where the commands run.
        hosting: What each `run` is told of its host.
    """

    def __init__(self, bootstrap: str, folder: Path, hosting: Sequence[str] = ()) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.hosting = hosting

    def pointsman(self, *arguments: str) -> None:
        """Runs one command of the product, shown as a person would type it; a failure ends the example."""
        with self._begin(*arguments) as process:
            code = process.wait()
        if code:
            raise SystemExit(f"the command ended with exit code {code}")

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Run]:
        """`pointsman run` beside the example; it is gone at the end."""
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        with self._begin("run", *arguments, "--metrics-port", str(port)) as process:
            try:
                yield Run(process, port)
            finally:
                process.kill()

    def _begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        if arguments[0] == "run":
            arguments = (*arguments, *self.hosting)
        print(f"$ pointsman {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", "pointsman.cli.main", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, "KAFKA_BOOTSTRAP": self.bootstrap}
        )

    def send(self, topic: str, records: Iterable[tuple[str, Mapping[str, Any] | None]]) -> None:
        """Writes records, each a key and a JSON object; None deletes a row of a table."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"})
        for key, value in records:
            producer.produce(topic, None if value is None else json.dumps(value), key)
        if producer.flush(30):
            raise SystemExit(f"Kafka did not take all records of {topic}")

    def behind(self, group: str, topic: str) -> int:
        """How many records of a topic a pipeline has not decided and committed yet."""
        cluster = Topics({"bootstrap.servers": self.bootstrap})
        return sum(row.lag for row in cluster.lag(group, [topic]))

    def read(self, topic: str) -> Iterator[Message]:
        """Every record of a topic, up to where each partition ends when it is reached."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "examples", "enable.partition.eof": True}
        )
        numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
        ended = 0
        while ended < len(numbers):
            for message in consumer.consume(10_000, 1.0):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended += 1
                else:
                    raise KafkaException(error)
        consumer.close()


@contextmanager
def stage(folder: Path, on: str = "native") -> Iterator[Stage]:
    """A stage with a local broker of its own, gone with all its data at the end.

    Args:
        on: Who hosts what is run.
    """
    broker = LocalBroker()
    broker.start(progress=lambda line: print(line, flush=True))
    try:
        with tempfile.TemporaryDirectory(prefix="pointsman-example-") as state:
            hosting = HOSTS[on]
            yield Stage(
                broker.bootstrap, folder, [*hosting, state] if hosting[-1:] == ["--state-dir"] else hosting
            )
    finally:
        broker.stop()
