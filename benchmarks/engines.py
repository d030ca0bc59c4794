"""Ours on Kafka Streams and on Flink, against plain Java on the one and PyFlink's own on the other."""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks import flink
from benchmarks.between import Stretch, between
from benchmarks.stateful import pipeline
from benchmarks.streams import command as java
from benchmarks.streams import compiled
from benchmarks.workload import PARTITIONS, document

if TYPE_CHECKING:
    from benchmarks.bench import Bench

__all__ = ["engines"]

STREAMS = ("--on", "kafka-streams")
FLINK = ("--on", "flink")
COMPARED = 500
"""Records of each partition that are compared with those of the native runner."""

SLOW = 100
"""PyFlink's keyed job is given one event in so many: all would take it an hour."""


@dataclass(frozen=True, slots=True)
class Job:
    """One contender.

    Attributes:
        target: Where its records went.
        stretch: What it used.
    """

    target: str
    stretch: Stretch


def engines(bench: Bench) -> None:
    """Stateless, and with one state get and put an event: all write the same record."""
    count, rounds = int(os.environ.get("COUNT", "1000000")), int(os.environ.get("ROUNDS", "3"))
    suites = _Suites(bench, count)
    for title, contenders in (("stateless", suites.stateless()), ("one state get and put", suites.keyed())):
        found: dict[str, list[Job]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, run in contenders.items():
                found[name].append(run())
                print(f"  {name}: {_line(found[name][-1].stretch)}", flush=True)
        _compare(bench, {name: jobs[-1].target for name, jobs in found.items()})
        _table(title, {name: [job.stretch for job in jobs] for name, jobs in found.items()})


class _Suites:
    """The contenders, by name; the first of each engine is what ours is compared with."""

    def __init__(self, bench: Bench, count: int) -> None:
        self._bench = bench
        self._count = count
        self._fewer = count // 3  # those that are slower; they are as warm by then
        self._classes = compiled(bench.folder)
        self._admin = AdminClient({"bootstrap.servers": bench.bootstrap})
        pipeline(bench, "at_least_once")  # writes the table that all read
        self._customers = str(bench.folder / "customers.csv")

    def stateless(self) -> dict[str, Callable[[], Job]]:
        """Ten routes and the whole record."""
        return {
            "Kafka Streams, plain Java": lambda: self._java("none", self._count),
            "Pointsman on Kafka Streams": lambda: self._ours(self._plain(), self._count, *STREAMS),
            "PyFlink, values only": lambda: self._pyflink("value", self._fewer),
            "PyFlink, keys and places": lambda: self._pyflink("table", self._fewer),
            "Pointsman on Flink": lambda: self._ours(self._plain(), self._count, *FLINK),
            "Pointsman, native": lambda: self._ours(self._plain(), self._count),
        }

    def keyed(self) -> dict[str, Callable[[], Job]]:
        """A window of an hour with sum and count, and a look-up, besides."""
        return {
            "Kafka Streams, plain Java, RocksDB": lambda: self._java("rocksdb", self._fewer),
            "Pointsman on Kafka Streams, RocksDB": lambda: self._ours(self._window(), self._fewer, *STREAMS),
            "PyFlink, ValueState": lambda: self._pyflink("keyed", max(self._count // SLOW, 5_000)),
            "Pointsman on Flink, RocksDB": lambda: self._ours(self._window(), self._fewer, *FLINK),
            "Pointsman, native, RocksDB": lambda: self._ours(self._window(), self._fewer),
        }

    def _java(self, store: str, count: int) -> Job:
        target = self._bench.target()
        folder = str(self._bench.folder / f"streams-{target}")
        end = str(self._count + 1)  # which it does not reach
        given = (self._bench.bootstrap, "events", target, end, store, "at_least_once", "1000", folder)
        return self._run(target, java(self._classes, *given, self._customers), count)

    def _pyflink(self, kind: str, count: int) -> Job:
        target = self._bench.target()
        env = flink.environment(self._bench.folder / f"pyflink-{target}")
        line = flink.command(kind, self._bench.bootstrap, "events", target, self._customers)
        return self._run(target, line, count, env)

    def _ours(self, path: Path, count: int, *options: str) -> Job:
        state = str(self._bench.folder / f"state-{path.stem}")
        line = [sys.executable, "-m", "pointsman.cli.main", "run", str(path), "--state-dir", state, *options]
        return self._run(path.stem, line, count)

    def _plain(self) -> Path:
        target = self._bench.target()
        self._bench.topic(f"{target}-dead")
        path = self._bench.folder / f"{target}.yaml"
        text = document(10, "events", target, self._bench.bootstrap)
        path.write_text(text.replace("version: 1\n", "version: 1\ndelivery: at_least_once\n", 1))
        return path

    def _window(self) -> Path:
        return pipeline(self._bench, "at_least_once")

    def _run(self, target: str, line: list[str], count: int, env: dict[str, str] | None = None) -> Job:
        ask = {TopicPartition(target, number): OffsetSpec.latest() for number in range(PARTITIONS)}

        def written() -> int:
            try:
                return sum(one.result(30).offset for one in self._admin.list_offsets(ask).values())
            except KafkaException:  # a new topic has no leader for a moment
                return 0

        return Job(target, between(line, count, written, folder=self._bench.folder, env=env))


def _compare(bench: Bench, targets: dict[str, str]) -> None:
    """Ends the benchmark if somebody wrote another record than the native runner."""
    base = next(target for name, target in targets.items() if "native" in name)
    wanted = dict(_records(bench, base, COMPARED))
    for name, target in targets.items():
        made_up = "values only" in name
        same = 0
        for number, record in _records(bench, target, COMPARED):
            if number in wanted:
                mine, its = _bare(record, made_up), _bare(wanted[number], made_up)
                if mine != its:
                    sys.exit(f"{name} wrote another record:\n{json.dumps(mine)}\n{json.dumps(its)}")
                same += 1
        if not same:
            sys.exit(f"{name} wrote none of the events that were compared")
        print(f"  {name}: {same:,} records as the native runner's")


def _bare(record: dict[str, Any], made_up: bool) -> dict[str, Any]:
    """Without times, the policy's version, what was made up, and the last digits of sums."""
    found = {name: part for name, part in record.items() if name != "decided_at"}
    found["decision"] = {name: part for name, part in record["decision"].items() if name != "policy"}
    found["result"] = {name: part for name, part in record["result"].items() if name != "latency_ms"}
    if "spend" in record["metadata"]:
        spend = {**record["metadata"]["spend"], "total": round(record["metadata"]["spend"]["total"], 4)}
        found["metadata"] = {**record["metadata"], "spend": spend}
    if made_up:
        del found["source"]
    return found


def _records(bench: Bench, target: str, most: int) -> Iterable[tuple[str, dict[str, Any]]]:
    """The first records of each partition, by the event's id."""
    consumer = Consumer({"bootstrap.servers": bench.bootstrap, "group.id": f"compare-{target}"})
    try:
        for number in range(PARTITIONS):
            consumer.assign([TopicPartition(target, number, OFFSET_BEGINNING)])
            low, high = consumer.get_watermark_offsets(TopicPartition(target, number), 10.0)
            left = min(most, high - low)
            while left > 0:
                messages = consumer.consume(left, 10.0)
                left = left - len(messages) if messages else 0
                for message in messages:
                    record = json.loads(message.value())
                    yield record["id"], record
    finally:
        consumer.close()


def _line(run: Stretch) -> str:
    return f"{run.events / run.cpu:,.0f} events/CPU-s, {run.events / run.wall:,.0f} events/s"


def _table(title: str, found: dict[str, list[Stretch]]) -> None:
    """A line for each contender; ratios within each round, to the first of the engine."""
    width = max(map(len, found))
    heads = "events/CPU-s  with start    events/s  peak MiB  first after s  ratio per CPU-s (min–max)"
    print(f"\n{title:{width}}  {heads}")
    for name, runs in found.items():
        cpu = statistics.median(run.events / run.cpu for run in runs)
        wall = statistics.median(run.events / run.wall for run in runs)
        whole = statistics.median(run.whole for run in runs)
        memory = statistics.median(run.memory for run in runs)
        first = statistics.median(run.first for run in runs)
        told = f"{name:{width}}  {cpu:12,.0f}{whole:12,.0f}{wall:12,.0f}{memory:10,.0f}{first:15,.1f}"
        for engine, base in found.items():
            if base is not runs and engine.startswith(_compared_with(name)):
                ratios = [_rate(run) / _rate(other) for run, other in zip(runs, base, strict=True)]
                told += f"  {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) to {engine}"
        print(told)
    print("\nThe second half of each run's events, the whole process tree.")


def _rate(run: Stretch) -> float:
    return run.events / run.cpu


def _compared_with(name: str) -> tuple[str, ...]:
    """Whose beginnings of names ours is compared with."""
    if "on Kafka Streams" in name:
        return ("Kafka Streams",)
    return ("PyFlink",) if "on Flink" in name else ()
