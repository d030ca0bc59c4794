"""The straightforward asyncio consumer: for each event one request to a V2 server, many at once.

python -m benchmarks.asyncloop BOOTSTRAP SOURCE TARGET COUNT ADDRESS AT_ONCE

It polls in a thread, awaits the requests of what it got together, writes the same decision record as
Pointsman and commits after delivery. It has no retry, no breaker and no fallback.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
from confluent_kafka import Consumer, Message, Producer

from benchmarks.clients import consumer_config, producer_config


async def decide(session: aiohttp.ClientSession, address: str, message: Message) -> dict[str, Any]:
    """The decision record of one event."""
    event = json.loads(message.value())
    data = [event["amount"], float(event["ts"] % 7)]
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 2], "data": data}
    body = {"id": event["txn_id"], "inputs": [tensor]}
    began = time.perf_counter()
    async with session.post(f"{address}/v2/models/linear/infer", json=body) as response:
        response.raise_for_status()
        reply = await response.json()
    score = reply["outputs"][0]["data"][0]
    took = round((time.perf_counter() - began) * 1000, 3)
    place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
    return {
        "v": 1,
        "id": event["txn_id"],
        "time": event["ts"],
        "decided_at": int(time.time() * 1000),
        "source": {**place, "key": message.key().decode()},
        "event": event,
        "metadata": {},
        "decision": {"route": "all", "strategy": "fixed", "model": "linear", "propensity": 1.0,
                     "reason": "default", "policy": "0@00000000"},
        "result": {"status": "ok", "model": "linear", "output": {"score": score}, "latency_ms": took},
    }  # fmt: skip


async def main(bootstrap: str, source: str, target: str, count: int, address: str, at_once: int) -> None:
    """Decides `count` events, up to `at_once` at a time."""
    consumer = Consumer(consumer_config(bootstrap, target))
    producer = Producer(producer_config(bootstrap))
    consumer.subscribe([source])
    done, committed = 0, time.monotonic()
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session:
        while done < count:
            messages = await asyncio.to_thread(consumer.consume, at_once, 0.05)
            messages = [message for message in messages if message.error() is None]
            records = await asyncio.gather(*(decide(session, address, message) for message in messages))
            for message, record in zip(messages, records, strict=True):
                producer.produce(target, json.dumps(record), message.key())
            producer.poll(0)
            done += len(messages)
            if time.monotonic() - committed >= 1.0:
                producer.flush()
                consumer.commit(offsets=consumer.position(consumer.assignment()))
                committed = time.monotonic()
    producer.flush()
    consumer.commit(offsets=consumer.position(consumer.assignment()), asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5], int(sys.argv[6])))
