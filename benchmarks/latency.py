"""Paced events in the latency profile against a bare produce-consume round trip."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer

from benchmarks.workload import document, events
from pointsman.bus.client import client_config

if TYPE_CHECKING:
    from benchmarks.bench import Bench

__all__ = ["RATE", "latency", "percentile", "round_trip"]

RATE, SECONDS, ROUNDS = 200, 5, 5


def latency(bench: Bench) -> None:
    """Milliseconds added to a round trip, 200 events a second, profile latency."""
    bare = bench.topic("bare")
    source, target = bench.topic("paced"), bench.target()
    bench.topic(f"{target}-dead")
    path = bench.folder / "latency.yaml"
    path.write_text(document(10, source, target, bench.bootstrap, profile="latency"))
    command = [sys.executable, "-m", "pointsman.cli.main", "run", str(path)]
    process = subprocess.Popen(
        command, cwd=bench.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    found: dict[str, list[list[float]]] = {"bare round trip": [], "through Pointsman": []}
    try:
        for _ in range(ROUNDS):
            for times, (begin, end) in zip(found.values(), ((bare, bare), (source, target)), strict=True):
                times.append(round_trip(bench, begin, end))
    finally:
        process.terminate()
        process.wait(30)
    print(f"{RATE} events a second, {ROUNDS} interleaved rounds; medians")
    print(f"\n{'':22}{'p50 ms':>8}{'p99 ms':>8}   p99 of each round")
    middles = []
    for name, rounds in found.items():
        most = [percentile(times, 0.99) for times in rounds]
        each = " ".join(f"{one:.1f}" for one in most)
        middles.append(
            (statistics.median(percentile(times, 0.5) for times in rounds), statistics.median(most))
        )
        print(f"{name:22}{middles[-1][0]:8.2f}{middles[-1][1]:8.2f}   {each}")
    added = [through - bare for bare, through in zip(*middles, strict=True)]
    print(f"{'added':22}{added[0]:8.2f}{added[1]:8.2f}")


def percentile(times: list[float], share: float) -> float:
    """Milliseconds within which so large a share arrived."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000


def round_trip(bench: Bench, source: str, target: str) -> list[float]:
    """Seconds from `produce` to the answer's arrival, for each event after a warm-up of two seconds."""
    config = {"bootstrap.servers": bench.bootstrap, "group.id": f"clock-{time.time_ns()}"}
    consumer = Consumer({**client_config(config, "latency", "consumer"), "auto.offset.reset": "latest"})
    consumer.subscribe([target])
    sent: dict[str, float] = {}
    took: dict[str, float] = {}
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            message = consumer.poll(0.1)
            if message is None or message.error():
                continue
            arrived = time.perf_counter()
            value = message.value()
            key = value[value.index(b'"t-') + 1 :].split(b'"', 1)[0].decode()
            took[key] = arrived - sent.get(key, arrived)

    listener = threading.Thread(target=listen)
    listener.start()
    producer = Producer(client_config({"bootstrap.servers": bench.bootstrap}, "latency", "producer"))
    begin = time.perf_counter() + 5
    for n, (key, value) in enumerate(events((SECONDS + 2) * RATE)):
        time.sleep(max(0.0, begin + n / RATE - time.perf_counter()))
        sent[f"t-{n}"] = time.perf_counter()
        producer.produce(source, value, key)
        producer.poll(0)
    producer.flush()
    deadline = time.perf_counter() + 10
    while len(took) < len(sent) and time.perf_counter() < deadline:
        time.sleep(0.1)
    stop.set()
    listener.join()
    consumer.close()
    return [seconds for name, seconds in took.items() if int(name[2:]) >= 2 * RATE]
