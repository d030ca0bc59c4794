"""A transaction that the broker forgot: nobody goes on while it is open, and people are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from kafka import Kafka, unique
from pointsman.runner import state as module
from pointsman.runner.metrics import Metrics
from pointsman.runner.state import StateKeeper, backing_in


@pytest.fixture
def said() -> list[tuple[str, dict[str, Any]]]:
    """What was logged."""
    return []


@pytest.fixture
def keeper(
    broker: Kafka, said: list[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[StateKeeper, str]]:
    """The state of one partition with one changelog, which is empty."""
    monkeypatch.setattr(module, "_HANGS_SECONDS", 0.2)
    monkeypatch.setattr(module, "_TELL_SECONDS", 0.1)
    topic = broker.create_topic(unique("state"))
    made = StateKeeper(
        (),
        {"s": topic},
        1,
        broker.client_config,
        backing_in(None, "p", settled=False),
        lambda name, **fields: said.append((name, fields)),
        Metrics(),
    )
    yield made, topic
    made.close()


def opened(broker: Kafka, topic: str) -> Producer:
    """A producer with an open transaction in the topic."""
    producer = Producer({**broker.client_config, "transactional.id": unique("t")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"v", b"k\0\0\0", partition=0)
    producer.flush(30)
    return producer


def until(condition: Any) -> None:
    """Returns once it holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def restored(keeper: StateKeeper, topic: str) -> None:
    """Has the partition's state restored."""
    keeper.take_on([TopicPartition(topic, 0)])
    until(lambda: keeper.turn(time.monotonic()))


def test_a_worker_does_not_go_on_while_a_transaction_is_open_in_its_changelogs(
    broker: Kafka, keeper: tuple[StateKeeper, str], said: list[tuple[str, dict[str, Any]]]
) -> None:
    """It is settled before and after, not meanwhile; where that lasts, the log names the partition."""
    state, topic = keeper
    restored(state, topic)
    assert state.settled()
    producer = opened(broker, topic)
    until(lambda: not state.settled() and any(name == "transaction_hangs" for name, _ in said))
    told = dict(said)["transaction_hangs"]
    assert told["partitions"] == [f"{topic}-0"]
    assert "find-hanging" in told["do"]
    producer.abort_transaction(30)
    until(state.settled)


def test_restoring_that_waits_for_a_transaction_says_so(
    broker: Kafka, keeper: tuple[StateKeeper, str], said: list[tuple[str, dict[str, Any]]]
) -> None:
    """It is read once the transaction is over, whatever came of it."""
    state, topic = keeper
    producer = opened(broker, topic)
    state.take_on([TopicPartition(topic, 0)])
    until(lambda: state.turn(time.monotonic()) or any(name == "transaction_hangs" for name, _ in said))
    assert state.restoring
    producer.commit_transaction(30)
    until(lambda: state.turn(time.monotonic()))
