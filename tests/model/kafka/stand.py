"""A model behind topics on the real broker, as the conformance suite takes one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from confluent_kafka import Message

from kafka import Kafka, unique
from model.kafka.responder import marked, responding
from model.rest.subjects import AB, ROWS, SCORES, Common
from pointsman.model.endpoint import EndpointKeys
from pointsman.model.kafka import KafkaModel
from pointsman.model.remote import RemoteModel
from pointsman.model.testing import Subject

__all__ = ["SUBJECT", "standing"]

ONE_ROW = "A request carries one row."
TRIES_ON = "librdkafka tries until the attempt's time is over, which is then `timeout`."
NO_TYPE = "Records have no content type."
DISCARDED = "A reply with another correlation id is discarded and counted; the request waits on."
OF_KAFKA = "Credentials and connections are the Kafka client's."
FAILURES = {name: (f"says {name}",) for name in ("invalid_input", "refused", "internal")}


def opened(address: str, _keys: EndpointKeys | None) -> RemoteModel:
    """A model at an address such as `kafka://localhost:9092/suite-5`; its path begins its topics' names."""
    servers, _, name = address.removeprefix("kafka://").partition("/")
    config = KafkaModel.Config(kafka=f"{name}.requests", reply=f"{name}.replies")
    model = KafkaModel.open("m", config, Common(AB), Path(), None)
    model.connect({"bootstrap.servers": servers})
    return model


SUBJECT = Subject(
    "kafka",
    opened,
    ROWS,
    [{"score": score} for score in SCORES],
    bad=("\ud800", 1.0),
    version="4",
    lacks={
        "batch": ONE_ROW,
        "dtypes": "The protocol has no tensors; values go as JSON.",
        "slow bytes": "A record comes whole or not at all.",
        "refused": TRIES_ON,
        "unreachable": TRIES_ON,
        "reset": TRIES_ON,
        "truncated": "A record comes whole or not at all.",
        "wrong type": NO_TYPE,
        "wrong id": DISCARDED,
        "wrong length": ONE_ROW,
        "too large": "The brokers bound the size of records.",
        "class overloaded": "A reply may say that it is overloaded, and not for how long.",
        "credentials": OF_KAFKA,
        "metadata": "Topics declare no inputs.",
        "not ready": "Whether somebody reads the requests, nobody can say.",
        "close": OF_KAFKA,
    },
)


class KafkaStand:
    """A replying consumer that misbehaves on demand."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.faults = frozenset(("hang", "garbage", "seen", "echo_secret", *(f"class {n}" for n in FAILURES)))
        self.failures: Mapping[str, tuple[str, ...]] = FAILURES
        self.fault = ""
        self.last: dict[str, str] = {}

    def misbehave(self, fault: str) -> None:
        """From now on."""
        self.fault = fault

    def headers(self) -> Mapping[str, str]:
        """Those of the last request."""
        return self.last

    async def left(self) -> None:
        """Not told."""
        raise NotImplementedError

    def answer(self, message: Message, headers: dict[str, bytes]) -> list[Any]:
        """The replies to a request."""
        self.last = {name: value.decode() for name, value in headers.items()}
        if self.fault == "hang":
            return []
        if self.fault == "garbage":
            return [(b"\x00{]", marked(headers))]
        if self.fault.startswith("says "):
            return [(b"so it is", marked(headers, pointsman_error=self.fault[5:].encode()))]
        row = json.loads(message.value())
        reply = {"score": 2 * row["a"] + 3 * row["b"] + 1}
        return [(json.dumps(reply).encode(), marked(headers, pointsman_model_version=b"4"))]


def standing(broker: Kafka) -> Callable[[], AbstractAsyncContextManager[KafkaStand]]:
    """Stands on the session's broker, with topics of their own."""

    @contextlib.asynccontextmanager
    async def stand() -> AsyncIterator[KafkaStand]:
        name = unique("suite")
        made = KafkaStand(f"kafka://{broker.bootstrap}/{name}")
        requests = broker.create_topic(f"{name}.requests")
        broker.create_topic(f"{name}.replies")
        with responding(broker, requests, made.answer):
            yield made

    return stand
