"""What the chaos suite runs: a pipeline with windows, its models, and a stream of awkward events."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["BEGIN_MS", "MODELS", "Sent", "document", "events"]

BEGIN_MS = 1_760_000_000_000
PARTITIONS = 4
USERS = 40

MODELS = '''"""Models of the chaos pipeline; how slow the slow one is stands in a file beside this one."""

import time
from pathlib import Path

SLOW = Path(__file__).with_name("slow")


def fast(rows):
    return [{"score": row["amount"] / 1000} for row in rows]


def slow(rows):
    try:
        time.sleep(float(SLOW.read_text()))
    except (OSError, ValueError):
        pass
    return [{"score": 1.0} for _ in rows]


def failing(rows):
    raise RuntimeError("this model always fails")
'''


def document(name: str, bootstrap: str, delivery: str, limit: int) -> str:
    """The pipeline; `limit` is what a change of the policy changes."""
    return f"""version: 1
pipeline: {name}
delivery: {delivery}
kafka: {{bootstrap.servers: "{bootstrap}", session.timeout.ms: 6000, heartbeat.interval.ms: 500}}
source:
  topics: [{name}]
  key: user_id
  id: txn_id
  time: ts
  fields: {{txn_id: string, user_id: string, device: string, amount: double, ts: int}}
enrich:
  spend:
    window:
      key: user_id
      over: 1h
      aggregate: {{total: {{sum: amount}}, n: count, devices: {{distinct: device}}}}
  big: {{window: {{key: user_id, over: 10m, where: amount > 500.0, count: true, bucket: exact}}}}
  hourly: {{window: {{key: user_id, every: 1h, max: amount}}}}
models:
  fast: {{python: "chaosmodels:fast", inputs: {{amount: amount}}}}
  slow: {{python: "chaosmodels:slow", inputs: {{amount: amount}}, timeout: 20s}}
  failing: {{python: "chaosmodels:failing", inputs: {{amount: amount}}}}
  helped:
    python: "chaosmodels:failing"
    inputs: {{amount: amount}}
    fallback: [{{constant: {{score: 0.5}}}}]
routes:
  - {{name: toaster, when: device == "toaster", use: failing}}
  - {{name: many, when: spend.n > {limit}, use: helped}}
  - {{name: heavy, when: spend.total > 4000.0, use: slow}}
  - {{name: otherwise, use: fast}}
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """One record of the source topic, as it is produced."""

    key: bytes
    value: bytes
    timestamp: int


def events(seed: int, count: int) -> Iterator[Sent]:
    """Payments in rough order, with late ones, ones from the future, missing fields, and poison."""
    draw = random.Random(seed)
    now = BEGIN_MS
    for n in range(count):
        now += draw.randrange(4000)
        when = now
        user = f"U{draw.randrange(USERS)}"
        kind = draw.random()
        if kind < 0.15:
            when -= draw.randrange(50 * 60_000)  # out of order, within the window
        elif kind < 0.18:
            when -= 70 * 60_000  # late, and not so old that its key may have been dropped as idle
        elif kind < 0.19:
            when += 5 * 3_600_000  # ahead of its record
        event: dict[str, object] = {
            "txn_id": f"t-{n}",
            "user_id": user,
            "device": draw.choice(
                ("iOS", "Android", "web", "web", "toaster" if draw.random() < 0.2 else "tv")
            ),
            "amount": draw.randrange(4, 4000) / 4,
            "ts": when,
        }
        if draw.random() < 0.03:
            del event["amount"]
        elif draw.random() < 0.02:
            event["amount"] = "much"
        value = json.dumps(event).encode()
        if draw.random() < 0.02:
            value = draw.choice((b"{not json", b'"text"', b"\xff\xfe", b""))
        yield Sent(user.encode(), value, now)
