"""Topics behind a REST proxy: a stand-in written from the API's documentation, and the real broker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kafka import Kafka, TopicFactory
from model.faults import FaultyServer, faulty
from model.kafka.proxy import CLUSTER, Proxy
from model.kafka.subjects import ROWS, SUBJECTS
from model.rest.subjects import AB, Common, opening
from pointsman.base.errors import InvalidInput, ModelInternal, ModelRefused
from pointsman.model.base import DISPATCHED
from pointsman.model.remote import Ask, Health
from pointsman.model.testing import BEHAVIOURS, Behaviour, behaviours_of, check

PAIRS = [(api, one) for api, (subject, _) in SUBJECTS.items() for one in behaviours_of(subject)]


@pytest.mark.parametrize(("api", "behaviour"), PAIRS, ids=[f"{api}-{one}" for api, one in PAIRS])
def test_behaviour(api: str, behaviour: Behaviour) -> None:
    """It has every behaviour of the conformance suite that it does not say it lacks."""
    subject, stand = SUBJECTS[api]
    asyncio.run(check(behaviour, subject, stand))


def test_what_is_lacking_is_a_behaviour() -> None:
    """A reason is given only for what the suite knows."""
    assert {name for subject, _ in SUBJECTS.values() for name in subject.lacks} <= set(BEHAVIOURS)


def asked(proxy: Proxy, rows: list[Any], common: Common | None = None, **own: Any) -> Any:
    """The replies, and the requests that the proxy saw."""

    async def once() -> tuple[Any, FaultyServer]:
        async with faulty(proxy.speaker) as server:
            model = opening("kafka_rest", server.address, None, common or Common(), **own)
            try:
                ids = [f"e{n}" for n in range(len(rows))]
                return await model.request(rows, Ask(20.0, ids, {"traceparent": "00-1-2-01"})), server
            finally:
                await model.close()

    return asyncio.run(once())


@pytest.mark.parametrize("api", ["v2", "v3"])
def test_the_record_is_what_a_kafka_client_would_write(broker: Kafka, topic: TopicFactory, api: str) -> None:
    """Key and value arrive in the topic byte for byte; with v3, so do the id and the trace."""
    name = topic()
    event = {"id": "e0", "time": 5, "key": "ü", "event": {"amount": 2.5}, "metadata": {}}
    proxy = Proxy(
        lambda place, key, value, headers: broker.produce(
            place, [(key, value)], headers=list(headers.items())
        )
    )
    replies, _ = asked(proxy, [event], topic=name, api=api)
    assert replies == [DISPATCHED]
    (record,) = broker.consume_all(name)
    assert record.key() == "ü".encode()
    assert json.loads(record.value()) == event
    headers = dict(record.headers() or ())
    expected = {"pointsman-id": b"e0", "traceparent": b"00-1-2-01"} if api == "v3" else {}
    assert headers == expected


def test_without_a_key_the_id_is_the_key() -> None:
    """With inputs, the value is the inputs by name, and the key is the event's id."""
    seen: list[Any] = []
    proxy = Proxy(lambda *record: seen.append(record))
    asked(proxy, [(1.0, 2.0)], Common(AB), topic="t", api="v2")
    assert seen == [("t", b"e0", b'{"a":1.0,"b":2.0}', {})]


def test_v2_tells_of_each_record() -> None:
    """One record that the brokers did not take fails alone: refused where it may pass, else internal."""
    proxy = Proxy()
    proxy.per_record = {b'{"a":3.0,"b":4.0}': (2, "try again"), b'{"a":0.5,"b":0.25}': (1, "too large")}
    rows = [*ROWS, ("\ud800", 1.0)]
    replies, server = asked(proxy, rows, Common(AB), topic="t", api="v2")
    assert [type(one) for one in replies[1:]] == [ModelRefused, ModelInternal, InvalidInput]
    assert [replies[0], str(replies[1])] == [DISPATCHED, "error 2: try again"]
    assert len(server.requests) == 1


def test_v3_asks_for_the_cluster_once() -> None:
    """The cluster's id is the document's, else what the proxy names at the first request."""
    _, server = asked(Proxy(), [ROWS[0]], Common(AB), topic="t")
    assert [path for _, path, _, _ in server.requests] == [
        "/v3/clusters",
        f"/v3/clusters/{CLUSTER}/topics/t/records",
    ]
    _, server = asked(Proxy(), [ROWS[0]], Common(AB), topic="t", cluster=CLUSTER)
    assert len(server.requests) == 1


def test_v3_may_fail_inside_of_a_good_answer() -> None:
    """A status of 200 with another error code is a failure, of the class of that code."""
    with pytest.raises(ModelRefused, match="does not host"):
        asked(Proxy(), [ROWS[0]], Common(AB), topic="absent")


@pytest.mark.parametrize("api", ["v2", "v3"])
def test_health_asks_for_the_topic(api: str) -> None:
    """A topic that is not there is not ready, with the proxy's reason."""

    async def once() -> Health:
        async with faulty(Proxy().speaker) as server:
            model = opening("kafka_rest", server.address, None, Common(), topic="absent", api=api)
            try:
                return await model.health()
            finally:
                await model.close()

    health = asyncio.run(once())
    assert not health.ready
    assert "does not host" in health.why
