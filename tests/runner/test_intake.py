"""What a worker takes from Kafka."""

from __future__ import annotations

from confluent_kafka import TopicPartition

from kafka import Kafka, TopicFactory, unique
from pointsman.bus.client import client_config
from pointsman.runner.assignment import Assignment
from pointsman.runner.intake import Intake
from pointsman.runner.link import LocalLink
from pointsman.runner.metrics import Metrics


def test_a_partition_that_went_while_paused_comes_back_as_the_others_are(
    broker: Kafka, topic: TopicFactory
) -> None:
    """The client remembers a pause over a rebalance; the worker does not mean it any longer."""
    name = topic(2)
    broker.produce(name, [("k", f"{n}", n % 2) for n in range(20)])
    link = LocalLink(lambda *_, **__: None)
    config = client_config(broker.client_config, "latency", "consumer", pipeline=unique("g"))
    intake = Intake(config, [name], Assignment(Metrics(), link.say), link)
    first, second = TopicPartition(name, 0, 0), TopicPartition(name, 1, 0)

    def fetched(events: int) -> list[int]:
        found: list[int] = []
        for _ in range(20):  # seconds
            if len(found) < events:
                found += [message.partition() for message in intake.fetch(events, 1.0)]
        return found

    try:
        intake.take_on([first, second])
        assert sorted(fetched(20)) == [0] * 10 + [1] * 10
        intake.pause()
        intake.consumer.incremental_unassign([second])
        intake.resume()
        intake.take_on([second])
        assert fetched(10) == [1] * 10
        intake.pause()
        intake.consumer.incremental_unassign([second])
        intake.take_on([second])
        assert intake.fetch(10, 0.2) == []
        intake.resume()
        assert fetched(10) == [1] * 10
    finally:
        intake.close()
