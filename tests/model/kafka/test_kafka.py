"""Models behind topics, on a real broker, with a little model that replies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from kafka import SILENT, Kafka, TopicFactory
from model.kafka.responder import marked, responding
from pointsman.base.errors import Misfit, ModelError, ModelRefused, ModelTimeout
from pointsman.model import kafka_link
from pointsman.model.base import DISPATCHED
from pointsman.model.kafka import KafkaModel
from pointsman.model.kafka_link import KafkaLink
from pointsman.model.remote import Ask

EVENT = {"id": "e1", "time": 5, "key": "u1", "event": {"amount": 2.5}, "metadata": {"risk": "low"}}


def opened(broker: Kafka, inputs: tuple[str, ...] | None = ("amount",), **keys: Any) -> KafkaModel:
    """A model behind a topic of the session's broker."""
    common: Any = SimpleNamespace(
        inputs=None if inputs is None else dict.fromkeys(inputs), version=None, timeout=30.0, model=None
    )
    model = KafkaModel.open("m", KafkaModel.Config(**keys), common, Path(), None)
    model.connect(broker.client_config)
    return model


def running(model: KafkaModel, work: Callable[[], Awaitable[Any]]) -> Any:
    """Runs `work` in an event loop and closes the model there."""

    async def run() -> Any:
        try:
            return await work()
        finally:
            await model.close()

    return asyncio.run(run())


def ask(timeout: float = 30.0, ident: str = "e1", **trace: str) -> Ask:
    """What one attempt is told."""
    return Ask(timeout, (ident,), trace)


def doubled(message: Any, headers: dict[str, bytes]) -> list[Any]:
    """Answers with twice the amount."""
    amount = json.loads(message.value())["amount"]
    return [(json.dumps({"score": amount * 2}).encode(), marked(headers))]


def test_requests_find_their_replies(broker: Kafka, topic: TopicFactory) -> None:
    """Many requests under way at once each get the reply of their own, over several partitions."""
    model = opened(broker, kafka=topic(3), reply=topic(3))

    async def work() -> list[Any]:
        calls = [model.request([(float(n),)], ask(ident=f"e{n}")) for n in range(200)]
        return [reply for replies in await asyncio.gather(*calls) for reply in replies]

    with responding(broker, model._config.kafka, doubled):
        assert running(model, work) == [{"score": n * 2.0} for n in range(200)]


def test_a_request_says_who_asks_what_until_when(broker: Kafka, topic: TopicFactory) -> None:
    """Key, value and headers hold what a model needs to answer, and the trace."""
    requests, replies = topic(), topic()
    model = opened(broker, None, kafka=requests, reply=replies)

    async def work() -> None:
        await model.request([EVENT], ask(traceparent="00-1-2-01"))

    with responding(broker, requests, lambda _, headers: [(b"1", marked(headers))]) as seen:
        running(model, work)
    (request,) = seen
    headers = dict(request.headers())
    assert (request.key(), json.loads(request.value())) == (b"u1", EVENT)
    assert headers["reply-topic"] == replies.encode()
    assert headers["pointsman-id"] == b"e1"
    assert headers["traceparent"] == b"00-1-2-01"
    assert 0 < int(headers["pointsman-deadline"]) - request.timestamp()[1] <= 30_000
    assert headers["correlation-id"]


def test_only_what_was_asked_for_is_used(broker: Kafka, topic: TopicFactory) -> None:
    """Old replies are not read; those of another worker, of another life, or twice are not used."""
    requests, replies = topic(), topic()
    broker.produce(replies, ["old"], headers=[("correlation-id", b"x-1")])
    model = opened(broker, kafka=requests, reply=replies)

    def answer(_: Any, headers: dict[str, bytes]) -> list[Any]:
        return [
            (b'"foreign"', {"correlation-id": b"0000000000000000-1"}),
            (b'"unmarked"', {}),
            (b'"of our epoch, never asked"', {"correlation-id": headers["correlation-id"] + b"9"}),
            (b'"right"', marked(headers)),
            (b'"twice"', marked(headers)),
        ]

    async def work() -> list[Any]:
        first = await model.request([(1.0,)], ask())
        second = await model.request([(1.0,)], ask())
        return [*first, *second]

    with responding(broker, requests, answer):
        assert running(model, work) == ["right", "right"]


def test_discarded_replies_are_counted(broker: Kafka, topic: TopicFactory) -> None:
    """Each way of being useless has its count."""
    requests, replies = topic(), topic()
    model = opened(broker, kafka=requests, reply=replies)

    def answer(_: Any, headers: dict[str, bytes]) -> list[Any]:
        return [
            (b"1", {"correlation-id": b"0000000000000000-1"}),
            (b"2", {}),
            (b"3", {"correlation-id": headers["correlation-id"] + b"9"}),
            (b"4", marked(headers)),
        ]

    async def work() -> Any:
        assert await model.request([(1.0,)], ask()) == [4]
        return dict(model.discarded)

    with responding(broker, requests, answer):
        assert running(model, work) == {(replies, why): 1 for why in ("late", "foreign", "unmarked")}


