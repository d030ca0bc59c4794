"""The clients' properties, and what a person reads when a connection fails."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from kafka import Kafka, TopicFactory
from pointsman.base.errors import EnvironmentFault, Misfit
from pointsman.bus.client import OWNED, client_config, connect, opened
from pointsman.bus.faults import fault


def test_the_document_wins_over_the_profile() -> None:
    """A property of the document replaces the profile's; the group is the pipeline's name unless it says."""
    config = client_config({"linger.ms": "7"}, "throughput", "producer")
    assert (config["linger.ms"], config["compression.type"]) == ("7", "lz4")
    consumer = client_config({}, "latency", "consumer", pipeline="pay")
    assert (consumer["group.id"], consumer["bootstrap.servers"]) == ("pay", "localhost:9092")
    assert client_config({"group.id": "mine"}, "latency", "consumer", pipeline="pay")["group.id"] == "mine"
    assert client_config({}, "latency", "producer")["linger.ms"] == 0


@pytest.mark.parametrize("name", sorted({name for owned in OWNED.values() for name in owned}))
def test_what_a_guarantee_rests_on_is_refused(name: str) -> None:
    """A document may repeat our value of such a property, and not change it; the error points at its key."""
    value = next(owned[name][0] for owned in OWNED.values() if name in owned)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    client_config({name: text}, "throughput", "consumer")
    with pytest.raises(Misfit, match=f"'{name}' is Pointsman's own") as caught:
        client_config({name: "something else"}, "throughput", "admin")
    assert caught.value.path == ("kafka", name)


@pytest.mark.parametrize("kind", [Consumer, Producer])
def test_a_property_that_does_not_exist_is_named(kind: type) -> None:
    """librdkafka's own refusal becomes a finding at the property's key."""
    with pytest.raises(Misfit, match="No such configuration property") as caught:
        opened(kind, client_config({"lingr.ms": "7"}, "throughput", "consumer"))
    assert caught.value.path == ("kafka", "lingr.ms")


def test_nobody_answers() -> None:
    """After the time limit the error has the address, the reason and the command that starts a broker."""
    with pytest.raises(EnvironmentFault) as caught:
        connect({"bootstrap.servers": "127.0.0.1:1"}, seconds=0.5)
    text = str(caught.value)
    assert "no Kafka broker answers at 127.0.0.1:1 (127.0.0.1:1: Connect to 127.0.0.1:1 failed" in text
    assert "pointsman broker start" in text


def test_a_missing_right_names_the_thing_and_the_command() -> None:
    """An authorization error says what may not be used and how to see the rights that are needed."""
    error = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
    text = str(fault(error, {"bootstrap.servers": "b:1"}, "cannot join the group pay", "pay"))
    assert text.startswith("cannot join the group pay: no right to the group pay at b:1")
    assert text.endswith("'pointsman topics --acls' prints what rights are needed")


def test_records_lie_where_java_clients_look(broker: Kafka, topic: TopicFactory) -> None:
    """The partitioner is Java's murmur2: known keys go to known partitions."""
    name = topic(partitions=8)
    producer = Producer(client_config(broker.client_config, "throughput", "producer"))
    keys = [b"21", b"foobar", b"a-little-bit-long-string", *(b"U%d" % i for i in range(50))]
    for key in keys:
        producer.produce(name, b"", key)
    assert producer.flush(30) == 0
    found = {message.key(): message.partition() for message in broker.consume_all(name)}
    assert found == {key: _murmur2(key) % 8 for key in keys}


@pytest.mark.parametrize(
    ("key", "printed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)],
)
def test_the_hash_is_kafka_s(key: bytes, printed: int) -> None:
    """The numbers are those of Apache Kafka's own UtilsTest.testMurmur2."""
    assert _murmur2(key) == printed & 0x7FFFFFFF


def _murmur2(data: bytes) -> int:
    """Java's Utils.murmur2 with the sign bit cleared, as its partitioner uses it."""
    mix, mask = 0x5BD1E995, 0xFFFFFFFF
    value = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for place in range(0, whole, 4):
        word = int.from_bytes(data[place : place + 4], "little") * mix & mask
        word = (word ^ word >> 24) * mix & mask
        value = (value * mix & mask) ^ word
    if data[whole:]:
        value = (value ^ int.from_bytes(data[whole:], "little")) * mix & mask
    value = (value ^ value >> 13) * mix & mask
    return (value ^ value >> 15) & 0x7FFFFFFF
