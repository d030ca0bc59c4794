"""What a worker takes from Kafka."""

from __future__ import annotations

from confluent_kafka import TopicPartition

from kafka import Kafka, TopicFactory, unique
from pointsman.bus.client import client_config
from pointsman.runner.assignment import Assignment
from pointsman.runner.intake import Intake
from pointsman.runner.link import LocalLink
from pointsman.runner.metrics import Metrics


def intake_of(broker: Kafka, topic: str, metrics: Metrics) -> tuple[Intake, Assignment]:
    """A consumer with a group of its own."""
    link = LocalLink(lambda *_, **__: None)
    config = client_config(broker.client_config, "latency", "consumer", pipeline=unique("g"))
    partitions = Assignment(metrics, link.say)
    return Intake(config, [topic], partitions, link), partitions


def test_a_partition_that_went_while_paused_comes_back_as_the_others_are(
    broker: Kafka, topic: TopicFactory
) -> None:
    """The client remembers a pause over a rebalance; the worker does not mean it any longer."""
    name = topic(2)
    broker.produce(name, [("k", f"{n}", n % 2) for n in range(20)])
    intake = intake_of(broker, name, Metrics())[0]
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


def test_the_lag_is_told_before_the_first_event(broker: Kafka, topic: TopicFactory) -> None:
    """A partition that hands over nothing is as far behind as its committed offset says."""
    name, metrics = topic(1), Metrics()
    broker.produce(name, [f"{n}" for n in range(10)])
    intake, partitions = intake_of(broker, name, metrics)
    try:
        intake.consumer.commit(offsets=[TopicPartition(name, 0, 4)], asynchronous=False)
        partitions.add([TopicPartition(name, 0)])
        intake.take_on([TopicPartition(name, 0, 10)])
        for _ in range(100):  # the end is known once the broker has answered
            assert intake.fetch(1, 0.1) == []
            partitions.count_lag(intake.consumer)
            if lag := metrics.snapshot().get("pointsman_lag_events"):
                break
        assert lag == {(name, "0"): 6}
    finally:
        intake.close()


def test_what_is_kept_back_comes_later_in_its_order(broker: Kafka, topic: TopicFactory) -> None:
    """Meanwhile other partitions go on; the client stops reading one of which much is kept."""
    name, count = topic(2), 3000
    broker.produce(name, [("k", f"{n}", n % 2) for n in range(2 * count)])
    intake = intake_of(broker, name, Metrics())[0]
    taken: dict[int, list[int]] = {0: [], 1: []}
    most_kept = 0

    def fetch(full: bool) -> None:
        nonlocal most_kept
        intake.let_go(lambda place: full and place[1] == 0)
        messages = intake.fetch(100, 0.1)
        if full and (back := [m for m in messages if m.partition() == 0]):
            intake.keep_back(back)
            messages = [m for m in messages if m.partition() == 1]
        for message in messages:
            taken[message.partition()].append(message.offset())
        most_kept = max(most_kept, *map(len, intake._kept.values()), 0)

    try:
        intake.take_on([TopicPartition(name, 0, 0), TopicPartition(name, 1, 0)])
        while len(taken[1]) < count:
            fetch(full=True)
        assert taken[0] == []
        assert intake.holds
        turns = 0
        while len(taken[0]) < count:
            turns += 1
            fetch(full=turns % 3 == 0)
        assert taken == {0: list(range(count)), 1: list(range(count))}
        assert most_kept < 1200
        assert not intake.holds
    finally:
        intake.close()
