"""Cases on a broker: their topics and records, sent once for all hosts, and what each host writes of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from codec.registry import standing_in
from kafka import Kafka
from parity.case import Case, Sent
from parity.record import Written, lines
from pointsman.runner.framed import away
from pointsman.runner.hosts import unfit
from pointsman.runner.requests import request_topic
from pointsman.spec import load
from pointsman.spec.document import Document
from runner.answering import answering

__all__ = ["Host", "Play", "Stage"]

_environment = threading.RLock()

TOPICS = ("decisions", "dead-letters", "results", "enriched", "by.")
"""What of a pipeline's topics is compared, besides requests to models that no engine calls."""

OVERLAY = 'pipeline: "${PIPELINE}"\n'


class Host(Protocol):
    """One way to run a pipeline.

    Attributes:
        name: What its plays are called by.
        whole: Whether it calls every model itself.
        delivery: In place of the document's; None leaves that.
        engine: What `--on` calls it.
    """

    name: str
    whole: bool
    delivery: str | None
    engine: str

    def run(self, plays: Sequence[Play]) -> dict[str, str]:
        """Decides all events that are there; returns what went wrong, by case."""


class Stage:
    """Cases played on one broker by several hosts."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        """Args:
        folder: Where overlays and state go.
        """
        self.kafka = kafka
        self._folder = folder
        self._stack = ExitStack()
        self._server = self._stack.enter_context(answering())
        self._registries: dict[str, str] = {}

    def play(self, cases: Sequence[Case], hosts: Sequence[Host]) -> dict[tuple[str, str], Play]:
        """Has each host decide each case, and those cases that are about it in two runs.

        Returns:
            What was played, by host and case.
        """
        for case in cases:
            for topic in case.topics:
                self.kafka.create_topic(topic, case.partitions)
            self._registries[case.name] = self._registry(case)
            self._send(case.sent("tables"))
            self._send(case.sent("events")[: case.restart])
        plays = {(host.name, case.name): self._play(case, host) for host in hosts for case in cases}
        for restarted in (True, False):
            for host in hosts:
                chosen = [one for one in plays.values() if one.host is host and not one.refused]
                if restarted:
                    chosen = [one for one in chosen if one.case.restart is not None]
                for name, said in host.run(chosen).items() if chosen else ():
                    plays[host.name, name].failures.append(said)
            for case in cases if restarted else ():
                self._send(case.sent("events")[case.restart :] if case.restart is not None else ())
        read(self.kafka, list(plays.values()))
        return plays

    def close(self) -> None:
        """Ends what the cases talk to."""
        self._stack.close()

    def _play(self, case: Case, host: Host) -> Play:
        folder = self._folder / host.name / case.name
        folder.mkdir(parents=True)
        overlay = folder / "overlay.yaml"
        overlay.write_text(OVERLAY + (f"delivery: {host.delivery}\n" if host.delivery else ""))
        name = f"{case.name}-{host.name}"
        if case.largest is not None:
            largest = {"max.message.bytes": str(case.largest)}
            self.kafka.create_topic(f"{name}.decisions", case.partitions, largest)
        environment = {
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "PIPELINE": name,
            "REGISTRY": self._registries[case.name],
            "SERVER": self._server.address,
        }
        return Play(case, host, name, overlay, environment, self.kafka)

    def _send(self, records: Sequence[Sent]) -> None:
        for one in records:
            row = (one.key, one.value, one.partition)
            self.kafka.produce(one.topic, [row], headers=list(one.headers), timestamp=one.timestamp)

    def _registry(self, case: Case) -> str:
        """The address of a registry with the case's schemas."""
        if not case.registry:
            return ""
        registry = self._stack.enter_context(standing_in())
        for schema in case.registry:
            registry.add(schema, subject=f"{case.topics[0]}-value")
        return registry.url


@dataclass(frozen=True)
class Play:
    """One case on one host.

    Attributes:
        name: The pipeline's.
        overlay: What is merged over the document: its name.
        environment: What the document's `${…}` are.
        failures: What went wrong.
        records: What the host wrote, in the order of each partition.
    """

    case: Case
    host: Host
    name: str
    overlay: Path
    environment: Mapping[str, str]
    kafka: Kafka
    failures: list[str] = field(default_factory=list)
    records: list[Written] = field(default_factory=list)

    @contextmanager
    def here(self) -> Iterator[None]:
        """This process' environment is that of the play; one play at a time."""
        with _environment:
            before = {name: os.environ.get(name) for name in self.environment}
            os.environ.update(self.environment)
            try:
                yield
            finally:
                for name, value in before.items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value

    @cached_property
    def document(self) -> Document:
        """The document."""
        with self.here():
            return load(self.case.document, (self.overlay,))

    @cached_property
    def refused(self) -> str:
        """Why the host does not play the case; empty where it does."""
        if self.host.whole and not self.case.served:
            return "it needs servers that are not here"
        return "; ".join(
            f"{one.code} in line {one.line}: {one.message}" for one in unfit(self.document, self.host.engine)
        )

    @property
    def by_model(self) -> bool:
        """Whether order is per key and model, since workers of their own call models."""
        return self.host.name == "split" or (not self.host.whole and bool(self.away))

    @cached_property
    def away(self) -> tuple[str, ...]:
        """The models whose plans an engine leaves to dispatchers."""
        return away(self.document, "engine")

    def short(self, topic: str) -> str | None:
        """A topic's name within the pipeline; None where it is not compared."""
        short = topic.removeprefix(f"{self.name}.")
        requests = [request_topic(self.document, model) for model in self.away]
        return short if short != topic and (topic in requests or short.startswith(TOPICS)) else None

    def written(self) -> list[str]:
        """What the host wrote, as lines."""
        return lines(self.records, self.document.policy, self.case.order)


def read(kafka: Kafka, plays: Sequence[Play]) -> None:
    """Gives each play what its host wrote; all at once, as each reading takes a second."""
    known = kafka.admin.list_topics(timeout=30).topics
    places = {
        topic: (play, short) for play in plays for topic in known if (short := play.short(topic)) is not None
    }
    for message in kafka.consume_all(*places):
        play, short = places[message.topic()]
        headers = message.headers() or []
        play.records.append(Written(short, message.partition(), message.key(), message.value(), headers))