def test_no_reply_in_time_is_a_timeout_and_its_reply_is_late(broker: Kafka, topic: TopicFactory) -> None:
    """What nobody answered in time fails; the reply that comes after all is counted and given to nobody."""
    requests, replies = topic(), topic()
    model = opened(broker, kafka=requests, reply=replies)
    kept: list[dict[str, bytes]] = []

    def answer(_: Any, headers: dict[str, bytes]) -> list[Any]:
        kept.append(headers)
        if len(kept) == 1:
            return []
        return [(b'"late"', marked(kept[0])), (b'"in time"', marked(headers))]

    async def work() -> Any:
        with pytest.raises(ModelTimeout, match=r"no reply within 1 s"):
            await model.request([(1.0,)], ask(timeout=1.0))
        assert await model.request([(2.0,)], ask()) == ["in time"]
        return model.discarded, model.late

    with responding(broker, requests, answer):
        assert running(model, work) == ({(replies, "late"): 1}, 1)


@pytest.mark.parametrize(
    ("value", "headers", "failure", "told"),
    [
        (b"{", {}, "invalid_reply", "(1 bytes) is not JSON"),
        (b"\xff", {}, "invalid_reply", "is not JSON"),
        (None, {}, "invalid_reply", "has no value"),
        (
            b"amount is\nnegative",
            {"pointsman_error": b"invalid_input"},
            "invalid_input",
            "amount is negative",
        ),
        (b"full", {"pointsman_error": b"overloaded"}, "overloaded", "full"),
        (b"", {"pointsman_error": b"unheard-of"}, "internal", "names a failure"),
    ],
)
def test_a_reply_that_fails(
    broker: Kafka,
    topic: TopicFactory,
    value: bytes | None,
    headers: dict[str, bytes],
    failure: str,
    told: str,
) -> None:
    """A reply may say that it failed and how; one that is not JSON is an invalid reply."""
    model = opened(broker, kafka=topic(), reply=topic())

    async def work() -> None:
        await model.request([(1.0,)], ask())

    with (
        responding(broker, model._config.kafka, lambda _, got: [(value, marked(got, **headers))]),
        pytest.raises(ModelError) as caught,
    ):
        running(model, work)
    assert caught.value.failure == failure
    assert told in str(caught.value)


def test_a_reply_names_its_version(broker: Kafka, topic: TopicFactory) -> None:
    """The version that answered is the result's."""
    model = opened(broker, kafka=topic(), reply=topic())

    async def work() -> None:
        await model.request([(1.0,)], ask())

    with responding(
        broker,
        model._config.kafka,
        lambda _, headers: [(b"1", marked(headers, pointsman_model_version=b"7"))],
    ):
        running(model, work)
    assert model.version == "7"


def test_without_a_reply_topic_the_event_is_dispatched(broker: Kafka, topic: TopicFactory) -> None:
    """Once the brokers have the request, nothing more is waited for."""
    requests = topic()
    model = opened(broker, kafka=requests)

    async def work() -> Any:
        return await model.request([(2.5,)], ask())

    assert running(model, work) == [DISPATCHED]
    (request,) = broker.consume_all(requests)
    assert (request.key(), request.value()) == (b"e1", b'{"amount":2.5}')
    assert "reply-topic" not in dict(request.headers())


def test_models_of_a_worker_share_their_clients(broker: Kafka, topic: TopicFactory) -> None:
    """Two models with the same properties have one producer and one consumer, which end with the last."""
    replies = topic()
    first = opened(broker, kafka=topic(), reply=replies)
    second = opened(broker, kafka=topic(), reply=topic())

    async def work() -> None:
        assert await first.request([(1.0,)], ask()) == [{"score": 2.0}]
        assert await second.request([(2.0,)], ask()) == [{"score": 4.0}]
        assert first._link is second._link
        await first.close()
        assert await second.request([(3.0,)], ask()) == [{"score": 6.0}]

    with (
        responding(broker, first._config.kafka, doubled),
        responding(broker, second._config.kafka, doubled),
    ):
        running(second, work)


def test_a_reply_topic_that_is_not_there_is_refused(broker: Kafka, topic: TopicFactory) -> None:
    """The request is not even written: nobody could hear the answer. Once it is there, requests go."""
    requests, replies = topic(), "absent-" + topic()
    model = opened(broker, kafka=requests, reply=replies)

    async def work() -> Any:
        with pytest.raises(ModelRefused, match="there is no topic 'absent-"):
            await model.request([(1.0,)], ask())
        assert (await model.health()).why == f"there is no topic '{replies}'"
        await asyncio.to_thread(broker.create_topic, replies)
        while True:
            try:
                return await model.request([(1.0,)], ask())
            except ModelRefused:
                await asyncio.sleep(0.05)

    with responding(broker, requests, doubled) as seen:
        assert running(model, work) == [{"score": 2.0}]
    assert len(seen) == 1


