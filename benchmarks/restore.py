"""How long a worker takes to read its state back, and what a key costs in memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.measure import Usage, measured
from benchmarks.stateful import pipeline
from benchmarks.workload import events

if TYPE_CHECKING:
    from benchmarks.bench import Bench

__all__ = ["restore"]

KEYS = 1_000_000
_USER = re.compile(rb"U\d+")
_RESTORED = re.compile(r"log=state_restored .*records=(\d+) rate=(\d+) seconds=([\d.]+)")


def restore(bench: Bench) -> None:
    """The state of 1,000,000 keys of the window, one sub-bucket each, read from its changelog."""
    source = bench.topic("users")
    bench.send(source, _distinct())
    path = pipeline(bench, "exactly_once", source)
    _run(bench, str(path), "--max-events", str(KEYS))
    empty = _run(bench, str(pipeline(bench, "exactly_once", bench.topic("nobody"))), "--until-idle", "1")
    print(
        f"\n{'':20}{'records':>12}{'seconds':>10}{'records/s':>12}{'CPU-s':>8}{'bytes of memory a key':>24}"
    )
    kinds = {"in memory": (), "RocksDB": ("--state-dir", str(bench.folder / "kept"))}
    for name, options in kinds.items():
        found = _run(bench, str(path), "--until-idle", "1", *options)
        told = _RESTORED.search(found.said)
        if told is None:
            sys.exit(f"no state was restored:\n{found.said}")
        memory = (max(found.memory) - max(empty.memory)) * 2**20 / KEYS
        print(
            f"{name:20}{int(told[1]):12,}{float(told[3]):10.1f}{int(told[2]):12,}"
            f"{found.cpu - empty.cpu:8.1f}{memory:24,.0f}"
        )


def _run(bench: Bench, *options: str) -> Usage:
    return measured([sys.executable, "-m", "pointsman.cli.main", "run", *options], bench.folder)


def _distinct() -> Iterator[tuple[bytes, bytes]]:
    """The events of the workload, each by a user of its own."""
    for n, (_, value) in enumerate(events(KEYS)):
        user = b"U%d" % n
        yield user, _USER.sub(user, value, count=1)
