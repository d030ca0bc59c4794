"""What events pay for a slow model that others go to: their latency with and without it, in one partition."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.still import Still
from pointsman.bus.client import client_config

if TYPE_CHECKING:
    from benchmarks.bench import Bench

RATE, SECONDS, ROUNDS = 200, 5, 5
SLOW = 20
"""Events a second that go to the slow model: 40 under way, below its concurrency of 64."""

FLOOD = 100
"""Events a second that go to the one that hangs: more than its share of `limits.in_flight` holds."""

SCENES = {
    "alone": ("", 0),
    "alone, again": ("", 0),  # what differs between these two is chance
    "with a model that takes 2 s": ("slow", SLOW),
    "with one that hangs": ("hang", FLOOD),
}


def document(source: str, target: str, bootstrap: str, address: str) -> str:
    """Events of a kind go to the path of that name; the rest is decided in the worker."""
    models = "".join(
        f"""  {name}:
    http: "{address}/{name}"
    inputs: {{n: n}}
    outputs: {{score: reply.score}}
    timeout: {timeout}
    retry: {{attempts: 1}}
    fallback: [here]
"""
        for name, timeout in (("fast", "2s"), ("slow", "5s"), ("hang", "3s"))
    )
    return f"""version: 1
pipeline: stall
profile: latency
kafka: {{bootstrap.servers: "{bootstrap}", group.id: "{target}"}}
source: {{topics: [{source}], key: k, id: k, fields: {{k: string, n: int, kind: string}}}}
models:
{models}  here: {{python: "scorer:baseline", inputs: {{n: n}}}}
routes:
  - {{name: fast, when: kind == "fast", use: fast}}
  - {{name: slow, when: kind == "slow", use: slow}}
  - {{name: hang, when: kind == "hang", use: hang}}
  - {{name: here, use: here}}
limits: {{in_flight: 1000}}
write: {{decisions: {target}, dead_letters: {target}-dead}}
"""


def stall(bench: Bench) -> None:
    """The 99th percentile of events that go to other models, by what goes to a slow one besides."""
    admin = AdminClient({"bootstrap.servers": bench.bootstrap})
    for name in ("stall-in", "stall-out", "stall-out-dead"):
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = bench.folder / "stall.yaml"
    path.write_text(document("stall-in", "stall-out", bench.bootstrap, f"http://127.0.0.1:{port}"))
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.sloth", str(port)])
    run = subprocess.Popen(
        [sys.executable, "-m", "pointsman.cli.main", "run", str(path)],
        cwd=bench.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with Still() as still:
            found = _rounds(bench.bootstrap, still)
    finally:
        run.terminate()
        run.wait(60)
        server.kill()  # it would wait for those that it keeps waiting
        server.wait()
    print(f"{RATE} events a second to other models, 1 partition, {ROUNDS} interleaved rounds; medians\n")
    print(f"{'':30}{'p50 ms':>8}{'p99 ms':>8}{'each round':>22}{'machine':>9}   of the slow: ok, fallback")
    for scene, rounds in found.items():
        middle, most, machine = (statistics.median(one[place] for one in rounds) for place in range(3))
        each = " ".join(f"{one[1]:.0f}" for one in rounds)
        told = ", ".join(str(sum(one[place] for one in rounds)) for place in (3, 4))
        print(f"{scene:30}{middle:8.1f}{most:8.1f}{each:>22}{machine:9.1f}   {told}")
    print("\nmachine: the 99th percentile, in ms, of how late a process that only wakes up does so")


def _rounds(bootstrap: str, still: Still) -> dict[str, list[tuple[float, float, float, int, int]]]:
    """By scene and round: median and 99th percentile of the others, the machine's, how the slow ended."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "clock"})
    consumer.assign([TopicPartition("stall-out", 0, 0)])
    producer = Producer(client_config({"bootstrap.servers": bootstrap}, "latency", "producer"))
    _scene(producer, consumer, "slow", SLOW, 3)  # until the group has its partition and all is warm
    found: dict[str, list[tuple[float, float, float, int, int]]] = {scene: [] for scene in SCENES}
    for _ in range(ROUNDS):
        for scene, (kind, rate) in SCENES.items():
            still.late()
            records = _scene(producer, consumer, kind, rate, SECONDS)
            others = sorted(late for late, record in records if record["event"]["kind"] != kind)
            slow = [record["result"]["status"] for _, record in records if record["event"]["kind"] == kind]
            at = others[len(others) // 2], others[int(0.99 * len(others))], still.late()
            found[scene].append((*at, slow.count("ok"), slow.count("fallback")))
    consumer.close()
    return found


def _scene(
    producer: Producer, consumer: Consumer, kind: str, rate: int, seconds: int
) -> list[tuple[float, dict[str, Any]]]:
    """Sends events at their pace and returns each one's latency and record, once all are decided."""
    sent, begin = 0, time.perf_counter()
    for n in range(RATE * seconds):
        time.sleep(max(0.0, begin + n / RATE - time.perf_counter()))
        kinds = ["fast" if n % 2 else "here"]
        if rate and n % (RATE // rate) == 0:
            kinds.append(kind)
        for one in kinds:
            event = {"k": f"{one}-{n}", "n": n, "kind": one}
            producer.produce("stall-in", json.dumps(event), event["k"], timestamp=int(time.time() * 1000))
            sent += 1
        producer.poll(0)
    producer.flush()
    found: list[tuple[float, dict[str, Any]]] = []
    while len(found) < sent:
        message = consumer.poll(60)
        if message is None:
            sys.exit(f"{len(found)} decisions of {sent}")
        record = json.loads(message.value())
        found.append((message.timestamp()[1] - record["time"], record))
    return found
