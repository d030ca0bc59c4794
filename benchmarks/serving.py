"""Events to a real V2 server, MLServer, against a straightforward asyncio consumer that calls per event."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from benchmarks.measure import measured
from benchmarks.workload import PARTITIONS

if TYPE_CHECKING:
    from benchmarks.__main__ import Bench

CALLS = int(os.environ.get("CALLS", "4000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
AT_ONCE = 64


def document(source: str, target: str, bootstrap: str, address: str, batch: str) -> str:
    """A pipeline with one route, to the model on the server."""
    fields = "{txn_id: string, user_id: string, amount: double, ts: int}"
    return f"""version: 1
pipeline: serving
kafka: {{bootstrap.servers: "{bootstrap}", group.id: "{target}"}}
source: {{topics: [{source}], key: user_id, id: txn_id, time: ts, fields: {fields}}}
models:
  linear:
    open_inference: "{address}"
    inputs: {{amount: amount, day: double(ts % 7)}}
    tensors: {{x: {{of: [amount, day], dtype: float64}}}}
    outputs: {{score: "reply.predict[0]"}}
    concurrency: {AT_ONCE}
    timeout: 10s{batch}
routes: [{{name: all, use: linear}}]
write: {{decisions: {target}, dead_letters: {target}-dead}}
"""


def serving(bench: Bench) -> None:
    """Events a second that one V2 server answers, by who calls it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from servers import mlserver

    source = bench.topic("calls")
    bench.fill(source, CALLS)
    with tempfile.TemporaryDirectory() as folder, mlserver.serve(Path(folder)) as server:

        def loop(at_once: int) -> tuple[float, float]:
            target = bench.target()
            command = [sys.executable, "-m", "benchmarks.asyncloop", bench.bootstrap, source, target]
            used = measured([*command, str(CALLS), server.rest, str(at_once)])
            return rate(bench.bootstrap, target), used.cpu / CALLS * 1000

        def ours(batch: str = "") -> tuple[float, float]:
            target = bench.target()
            bench.topic(f"{target}-dead")
            path = bench.folder / f"{target}.yaml"
            path.write_text(document(source, target, bench.bootstrap, server.rest, batch))
            command = [sys.executable, "-m", "pointsman.cli.main", "run", str(path)]
            used = measured([*command, "--max-events", str(CALLS)], bench.folder)
            return rate(bench.bootstrap, target), used.cpu / CALLS * 1000

        base = f"asyncio loop, {AT_ONCE} requests at once"
        contenders: dict[str, Callable[[], tuple[float, float]]] = {
            "asyncio loop, one request after the other": lambda: loop(1),
            base: lambda: loop(AT_ONCE),
            "Pointsman, a request for each event": ours,
            "Pointsman, batch: {size: 32, wait: 5ms}": lambda: ours("\n    batch: {size: 32, wait: 5ms}"),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, run in contenders.items():
                found[name].append(run())
    print(f"{CALLS:,} events, {ROUNDS} interleaved rounds; medians\n")
    print(f"{'':44}{'events/s':>10}{'client CPU-ms':>15}  ratio of rates (min–max)")
    for name, runs in found.items():
        rates, cpu = zip(*runs, strict=True)
        ratios = [own / other for own, (other, _) in zip(rates, found[base], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"{name:44}{statistics.median(rates):10,.0f}{statistics.median(cpu):15.2f}  {spread}")
    print("\nCPU-ms are per event, the client's start included.")


def rate(bootstrap: str, topic: str) -> float:
    """Records a second, from the first to the last by the clock of who wrote them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "rate", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    times: list[int] = []
    ended = 0
    while ended < PARTITIONS:
        for message in consumer.consume(10_000, 1.0):
            if message.error() is None:
                times.append(message.timestamp()[1])
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended += 1
    consumer.close()
    if len(times) < CALLS:
        sys.exit(f"{topic} holds {len(times)} records of {CALLS}")
    first, last = min(times), max(times)
    return sum(time > first for time in times) / max(last - first, 1) * 1000