def test_health_is_that_the_topics_are_there(broker: Kafka, topic: TopicFactory) -> None:
    """Both topics are there: ready."""
    model = opened(broker, kafka=topic(), reply=topic())
    assert running(model, model.health).ready


def test_no_broker_is_refused() -> None:
    """Without a broker, an attempt ends in its time and the model closes."""
    model = opened(Kafka({"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": "500"}), kafka="t")

    async def work() -> Any:
        return await model.request([(1.0,)], ask(timeout=20))

    with pytest.raises(ModelRefused, match="cannot be written"):
        running(model, work)


def test_closing_ends_what_waits(broker: Kafka, topic: TopicFactory) -> None:
    """A request under way when the model closes is refused, not left hanging."""
    model = opened(broker, kafka=topic(), reply=topic())

    async def work() -> None:
        waiting = asyncio.ensure_future(model.request([(1.0,)], ask(timeout=600)))
        while not (model._link and model._link._pending):
            assert not waiting.done(), waiting.result()
            await asyncio.sleep(0.01)
        await model.close()
        with pytest.raises(ModelRefused, match="closed"):
            await waiting

    running(model, work)


def test_a_request_that_is_given_up_leaves_nothing(broker: Kafka, topic: TopicFactory) -> None:
    """Cancelling a request forgets its correlation id."""
    model = opened(broker, kafka=topic(), reply=topic())

    async def work() -> None:
        waiting = asyncio.ensure_future(model.request([(1.0,)], ask(timeout=600)))
        while not (model._link and model._link._pending):
            assert not waiting.done(), waiting.result()
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert model._link._pending == {}

    running(model, work)


def test_what_cannot_be_is_said_when_opened(broker: Kafka) -> None:
    """Requests and replies need topics of their own."""
    with pytest.raises(Misfit, match="same topic"):
        opened(broker, kafka="a", reply="a")


def test_own_properties_win(topic: TopicFactory, broker: Kafka) -> None:
    """A model may live on other brokers than the events; a wrong property is refused without its value."""
    model = opened(
        Kafka({"bootstrap.servers": "127.0.0.1:1"}), kafka=topic(), properties=dict(broker.client_config)
    )
    assert running(model, lambda: model.request([(1.0,)], ask())) == [DISPATCHED]
    wrong = opened(broker, kafka="t", properties={"no.such.property": "s3cret"})
    with pytest.raises(ModelRefused, match=r"no\.such\.property") as caught:
        running(wrong, lambda: wrong.request([(1.0,)], ask()))
    assert "s3cret" not in str(caught.value)


def test_a_reply_without_value_is_told_apart_from_null(broker: Kafka, topic: TopicFactory) -> None:
    """JSON's null is a reply."""
    model = opened(broker, kafka=topic(), reply=topic())
    with responding(broker, model._config.kafka, lambda _, headers: [(b"null", marked(headers))]):
        assert running(model, lambda: model.request([(1.0,)], ask())) == [None]


def test_a_reader_that_fails_is_told_and_replaced(
    broker: Kafka, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the consumer dies, who waits is refused, and the next request reads replies again."""
    requests = topic()
    model = opened(broker, kafka=requests, reply=topic())
    take = KafkaLink._take

    def dies(_link: KafkaLink, _messages: Any) -> None:
        monkeypatch.setattr(KafkaLink, "_take", take)
        raise RuntimeError("out of luck")

    async def work() -> Any:
        monkeypatch.setattr(KafkaLink, "_take", dies)
        with pytest.raises(ModelRefused, match="replies cannot be read: out of luck"):
            await model.request([(1.0,)], ask())
        return await model.request([(2.0,)], ask())

    with responding(broker, requests, doubled):
        assert running(model, work) == [{"score": 4.0}]


def test_an_added_partition_is_read_too(
    broker: Kafka, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies in a partition that came later find their requests."""
    monkeypatch.setattr(kafka_link, "_LOOK", 0.05)
    requests, replies = topic(), topic()
    model = opened(broker, kafka=requests, reply=replies)

    def answer(_: Any, headers: dict[str, bytes]) -> list[Any]:
        if not grown:
            return [(b"1", marked(headers))]
        broker.produce(replies, [(None, b"2", 1)], headers=list(marked(headers).items()))
        return []

    async def work() -> Any:
        await model.request([(1.0,)], ask())
        admin = AdminClient({**broker.client_config}, logger=SILENT)
        await asyncio.to_thread(admin.create_partitions([NewPartitions(replies, 2)])[replies].result, 30)
        grown.append(True)
        return await model.request([(2.0,)], ask())

    grown: list[bool] = []
    with responding(broker, requests, answer):
        assert running(model, work) == [2]
