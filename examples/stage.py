"""What the examples play on: a broker, the command `pointsman`, and topics read to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pointsman.bus.local import LocalBroker

__all__ = ["Stage", "stage"]


class Stage:
    """A broker that holds nothing yet, and commands that talk to it.

    Attributes:
        bootstrap: The broker's address.
        folder: Where the commands run.
    """

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.folder = folder

    def pointsman(self, *arguments: str) -> None:
        """Runs one command of the product, shown as a person would type it; a failure ends the example."""
        print(f"$ pointsman {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", "pointsman.cli.main", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, "KAFKA_BOOTSTRAP": self.bootstrap}, check=False
        )
        if done.returncode:
            raise SystemExit(f"the command ended with exit code {done.returncode}")

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
def stage(folder: Path) -> Iterator[Stage]:
    """A stage with a local broker of its own, gone with all its data at the end."""
    broker = LocalBroker()
    broker.start(progress=lambda line: print(line, flush=True))
    try:
        yield Stage(broker.bootstrap, folder)
    finally:
        broker.stop()
