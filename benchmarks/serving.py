"""Events to a real V2 server, MLServer, against a straightforward asyncio consumer that calls per event.

The same again with a stand-in that answers at once: where the server is the bottleneck, only this one shows
what the clients cost.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from benchmarks.measure import measured
from benchmarks.workload import PARTITIONS

if TYPE_CHECKING:
    from benchmarks.bench import Bench

CALLS = int(os.environ.get("CALLS", "4000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
AT_ONCE = 64
BATCH = "\n    batch: {size: 32, wait: 5ms}"


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


@dataclass(frozen=True, slots=True)
class Run:
    """What one run gave.

    Attributes:
        rate: Events a second.
        client: CPU microseconds of the client for each event, its start taken off.
        server: The same of the server.
    """

    rate: float
    client: float
    server: float


class Contest:
    """Contenders that take the same events to the same server."""

    def __init__(self, bench: Bench, source: str, server: int, address: str) -> None:
        """Args:
        source: The topic with the events.
        server: The server's process id.
        address: Where it is.
        """
        self._bench = bench
        self._source = source
        self._server = psutil.Process(server)
        self._address = address
        self._starts: dict[str, float] = {}

    def loop(self, at_once: int, count: int) -> tuple[str, float]:
        """The hand-written loop; returns the topic it wrote and the CPU seconds it used."""
        target = self._bench.target()
        command = [sys.executable, "-m", "benchmarks.asyncloop", self._bench.bootstrap, self._source, target]
        return target, measured([*command, str(count), self._address, str(at_once)]).cpu

    def ours(self, batch: str, count: int) -> tuple[str, float]:
        """Pointsman; returns the same."""
        bench, target = self._bench, self._bench.target()
        bench.topic(f"{target}-dead")
        path = bench.folder / f"{target}.yaml"
        path.write_text(document(self._source, target, bench.bootstrap, self._address, batch))
        command = [sys.executable, "-m", "pointsman.cli.main", "run", str(path)]
        return target, measured([*command, "--max-events", str(count)], bench.folder).cpu

    def run(self, name: str, contender: Callable[[int], tuple[str, float]]) -> Run:
        """One run of all events, and before the first one a run of a single event."""
        if name not in self._starts:
            self._starts[name] = contender(1)[1]
        before = self._used()
        target, cpu = contender(CALLS)
        server = (self._used() - before) / CALLS * 1e6
        return Run(rate(self._bench.bootstrap, target), (cpu - self._starts[name]) / CALLS * 1e6, server)

    def table(self) -> None:
        """All contenders in turn, and what they gave."""
        base = f"asyncio loop, {AT_ONCE} requests at once"
        contenders: dict[str, Callable[[int], tuple[str, float]]] = {
            "asyncio loop, one request after the other": partial(self.loop, 1),
            base: partial(self.loop, AT_ONCE),
            "Pointsman, a request for each event": partial(self.ours, ""),
            "Pointsman, batch: {size: 32, wait: 5ms}": partial(self.ours, BATCH),
        }
        found: dict[str, list[Run]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                found[name].append(self.run(name, contender))
        print(f"{'':44}{'events/s':>10}{'client µs':>11}{'server µs':>11}  ratio of rates (min–max)")
        for name, runs in found.items():
            ratios = [own.rate / other.rate for own, other in zip(runs, found[base], strict=True)]
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            rates, client, server = (
                statistics.median(getattr(run, what) for run in runs) for what in ("rate", "client", "server")
            )
            print(f"{name:44}{rates:10,.0f}{client:11,.0f}{server:11,.0f}  {spread}")

    def _used(self) -> float:
        """CPU seconds of the server so far."""
        times = [one.cpu_times() for one in (self._server, *self._server.children(recursive=True))]
        return sum(one.user + one.system for one in times)


def serving(bench: Bench) -> None:
    """Events a second that one V2 server answers, by who calls it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from servers import mlserver
    from servers.process import free_port
    from servers.process import serving as started

    source = bench.topic("calls")
    bench.fill(source, CALLS)
    print(
        f"{CALLS:,} events, {ROUNDS} interleaved rounds; medians; µs are CPU for each event, without start-up"
    )
    with tempfile.TemporaryDirectory() as folder, mlserver.serve(Path(folder)) as server:
        print("\nMLServer 1.7.1, a linear model of scikit-learn")
        Contest(bench, source, server.process.pid, server.rest).table()
    port = free_port()
    command = [sys.executable, str(Path(__file__).parent / "standin.py"), str(port)]
    address = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory() as folder,
        started(command, Path(folder), "/v2/health/ready", rest=address) as server,
    ):
        print("\nA stand-in that answers at once")
        Contest(bench, source, server.process.pid, address).table()


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
