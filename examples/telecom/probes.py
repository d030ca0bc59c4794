"""Probes that keep measuring the latency of cells, and what plain Python makes of them."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping

from confluent_kafka import Producer

__all__ = ["Probes", "state"]

WINDOW = 60.0
STALE = 30.0
SLOW = 150.0

Measured = tuple[float, float]
"""When, in seconds, and the latency in milliseconds."""


def state(measured: list[Measured], now: float) -> str:
    """How a cell does: as the table of the pipeline says it, in plain Python over everything measured."""
    if not measured or now - measured[-1][0] > STALE:
        return "unknown"
    latencies = sorted(rtt for when, rtt in measured if when > now - WINDOW)
    return "slow" if latencies[int(0.95 * (len(latencies) - 1))] > SLOW else "good"


class Probes:
    """Measures each cell once a second, from `begin` on.

    Attributes:
        measured: What was measured so far, by cell.
    """

    def __init__(self, bootstrap: str, cells: Mapping[str, float]) -> None:
        """Args:
        bootstrap: Kafka's address.
        cells: The usual latency of each, in milliseconds.
        """
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
        self._draw = random.Random(5)
        self._usual = dict(cells)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._flow, daemon=True)
        self.measured: dict[str, list[Measured]] = {cell: [] for cell in cells}

    @property
    def sent(self) -> int:
        """How many probes have reached Kafka; there are none on their way."""
        with self._lock:
            return sum(map(len, self.measured.values()))

    def states(self) -> dict[str, str]:
        """How each cell does now."""
        with self._lock:
            now = time.time()
            return {cell: state(measured, now) for cell, measured in self.measured.items()}

    def begin(self) -> None:
        """Measures from now on."""
        self._thread.start()

    def change(self, cell: str, rtt: float) -> None:
        """From now on the cell's latency is another one; a burst of probes says so."""
        with self._lock:
            self._usual[cell] = rtt
            self._measure([cell] * 20)

    def silence(self, cell: str) -> None:
        """Nothing measures this cell any more."""
        with self._lock:
            del self._usual[cell]

    def end(self) -> None:
        """Measures no more."""
        self._stop.set()
        self._thread.join()
        del self._producer  # it would miss Kafka once that is gone

    def _flow(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                self._measure(list(self._usual))
            self._stop.wait(1.0)

    def _measure(self, cells: list[str]) -> None:
        for cell in cells:
            now, rtt = time.time(), self._usual[cell] * self._draw.uniform(0.8, 1.2)
            probe = {"cell_id": cell, "rtt": round(rtt, 1)}
            self._producer.produce("probes", json.dumps(probe), cell, timestamp=int(now * 1000))
            self.measured[cell].append((now, rtt))
        if self._producer.flush(30):
            raise SystemExit("Kafka did not take all probes")
