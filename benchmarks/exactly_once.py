"""What exactly once costs: the whole event path in transactions of 100 ms, against at least once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.measure import Usage, measured
from benchmarks.workload import document

if TYPE_CHECKING:
    from benchmarks.__main__ import Bench

__all__ = ["run"]


def run(bench: Bench, delivery: str, count: int) -> Usage:
    """Runs the ten routes with that delivery."""
    target = bench.target()
    bench.topic(f"{target}-dead")
    text = document(10, "events", target, bench.bootstrap)
    path = bench.folder / f"{target}.yaml"
    path.write_text(f"{text}delivery: {delivery}\n")
    command = [sys.executable, "-m", "pointsman.cli.main", "run", str(path), "--max-events", str(count)]
    return measured([*command, "--instance", target], bench.folder)
