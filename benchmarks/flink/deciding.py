"""What PyFlink's worker process does with each event: the rules, the record, and a window in ValueState.

In a module of its own: functions of the main program are pickled with all it has.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, ProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueState, ValueStateDescriptor

decode, encode = msgspec.json.decode, msgspec.json.encode

BUCKET_MS, BUCKETS = 60_000, 60
ENTRY = struct.Struct("<qid")
SCORES = {"large": {"score": 0.9}, "mobile": {"score": 0.5}, "baseline": {"score": 0.1}}


def route(event: dict[str, Any]) -> tuple[str, str]:
    """The route and its model."""
    location, amount, device = event["location"], event["amount"], event["device"]
    if location == "Singapore" and amount > 0:
        return "r0", "large"
    if location == "Berlin" and amount > 100:
        return "r1", "mobile"
    if location == "Lagos" and amount > 200:
        return "r2", "baseline"
    if location == "Lima" and amount > 300:
        return "r3", "large"
    if location == "Osaka" and amount > 400:
        return "r4", "mobile"
    if location == "Austin" and amount > 500:
        return "r5", "baseline"
    if location == "Paris" and amount > 600:
        return "r6", "large"
    if location == "Quito" and amount > 700:
        return "r7", "mobile"
    if device == "iOS":
        return "ios", "mobile"
    return "otherwise", "baseline"


def record(
    event: dict[str, Any], topic: str, partition: int, offset: int, key: str, metadata: dict[str, Any]
) -> bytes:
    """The decision record."""
    name, model = route(event)
    amount = event["amount"]
    risk = "high" if amount > 5000 else "medium" if amount > 1000 else "low"
    return encode(
        {
            "v": 1,
            "id": event["txn_id"],
            "time": event["ts"],
            "decided_at": time.time_ns() // 1_000_000,
            "source": {"topic": topic, "partition": partition, "offset": offset, "key": key},
            "event": event,
            "metadata": {"risk_level": risk, **metadata},
            "decision": {
                "route": name,
                "strategy": "fixed",
                "model": model,
                "propensity": 1.0,
                "reason": "rule" if name != "otherwise" else "default",
                "policy": "0@00000000",
            },
            "result": {"status": "ok", "model": model, "output": SCORES[model], "latency_ms": 0.01},
        }
    )


class DecideValue(ProcessFunction):
    """From the value alone, which is all that PyFlink's Kafka source gives: the place is made up."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def process_element(self, value: str, _: ProcessFunction.Context) -> Iterator[str]:
        """Decides one event."""
        event = decode(value)
        yield record(event, self._topic, 0, 0, event["user_id"], {}).decode()


class Decide(ProcessFunction):
    """From key, value and place, as a table's source gives them."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def process_element(self, value: Row, _: ProcessFunction.Context) -> Iterator[Row]:
        """Decides one event."""
        key, content, partition, offset = value
        yield Row(key, record(decode(content), self._topic, partition, offset, key, {}).decode())


class DecideKeyed(KeyedProcessFunction):
    """With a look-up, and a window of an hour in ValueState: one get and one put for each event."""

    def __init__(self, topic: str, customers: str) -> None:
        self._topic = topic
        self._customers = customers
        self._segments: dict[str, str] = {}
        self._spend: ValueState

    def open(self, runtime_context: RuntimeContext) -> None:
        """Reads the table."""
        lines = Path(self._customers).read_text().splitlines()
        self._segments = dict(line.split(",") for line in lines[1:])
        descriptor = ValueStateDescriptor("spend", Types.PICKLED_BYTE_ARRAY())
        self._spend = runtime_context.get_state(descriptor)

    def process_element(self, value: Row, _: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Decides one event."""
        key, content, partition, offset = value
        event = decode(content)
        metadata = {
            "segment": self._segments.get(event["user_id"], "new"),
            "spend": self._window(event["amount"], event["ts"]),
        }
        yield Row(key, record(event, self._topic, partition, offset, key, metadata).decode())

    def _window(self, amount: float, now: int) -> dict[str, Any]:
        """Sub-buckets of a minute, those of the last hour."""
        bucket = now // BUCKET_MS
        count, total = 1, amount
        own, kept = (bucket, 1, amount), []
        for entry in ENTRY.iter_unpack(self._spend.value() or b""):
            if entry[0] <= bucket - BUCKETS:
                continue
            count += entry[1]
            total += entry[2]
            if entry[0] == bucket:
                own = (bucket, entry[1] + 1, entry[2] + amount)
            else:
                kept.append(entry)
        self._spend.update(b"".join(ENTRY.pack(*entry) for entry in (*kept, own)))
        return {"total": total, "n": count}
