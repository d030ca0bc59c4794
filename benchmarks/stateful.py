"""A window and a look-up for each event: Pointsman against plain Java on Kafka Streams."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Usage, measured
from benchmarks.streams import command, compiled
from benchmarks.workload import document

if TYPE_CHECKING:
    from benchmarks.bench import Bench

__all__ = ["pipeline", "stateful"]

USERS = 50_000
MARK = "models:\n"
TABLES = "tables: {customers: {file: customers.csv, key: user_id}}\nenrich:\n"
ENRICH = """  segment: {lookup: customers, key: user_id, take: segment, default: new}
  spend: {window: {key: user_id, over: 1h, aggregate: {total: {sum: amount}, n: count}}}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run used, and the bytes of changelog that it left at the broker for each event."""

    usage: Usage
    changelog: float


def pipeline(bench: Bench, delivery: str, source: str = "events") -> Path:
    """The pipeline of a new target, which is also its name."""
    target = bench.target()
    bench.topic(f"{target}-dead")
    customers = bench.folder / "customers.csv"
    if not customers.exists():
        rows = (f"U{n},{('gold', 'silver', 'basic')[n % 3]}\n" for n in range(USERS))
        customers.write_text("user_id,segment\n" + "".join(rows))
    text = document(10, source, target, bench.bootstrap).replace("pipeline: bench", f"pipeline: {target}")
    text = text.replace("version: 1\n", f"version: 1\ndelivery: {delivery}\n", 1)
    text = text.replace(MARK, ENRICH + MARK, 1).replace("enrich:\n", TABLES, 1)
    path = bench.folder / f"{target}.yaml"
    path.write_text(text)
    return path


def stateful(bench: Bench) -> None:
    """One window with sum and count, one look-up, ten routes; the same record by Kafka Streams in Java."""
    count, rounds = int(os.environ.get("COUNT", "1000000")), int(os.environ.get("ROUNDS", "3"))
    classes = compiled(bench.folder)

    def java(store: str, guarantee: str, commit: str) -> Run:
        target = bench.target()
        folder, customers = bench.folder / f"streams-{target}", bench.folder / "customers.csv"
        given = (bench.bootstrap, "events", target, str(count), store, guarantee, commit)
        usage = measured(command(classes, *given, str(folder), str(customers)))
        return Run(usage, bench.stored(f"{target}-spend-changelog") / count)

    def ours(delivery: str, *, disk: bool = False) -> Run:
        path = pipeline(bench, delivery)
        run = [sys.executable, "-m", "pointsman.cli.main", "run", str(path), "--max-events", str(count)]
        run += ["--state-dir", str(bench.folder / path.stem)] if disk else []
        return Run(measured(run, bench.folder), bench.stored(f"{path.stem}.state.spend") / count)

    contenders: dict[str, Callable[[], Run]] = {
        "Kafka Streams, in memory": lambda: java("memory", "at_least_once", "1000"),
        "Pointsman, in memory": lambda: ours("at_least_once"),
        "Kafka Streams, RocksDB": lambda: java("rocksdb", "at_least_once", "1000"),
        "Pointsman, RocksDB": lambda: ours("at_least_once", disk=True),
        "Kafka Streams, in memory, exactly once": lambda: java("memory", "exactly_once_v2", "100"),
        "Pointsman, in memory, exactly once": lambda: ours("exactly_once"),
        "Kafka Streams, RocksDB, exactly once": lambda: java("rocksdb", "exactly_once_v2", "100"),
        "Pointsman, RocksDB, exactly once": lambda: ours("exactly_once", disk=True),
    }
    pipeline(bench, "at_least_once")  # writes the table that all read
    found: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            found[name].append(run())
    _table(found, count)


def _table(found: dict[str, list[Run]], count: int) -> None:
    """A line for each contender; ratios within each round, to the Kafka Streams before it."""
    width = max(map(len, found))
    print(f"\n{'':{width}}  events/CPU-s    events/s  changelog B/event  peak MiB  ratio per CPU-s (min–max)")
    base: list[Run] = []
    for name, runs in found.items():
        base = runs if name.startswith("Kafka") else base
        cpu = statistics.median(count / run.usage.cpu for run in runs)
        wall = statistics.median(count / run.usage.wall for run in runs)
        changelog = statistics.median(run.changelog for run in runs)
        memory = statistics.median(max(run.usage.memory) for run in runs)
        ratios = [other.usage.cpu / run.usage.cpu for run, other in zip(runs, base, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"{name:{width}}  {cpu:12,.0f}{wall:12,.0f}{changelog:19,.1f}{memory:10,.0f}  {spread}")
    print("\nCPU and memory of the whole process tree, start included; changelogs as the broker stores them.")
