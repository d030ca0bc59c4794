"""A little model behind a topic: reads requests, writes replies."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, Message, Producer

from kafka import SILENT, Kafka, unique

Answer = Callable[[Message, dict[str, bytes]], "list[tuple[bytes | None, dict[str, bytes]]]"]
"""From a request and its headers to the values and headers of its replies."""


@contextlib.contextmanager
def responding(broker: Kafka, requests: str, answer: Answer) -> Iterator[list[Message]]:
    """Answers the requests of a topic while the block runs; gives the requests seen so far."""
    seen: list[Message] = []
    stop = threading.Event()

    def run() -> None:
        config = {
            **broker.client_config,
            "group.id": unique("responder"),
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
        }
        consumer = Consumer(config, logger=SILENT)
        producer = Producer({**broker.client_config, "linger.ms": 0}, logger=SILENT)
        consumer.subscribe([requests])
        while not stop.is_set():
            message = consumer.poll(0.05)
            if message is None or message.error() is not None:
                continue
            seen.append(message)
            headers = dict(message.headers() or ())
            for value, more in answer(message, headers):
                producer.produce(headers["reply-topic"].decode(), value, headers=list(more.items()))
            producer.poll(0)
        producer.flush(10)
        consumer.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def marked(headers: dict[str, bytes], **more: bytes) -> dict[str, bytes]:
    """The headers of a reply: the request's correlation id, and others."""
    return {"correlation-id": headers["correlation-id"], **{n.replace("_", "-"): v for n, v in more.items()}}
