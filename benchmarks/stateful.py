"""A window and a look-up for each event: Pointsman against plain Java on Kafka Streams."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.measure import Usage, measured
from benchmarks.streams import command, compiled
from benchmarks.workload import document

if TYPE_CHECKING:
    from benchmarks.__main__ import Bench

USERS = 50_000
MARK = "models:\n"
TABLES = "tables: {customers: {file: customers.csv, key: user_id}}\nenrich:\n"
ENRICH = """  segment: {lookup: customers, key: user_id, take: segment, default: new}
  spend: {window: {key: user_id, over: 1h, aggregate: {total: {sum: amount}, n: count}}}
"""


def stateful(bench: Bench) -> None:
    """One window with sum and count, one look-up, ten routes; the same record by Kafka Streams in Java."""
    count, rounds = int(os.environ.get("COUNT", "1000000")), int(os.environ.get("ROUNDS", "3"))
    customers = bench.folder / "customers.csv"
    rows = (f"U{n},{('gold', 'silver', 'basic')[n % 3]}\n" for n in range(USERS))
    customers.write_text("user_id,segment\n" + "".join(rows))
    classes = compiled(bench.folder)

    def java(store: str, guarantee: str, commit: str) -> Usage:
        target = bench.target()
        folder = bench.folder / f"streams-{target}"
        given = (bench.bootstrap, "events", target, str(count), store, guarantee, commit)
        return measured(command(classes, *given, str(folder), str(customers)))

    def ours(delivery: str, *, disk: bool = False) -> Usage:
        target = bench.target()
        bench.topic(f"{target}-dead")
        text = document(10, "events", target, bench.bootstrap).replace(
            "pipeline: bench", f"pipeline: {target}"
        )
        text = text.replace(MARK, ENRICH + MARK, 1)
        text = text.replace(
            "enrich:\n", "tables: {customers: {file: customers.csv, key: user_id}}\nenrich:\n", 1
        )
        path = bench.folder / f"{target}.yaml"
        path.write_text(text.replace("version: 1\n", f"version: 1\ndelivery: {delivery}\n", 1))
        run = [sys.executable, "-m", "pointsman.cli.main", "run", str(path), "--max-events", str(count)]
        return measured(run + (["--state-dir", str(bench.folder / target)] if disk else []), bench.folder)

    contenders: dict[str, Callable[[], Usage]] = {
        "Kafka Streams, in memory": lambda: java("memory", "at_least_once", "1000"),
        "Pointsman, in memory": lambda: ours("at_least_once"),
        "Kafka Streams, RocksDB": lambda: java("rocksdb", "at_least_once", "1000"),
        "Pointsman, RocksDB": lambda: ours("at_least_once", disk=True),
        "Kafka Streams, in memory, exactly once": lambda: java("memory", "exactly_once_v2", "100"),
        "Pointsman, in memory, exactly once": lambda: ours("exactly_once"),
        "Kafka Streams, RocksDB, exactly once": lambda: java("rocksdb", "exactly_once_v2", "100"),
        "Pointsman, RocksDB, exactly once": lambda: ours("exactly_once", disk=True),
    }
    found: dict[str, list[Usage]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            found[name].append(run())
    width = max(map(len, found))
    print(f"\n{'':{width}}  events/CPU-s    events/s  ratio to Kafka Streams (min–max)")
    base: list[Usage] = []
    for name, runs in found.items():
        base = runs if name.startswith("Kafka") else base
        cpu = statistics.median(count / run.cpu for run in runs)
        wall = statistics.median(count / run.wall for run in runs)
        ratios = [other.cpu / run.cpu for run, other in zip(runs, base, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"{name:{width}}  {cpu:12,.0f}{wall:12,.0f}  {spread}")
    print("\nCPU of the whole process tree, start included.")
