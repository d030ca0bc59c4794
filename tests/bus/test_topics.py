"""Finding, creating and measuring the topics of a pipeline, on a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from kafka import Kafka, TopicFactory, unique
from pointsman.base.errors import EnvironmentFault
from pointsman.bus.client import MAX_RECORD_BYTES, client_config
from pointsman.bus.rights import Plan, rights
from pointsman.bus.topics import Topics


@pytest.fixture
def topics(broker: Kafka) -> Topics:
    """The topics of the session's broker."""
    return Topics(broker.client_config)


def test_a_derived_topic_takes_a_large_record_and_the_broker_s_time(broker: Kafka, topics: Topics) -> None:
    """What Pointsman creates has the source's partitions, log-append time and room for 16 MiB."""
    name = unique("p") + ".decisions"
    assert topics.ensure_derived([name, name], 3) == [name]
    assert topics.ensure_derived([name], 3) == []
    largest = topics.largest_record([name])
    assert largest == MAX_RECORD_BYTES
    failed: list[object] = []
    config = client_config(broker.client_config, "throughput", "producer")
    producer = Producer({**config, "on_delivery": lambda error, _: failed.append(error)})
    value = b"x" * (largest - 1000)
    producer.produce(name, value, b"k", timestamp=1000)
    assert producer.flush(60) == 0
    assert failed == []
    [found] = broker.consume_all(name)
    assert found.value() == value
    assert found.timestamp()[1] > 1000
    described = topics.describe([name, "absent"])
    assert described["absent"] is None
    topic = described[name]
    assert topic is not None
    assert (topic.partitions, topic.records) == (3, 1)


def test_a_topic_s_own_limit_bounds_the_record(broker: Kafka, topics: Topics, topic: TopicFactory) -> None:
    """The producer learns the smallest limit of its topics, and then refuses the record alone."""
    small = topic(config={"max.message.bytes": "2000"})
    largest = topics.largest_record([small])
    config = client_config(broker.client_config, "throughput", "producer")
    producer = Producer({**config, "message.max.bytes": largest})
    producer.produce(small, b"x" * (largest - 200))
    with pytest.raises(KafkaException, match="too large"):
        producer.produce(small, b"x" * 2000)
    assert producer.flush(30) == 0
    assert len(broker.consume_all(small)) == 1


def test_a_missing_source_topic_is_named_with_its_neighbours(topics: Topics, topic: TopicFactory) -> None:
    """A misspelt topic gives the near names and the commands that create it."""
    name = topic(partitions=2)
    assert topics.require_sources([name]) == 2
    with pytest.raises(EnvironmentFault, match=f"did you mean .*'{name}'.*pointsman topics --create"):
        topics.require_sources([name[:-1]])


def test_source_topics_must_agree_in_partitions(topics: Topics, topic: TopicFactory) -> None:
    """Topics of different partition counts cannot be one source."""
    one, two = topic(partitions=1), topic(partitions=2)
    with pytest.raises(EnvironmentFault, match=f"{one} has 1, {two} has 2"):
        topics.require_sources([one, two])


def test_lag_counts_from_what_was_committed(broker: Kafka, topics: Topics, topic: TopicFactory) -> None:
    """A group's lag is the end less its offset; without an offset it is the whole partition."""
    name, group = topic(partitions=2), unique("group")
    broker.produce(name, [(b"k", b"v", number) for number in (0, 0, 0, 1, 1)])
    consumer = Consumer(client_config({**broker.client_config, "group.id": group}, "latency", "consumer"))
    consumer.commit(offsets=[TopicPartition(name, 0, 2)], asynchronous=False)
    consumer.close()
    found = topics.lag(group, [name, "absent"])
    assert [(one.partition, one.committed, one.end, one.lag) for one in found] == [
        (0, 2, 3, 1),
        (1, None, 2, 2),
    ]


def test_rights_name_every_topic_of_the_pipeline() -> None:
    """Each role's rights come as the command that grants them."""
    found = rights(group="g", sources=["s"], decisions="p.decisions", dead_letters="p.dead-letters")
    assert {one.name for one in found} == {"g", "s", "p.decisions", "p.dead-letters"}
    assert found[0].command("User:me") == (
        "kafka-acls.sh --add --allow-principal User:me --topic s --operation Read --operation Describe"
    )


def test_rights_of_a_split_deployment() -> None:
    """Routers write requests and no decisions; dispatchers read one model's and reach its topics."""
    plan = Plan("m", "p.requests.m", "g.dispatch.m", ("ask",), ("answers",))
    found = rights(group="g", sources=["s"], decisions="p.d", dead_letters="p.x", plans=[plan])
    needs = {(one.role, one.name): one.operations for one in found}
    assert "Write" in needs["run --role route", "p.requests.m"]
    assert "Write" in needs["run --role route", "p.x"]
    assert needs["run --role route", "p.d"] == ("Describe",)
    role = "run --role dispatch --model m"
    assert {name for of, name in needs if of == role} == {
        *("p.requests.m", "g.dispatch.m", "s", "p.d", "p.x"),
        *("ask", "answers"),
    }
    assert "Read" in needs[role, "answers"]
    assert "Write" in needs[role, "ask"]
    assert needs["run", "ask"] == needs[role, "ask"]
    assert needs["topics --create --split", "p.requests.m"] == ("Create",)
