"""Python objects that the event path leaves behind and allocates for each event."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

from benchmarks.workload import document, events
from pointsman.base.records import Batch

if TYPE_CHECKING:
    from benchmarks.bench import Bench

BATCH = 1000


def allocations(bench: Bench) -> None:
    """Memory blocks alive after deciding and finishing a batch, for each event."""
    from pointsman.engine.build import build
    from pointsman.engine.decide import decide
    from pointsman.engine.finish import finish
    from pointsman.spec import load

    path = bench.folder / "allocations.yaml"
    path.write_text(document(10, "events", "none", bench.bootstrap))
    policy = build(load(path))
    pairs = list(events(BATCH))

    def batch() -> Batch:
        return Batch(
            values=[value for _, value in pairs],
            keys=[key for key, _ in pairs],
            topics=["events"] * BATCH,
            partitions=[0] * BATCH,
            offsets=list(range(BATCH)),
            timestamps=[1_760_000_000_000] * BATCH,
            headers=[None] * BATCH,
            now_ms=1_760_000_000_000,
        )

    def once() -> object:
        decided = decide(batch(), {}, policy)
        for call in decided.calls:
            finish(decided, call, [{"score": 0.5}] * len(call.rows), 1.0)
        return decided.values

    once()
    before = sys.getallocatedblocks()
    kept = once()
    blocks = (sys.getallocatedblocks() - before) / BATCH
    tracemalloc.start()
    once()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept
    print(f"\nblocks kept for each event (its record and key): {blocks:.1f}")
    print(f"peak bytes for each event of a batch: {peak / BATCH:,.0f}")
