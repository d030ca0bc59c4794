"""When transactions are committed, against a producer that does as told and a clock that the test turns."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from pointsman.runner import transactional
from pointsman.runner.exactly_once import COMMIT_SECONDS
from pointsman.runner.metrics import Metrics, total
from pointsman.runner.partitions import Partition
from pointsman.runner.records import Target
from pointsman.runner.slices import Effects
from pointsman.runner.transactional import TransactionalWriter
from pointsman.runner.transactions import Transactions


class Writer:
    """Takes everything; remembers the offsets of each commit."""

    name, timeout, bytes, broken = "p-a-0", 15.0, 0, False

    def __init__(self) -> None:
        self.committed: list[list[int]] = []

    def commit(self, offsets: Any, _: Any) -> None:
        self.committed.append([place.offset for place in offsets])

    def write(self, *_: Any) -> list[int]:
        return []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Clock:
    """Stands still until the test turns it."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def effects(partition: Partition, end: int) -> Effects:
    """One event's decision."""
    return Effects(
        [b"k"], [b"{}"], None, [], lambda _: pytest.fail("all are written"), [], [(partition, end)], 1, 2
    )


def test_what_is_decided_is_committed_after_the_interval_together() -> None:
    """A transaction takes what comes within 100 ms of its first record; then it is committed."""
    writer, clock, metrics, partition = Writer(), Clock(), Metrics(), Partition("t", 0)
    made: Any = (writer, None, lambda *_, **__: None, metrics, clock, {})
    transactions = Transactions(*made, interval=COMMIT_SECONDS)

    def turn(seconds: float) -> None:
        clock.seconds = seconds
        transactions.turn(seconds, lambda: "the group")
        transactions.wait(30)
        transactions.turn(seconds, lambda: "the group")

    turn(0.0)
    assert transactions.due_at is None
    clock.seconds = 1.0
    transactions.publish(effects(partition, 1))
    assert transactions.due_at == 1.0 + COMMIT_SECONDS
    clock.seconds = 1.05
    transactions.publish(effects(partition, 2))
    turn(1.09)
    assert writer.committed == []
    turn(1.1)
    assert writer.committed == [[2]]
    turn(9.0)
    assert writer.committed == [[2]]
    assert total(metrics.snapshot(), "pointsman_transactions_total", result="committed") == 1
    assert partition.committed == 2
    assert COMMIT_SECONDS == 0.1
    transactions.close()


def test_a_lost_partition_meets_no_error_of_the_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amid a rebalance nothing of the client is served that could raise what is fatal to it."""
    served: list[str] = []

    class Producer:
        def __init__(self, _: Any) -> None:
            pass

        def purge(self, *, blocking: bool, **_: Any) -> None:
            if blocking:
                served.append("purge")
            raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", True))

        def poll(self, _: float) -> int:
            served.append("poll")
            return 0

    monkeypatch.setattr(transactional, "Producer", Producer)
    monkeypatch.setattr("pointsman.runner.writer.Producer", Producer)
    config = {
        "queue.buffering.max.messages": 1,
        "queue.buffering.max.kbytes": 1,
        "bootstrap.servers": "",
        "transactional.id": "t",
    }
    target = Target("d", 1)
    writer = TransactionalWriter(config, target, target, Metrics())
    writer.purge()
    assert served == []
