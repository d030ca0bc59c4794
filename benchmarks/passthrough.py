"""The least a Python process can do: consume batches, write the same bytes, commit after delivery.

`python -m benchmarks.passthrough BOOTSTRAP SOURCE TARGET COUNT`
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.clients import consumer_config, producer_config


def main(bootstrap: str, source: str, target: str, count: int) -> None:
    consumer = Consumer(consumer_config(bootstrap, target))
    producer = Producer(producer_config(bootstrap))
    consumer.subscribe([source])
    done, committed = 0, time.monotonic()
    finished: dict[int, int] = {}
    while done < count:
        messages = consumer.consume(1000, 1.0)
        out = [{"key": m.key(), "value": m.value()} for m in messages]
        for message in messages:
            finished[message.partition()] = message.offset() + 1
        sent = producer.produce_batch(target, out) if out else 0
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
            offsets = [TopicPartition(source, p, o) for p, o in finished.items()]
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
            committed = time.monotonic()
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
