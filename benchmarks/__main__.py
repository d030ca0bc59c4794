"""Benchmarks on the local broker, as ratios within one run: `python -m benchmarks [NAME …]`.

NAME is throughput, exactly_once, routes, allocations, latency, stateful, engines, engines_latency,
restore, serving, guard or stall.
Every contender consumes the same topic, writes the same record with the same client settings and commits
after delivery. `COUNT=100000 python -m benchmarks` makes a short run; ROUNDS repeats the contenders in turn.
Where other work goes on, `chrt -r 10 python -m benchmarks stall latency` measures this one alone (Linux, as
root).
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import COUNT, Bench
from benchmarks.engines import engines
from benchmarks.engines_latency import engines_latency
from benchmarks.exactly_once import run as run_delivery
from benchmarks.guard import main as guard
from benchmarks.latency import latency
from benchmarks.measure import Usage
from benchmarks.memory import allocations
from benchmarks.restore import restore
from benchmarks.serving import serving
from benchmarks.stall import stall
from benchmarks.stateful import stateful
from benchmarks.workload import PARTITIONS
from pointsman.bus.local import LocalBroker

ROUNDS = int(os.environ.get("ROUNDS", "3"))


def throughput(bench: Bench) -> None:
    """The whole event path against what a team would write by hand."""
    contenders: dict[str, Callable[[], Usage]] = {
        "pass-through, no decoding": lambda: bench.script("benchmarks.passthrough"),
        "hand-written loop, 10 routes": lambda: bench.script("benchmarks.handloop"),
        "Pointsman, 10 routes": lambda: bench.pointsman(10),
    }
    found: dict[str, list[Usage]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            found[name].append(run())
    _table(found, "hand-written loop, 10 routes", COUNT)
    growth = statistics.median(usage.flat() for usage in found["Pointsman, 10 routes"])
    print(f"\nPointsman's memory over the second half of a run: x {growth:.3f}")


def exactly_once(bench: Bench) -> None:
    """Decisions and offsets in transactions of 100 ms, against at least once."""
    found: dict[str, list[Usage]] = {"at_least_once": [], "exactly_once": []}
    for _ in range(ROUNDS):
        for delivery, runs in found.items():
            runs.append(run_delivery(bench, delivery, COUNT))
    _table(found, "at_least_once", COUNT)


def routes(bench: Bench) -> None:
    """10 to 10,000 routes: CPU microseconds for each event, start-up taken off."""
    found: dict[int, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for number in (10, 100, 1_000, 10_000):
            start, whole = bench.pointsman(number, 1), bench.pointsman(number)
            found.setdefault(number, []).append((start.cpu, (whole.cpu - start.cpu) / COUNT * 1e6))
    print(f"\n{'routes':>8}{'start-up CPU-s':>16}{'µs an event':>14}{'ratio to 10':>14}")
    for number, runs in found.items():
        start_up, cost = (statistics.median(column) for column in zip(*runs, strict=True))
        ratio = statistics.median(run[1] / ten[1] for run, ten in zip(runs, found[10], strict=True))
        print(f"{number:8,}{start_up:16.2f}{cost:14.2f}{ratio:14.2f}")


def overhead(_: Bench) -> None:
    """What the guard adds to a call of a remote model, in this process."""
    guard()


def _ahead() -> bool:
    """Whether all of this goes before other work on the machine, as under `chrt -r 10`."""
    return sys.platform == "linux" and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)


def _table(found: dict[str, list[Usage]], base: str, count: int) -> None:
    """Events per CPU-second and per second, and the median ratio to `base` within each round."""
    width = max(map(len, found))
    print(f"\n{'':{width}}  events/CPU-s    events/s  ratio per CPU-s (min–max)")
    for name, runs in found.items():
        cpu = statistics.median(count / run.cpu for run in runs)
        wall = statistics.median(count / run.wall for run in runs)
        ratios = [other.cpu / run.cpu for run, other in zip(runs, found[base], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"{name:{width}}  {cpu:12,.0f}{wall:12,.0f}  {spread}")


def main(only: list[str]) -> None:
    """Starts a broker, fills it and runs the benchmarks named in `only`, or all."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    print(
        f"commit {commit.stdout.strip() or 'unknown'}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores"
        + (", real-time priority" if _ahead() else "")
    )
    print(f"{COUNT:,} events, {PARTITIONS} partitions, {ROUNDS} interleaved rounds; medians")
    ours = {
        "restore": restore,
        "serving": serving,
        "guard": overhead,
        "stall": stall,
    }  # these make their own events
    suites = {
        "throughput": throughput, "exactly_once": exactly_once, "routes": routes, "allocations": allocations,
        "latency": latency,
        "stateful": stateful, "engines": engines, "engines_latency": engines_latency, **ours,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "broker") as broker:
        bench = Bench(broker, Path(folder))
        if not only or set(only) - set(ours):
            bench.topic("events")
            bench.fill("events", COUNT)
        for name, suite in suites.items():
            if not only or name in only:
                print(f"\n== {name}: {(suite.__doc__ or '').splitlines()[0]}")
                suite(bench)  # type: ignore[operator]  # each takes the bench


if __name__ == "__main__":
    main(sys.argv[1:])
