"""Which requests are taken, and when a worker is overloaded: what needs no broker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from pointsman.base.errors import UsageError
from pointsman.runner.metrics import Metrics, total
from pointsman.runner.overload import Overload
from pointsman.runner.partitions import Partition
from pointsman.runner.versions import Versions
from pointsman.spec.dispatch import MaxLag

OURS, NEXT = "0@0000000a", "0@0000000b"


@dataclass
class Message:
    """A request of a version in a partition."""

    number: int
    policy: str

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self.number

    def value(self) -> bytes:
        return json.dumps({"policy": self.policy}).encode()


class Lines:
    """Log lines by name."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, **fields: Any) -> None:
        self.said.append((name, fields))


class Bench:
    """Versions with two partitions, and a file that can be replaced."""

    def __init__(self) -> None:
        self.lines, self.metrics, self.file = Lines(), Metrics(), OURS
        self.owned = {("t", n): Partition("t", n) for n in (0, 1)}
        document: Any = SimpleNamespace(policy=OURS)
        self.versions = Versions(document, self.read, self.lines, self.metrics)

    def read(self) -> Any:
        if not self.file:
            raise UsageError("half written")
        return SimpleNamespace(policy=self.file)

    def admit(self, *messages: Message) -> list[Message]:
        return self.versions.admit(list(messages), self.owned)


@pytest.fixture
def bench() -> Bench:
    """Two partitions, none held."""
    return Bench()


def test_a_partition_is_held_at_its_first_request_of_another_version(bench: Bench) -> None:
    """What follows in it is not taken, of whatever version; the other partition goes on."""
    first, other = Message(0, OURS), Message(1, OURS)
    assert bench.admit(first, Message(0, NEXT), other, Message(0, OURS)) == [first, other]
    assert bench.admit(Message(0, OURS), other) == [other]
    told = {"wanted": NEXT, "policy": OURS, "partitions": ["t-0"]}
    assert bench.lines.said == [("policy_missing", told)]
    assert total(bench.metrics.snapshot(), "pointsman_held_partitions") == 1


def test_a_partition_that_comes_back_is_looked_at_anew(bench: Bench) -> None:
    """What held it was another assignment's: its next owner may have finished it."""
    bench.admit(Message(0, NEXT))
    bench.owned["t", 0] = Partition("t", 0)
    bench.versions.look(0.0, bench.owned, rest_done=False)
    message = Message(0, OURS)
    assert bench.admit(message) == [message]


def test_the_new_version_is_taken_once_the_old_one_is_done(bench: Bench) -> None:
    """The file is read once a second, and only when nothing is left of the version at work."""
    bench.admit(Message(0, NEXT))
    bench.file = ""
    bench.versions.look(10.0, bench.owned, rest_done=True)
    bench.file = NEXT
    bench.versions.look(10.5, bench.owned, rest_done=True)
    assert bench.versions.renewed is None
    bench.versions.look(11.5, bench.owned, rest_done=False)
    assert bench.versions.renewed is None
    bench.versions.look(11.5, bench.owned, rest_done=True)
    assert bench.versions.renewed is not None
    assert bench.versions.renewed.policy == NEXT


@pytest.mark.parametrize("then", ["cheap", None])
def test_overload_begins_above_the_limit_and_ends_below_half(then: str | None) -> None:
    """In between nothing changes; without a model only the log and the gauge tell."""
    host: Any = SimpleNamespace(overload=False)
    lines, metrics = Lines(), Metrics()
    overload = Overload(MaxLag(100, then), host, lines, metrics)
    found = []
    for lag in (100, 101, 60, 50, 49, 80, 101):
        overload.see(lag)
        found.append((host.overload, total(metrics.snapshot(), "pointsman_overloaded_workers")))
    over = then is not None
    assert found == [(False, 0), *[(over, 1)] * 3, *[(False, 0)] * 2, (over, 1)]
    assert [name for name, _ in lines.said] == ["overloaded", "caught_up", "overloaded"]
    assert lines.said[0][1] == {"lag": 101, "limit": 100, "then": then or "wait"}
