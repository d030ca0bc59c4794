"""The local broker: a real Kafka that starts, survives a crash and stops."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from kafka import SILENT, Kafka, TopicFactory
from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local import LocalBroker


def test_what_is_written_can_be_read(broker: Kafka, topic: TopicFactory) -> None:
    """Records come back from all partitions with key, value and headers."""
    name = topic(partitions=3)
    broker.produce(name, [(f"k{i}", f"v{i}") for i in range(20)], headers={"h": "1"})
    found = broker.consume_all(name)
    assert sorted(m.key() for m in found) == sorted(f"k{i}".encode() for i in range(20))
    assert found[0].headers() == [("h", b"1")]


def test_topics_are_not_created_by_asking(broker: Kafka) -> None:
    """A misspelt topic is an error, not a new topic."""
    metadata = Producer({**broker.client_config}, logger=SILENT).list_topics("no-such-topic", timeout=10)
    error = metadata.topics["no-such-topic"].error
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_crash_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After kill -9 and a restart the same address serves the same records; a stop leaves the data."""
    with LocalBroker(tmp_path / "b") as local:
        kafka = Kafka(local.client_config)
        kafka.create_topic("t")
        kafka.produce("t", ["one"])
        local.kill()
        local.restart()
        assert local.client_config == kafka.client_config
        assert [m.value() for m in kafka.consume_all("t")] == [b"one"]
        with pytest.raises(EnvironmentFault, match="already runs"):
            LocalBroker(tmp_path / "b").start()
        pid = local.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (tmp_path / "b" / "data" / "t-0").is_dir()
