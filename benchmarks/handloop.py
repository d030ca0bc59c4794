"""The straightforward loop a team would write by hand: batches, msgspec, plain ifs, the whole record.

`python -m benchmarks.handloop BOOTSTRAP SOURCE TARGET COUNT`
"""

from __future__ import annotations

import sys
import time

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.clients import consumer_config, producer_config


def route(event: dict) -> tuple[str, str]:
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


def large(amount: float) -> dict:  # noqa: ARG001  # as cheap as the models that Pointsman calls
    return {"score": 0.9}


def mobile(amount: float) -> dict:  # noqa: ARG001  # as above
    return {"score": 0.5}


def baseline(amount: float) -> dict:  # noqa: ARG001  # as above
    return {"score": 0.1}


MODELS = {"large": large, "mobile": mobile, "baseline": baseline}


def main(bootstrap: str, source: str, target: str, count: int) -> None:
    consumer = Consumer(consumer_config(bootstrap, target))
    producer = Producer(producer_config(bootstrap))
    consumer.subscribe([source])
    decode, encode = msgspec.json.decode, msgspec.json.encode
    done, committed = 0, time.monotonic()
    finished: dict[tuple[str, int], int] = {}
    while done < count:
        messages = consumer.consume(1000, 1.0)
        now = time.time_ns() // 1_000_000
        out = []
        for message in messages:
            event = decode(message.value())
            amount = event["amount"]
            risk = "high" if amount > 5000 else "medium" if amount > 1000 else "low"
            name, model = route(event)
            record = {
                "v": 1,
                "id": event["txn_id"],
                "time": event["ts"],
                "decided_at": now,
                "source": {
                    "topic": message.topic(),
                    "partition": message.partition(),
                    "offset": message.offset(),
                    "key": message.key().decode(),
                },
                "event": event,
                "metadata": {"risk_level": risk},
                "decision": {
                    "route": name,
                    "strategy": "fixed",
                    "model": model,
                    "propensity": 1.0,
                    "reason": "rule" if name != "otherwise" else "default",
                    "policy": "0@00000000",
                },
                "result": {
                    "status": "ok",
                    "model": model,
                    "output": MODELS[model](amount),
                    "latency_ms": 0.01,
                },
            }
            out.append({"key": event["user_id"], "value": encode(record)})
            finished[message.topic(), message.partition()] = message.offset() + 1
        if out:
            sent = producer.produce_batch(target, out)
            while sent < len(out):
                producer.poll(0.05)
                out = [m for m in out if "_error" in m]
                for m in out:
                    del m["_error"]
                sent = producer.produce_batch(target, out)
        producer.poll(0)
        done += len(messages)
        if time.monotonic() - committed > 1 or done >= count:
            producer.flush()
            offsets = [TopicPartition(t, p, o) for (t, p), o in finished.items()]
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
            committed = time.monotonic()
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
