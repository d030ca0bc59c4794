"""Deliveries that keep coming, and the decisions as they come out."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer

__all__ = ["CITIES", "Decisions", "Deliveries"]

CITIES = ("Berlin", "Lagos", "Lima", "Osaka", "Oslo", "Perth", "Quito")
COURIERS = 40


class Deliveries:
    """Writes deliveries, numbered from 0.

    Attributes:
        sent: How many so far.
    """

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
        self._draw = random.Random(4)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.sent = 0

    def send(self, count: int) -> None:
        """Writes so many at once."""
        for _ in range(count):
            courier = f"c{self._draw.randrange(COURIERS)}"
            event = {
                "order": f"d{self.sent}",
                "courier": courier,
                "city": self._draw.choice(CITIES),
                "km": self._draw.randrange(80) / 4,
                "stops": float(self._draw.randrange(6)),
            }
            self._producer.produce("deliveries", json.dumps(event), courier)
            self.sent += 1
        self._producer.poll(0)

    def begin(self, rate: int) -> None:
        """Writes `rate` a second from now on, ten times a second a tenth of them."""

        def flow() -> None:
            while not self._stop.wait(0.1):
                self.send(rate // 10)

        self._thread = threading.Thread(target=flow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Writes no more; all have reached Kafka."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._producer.flush(30):
            raise SystemExit("Kafka did not take all deliveries")
        del self._producer  # it would miss Kafka once that is gone


class Decisions:
    """Reads decisions while they are written.

    Attributes:
        records: All so far, in the order of each partition.
        alive: Whether anybody still decides.
    """

    def __init__(self, bootstrap: str) -> None:
        config = {"bootstrap.servers": bootstrap, "group.id": "watch", "auto.offset.reset": "earliest"}
        self._consumer = Consumer({**config, "topic.metadata.refresh.interval.ms": 1000})
        self._consumer.subscribe(["serving.decisions"])
        self.records: list[dict[str, Any]] = []
        self.alive: Callable[[], bool] = lambda: True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, what: str, enough: Callable[[list[dict[str, Any]]], bool], seconds: float = 90.0) -> None:
        """Returns once `enough` is true of the records.

        Raises:
            SystemExit: It is not within `seconds`.
        """
        end = time.monotonic() + seconds
        while not enough(self.records[:]):
            if not self.alive():
                raise SystemExit(f"the pipeline has ended while waiting for {what}")
            if time.monotonic() > end:
                raise SystemExit(f"after {seconds:.0f} s still waiting for {what}")
            time.sleep(0.1)

    def close(self) -> None:
        """Reads no more."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.1):
                if message.error() is None:
                    self.records.append(json.loads(message.value()))
