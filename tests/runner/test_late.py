"""Late events are counted by field, whatever else becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pointsman.base.records import Batch
from pointsman.runner.host import Host
from pointsman.runner.metrics import total
from pointsman.spec import load
from pointsman.state.memory import Stores

DOCUMENT = """version: 1
pipeline: p
source: {topics: [in], key: k, time: ts, fields: {k: string, ts: int}}
enrich:
  seen: {window: {key: k, over: 1h, count: true}}
  exact: {window: {key: k, over: 1m, count: true, bucket: exact}}
models: {m: {python: "m:f", inputs: {}}}
routes: [{name: all, use: m}]
"""
NOW = 1_760_000_000_000
MINUTE = 60_000


def test_late_events_are_counted_by_field(tmp_path: Path) -> None:
    """Once for each window that is past the event, one from ahead is not late."""
    (tmp_path / "p.yaml").write_text(DOCUMENT)
    (tmp_path / "m.py").write_text("def f(rows):\n    return [1 for _ in rows]\n")
    host = Host.open(load(tmp_path / "p.yaml"))
    host.state = Stores(host.policy.stores)
    minutes = [0, -2, -120, 500]
    values: list[Any] = [json.dumps({"k": "a", "ts": NOW + m * MINUTE}).encode() for m in minutes]
    n = len(values)
    columns: Any = ([b"a"] * n, ["in"] * n, [0] * n, list(range(n)), [NOW] * n, [None] * n)
    host.decide(Batch(values, *columns, NOW))
    counted = host.metrics.snapshot()
    late = "pointsman_late_events_total"
    assert [total(counted, late, field=field) for field in ("seen", "exact")] == [1, 2]
    host.close()
