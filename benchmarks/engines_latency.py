"""How long a decision takes on each host: paced events in the latency profile."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from confluent_kafka import Consumer

from benchmarks.latency import RATE, percentile, round_trip
from benchmarks.workload import document, events

if TYPE_CHECKING:
    from benchmarks.bench import Bench

__all__ = ["engines_latency"]

HOSTS = ("native", "kafka-streams", "flink")
DELIVERIES = ("at_least_once", "exactly_once")
START_SECONDS = 120.0


def engines_latency(bench: Bench) -> None:
    """Milliseconds from an event to its decision on each host, 200 events a second, profile latency."""
    rounds = int(os.environ.get("ROUNDS", "3"))
    bare = bench.topic("engines-bare")
    print(f"{RATE} events a second, {rounds} rounds; medians, committed records")
    print(f"\n{'':29}{'p50 ms':>8}{'p99 ms':>8}   p99 of each round")
    _tell("bare round trip", [round_trip(bench, bare, bare) for _ in range(rounds)])
    for delivery in DELIVERIES:
        for host in HOSTS:
            with _running(bench, host, delivery) as (source, target):
                _tell(f"{host}, {delivery}", [round_trip(bench, source, target) for _ in range(rounds)])


def _tell(name: str, rounds: list[list[float]]) -> None:
    most = [percentile(times, 0.99) for times in rounds]
    middle = statistics.median(percentile(times, 0.5) for times in rounds)
    each = " ".join(f"{one:.0f}" for one in most)
    print(f"{name:29}{middle:8.1f}{statistics.median(most):8.1f}   {each}", flush=True)


@contextlib.contextmanager
def _running(bench: Bench, host: str, delivery: str) -> Iterator[tuple[str, str]]:
    """The topics of a pipeline that has decided its first events."""
    target = bench.target()
    source = bench.topic(f"{target}-paced")
    bench.topic(f"{target}-dead")
    path = bench.folder / f"{target}.yaml"
    text = document(10, source, target, bench.bootstrap, profile="latency")
    path.write_text(text.replace("version: 1\n", f"version: 1\ndelivery: {delivery}\n", 1))
    state = str(bench.folder / f"state-{target}")
    command = [
        sys.executable,
        "-m",
        "pointsman.cli.main",
        "run",
        str(path),
        "--on",
        host,
        "--state-dir",
        state,
    ]
    bench.send(source, events(100))
    process = subprocess.Popen(
        command, cwd=bench.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    consumer = Consumer(
        {"bootstrap.servers": bench.bootstrap, "group.id": f"{target}-first", "auto.offset.reset": "earliest"}
    )
    try:
        consumer.subscribe([target])
        if len(consumer.consume(100, START_SECONDS)) < 100:
            sys.exit(f"{' '.join(command)} has not decided 100 events in {START_SECONDS:.0f} s")
        yield source, target
    finally:
        consumer.close()
        process.terminate()
        process.wait(90)
