"""Before the first event: the topics exist, the broker answers, and `--from` has been seen to."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pointsman.base.errors import EnvironmentFault, Misfit, SpecError, UsageError
from pointsman.bus.client import Role, client_config
from pointsman.bus.faults import fault
from pointsman.bus.topics import Topics
from pointsman.runner.extracts import EXTRACTS, Extract
from pointsman.runner.logs import Say
from pointsman.runner.plans import picked
from pointsman.runner.records import Target
from pointsman.runner.requests import request_topic
from pointsman.runner.stages import BY_TOPIC, by_topics
from pointsman.runner.state import widened
from pointsman.spec.document import Document

__all__ = ["Begin", "Ground", "group_of", "prepare", "prepare_changelogs", "reach", "rewind"]

_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Begin:
    """Where a run begins, whatever was committed: `earliest`, `latest` or a time.

    Attributes:
        at_ms: Milliseconds since 1970; -1 is the end and 0 the beginning.
    """

    at_ms: int

    @classmethod
    def parse(cls, text: str) -> Begin:
        """What `--from` says; raises UsageError where it says nothing that we know."""
        if text in ("earliest", "latest"):
            return cls(0 if text == "earliest" else -1)
        if text.isascii() and text.isdigit():
            return cls(int(text))
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(
                "--from is earliest, latest, a time such as 2026-01-31T12:00:00Z, or milliseconds "
                f"since 1970, not '{text}'"
            ) from None
        # A time without a zone is UTC, so that a command means the same on every machine.
        return cls(int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class Ground:
    """What a run stands on.

    Attributes:
        partitions: How many each source topic has.
        extracts: What else is written of each decision record.
        requests: A router's topics, by the first model of a plan.
        onward: The topics through which events go on by another key, by the field that they go on to.
    """

    partitions: int
    decisions: Target
    dead_letters: Target
    extracts: Sequence[Extract] = ()
    requests: Mapping[str, Target] = field(default_factory=dict)
    onward: Mapping[str, Target] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every topic that is written."""
        extracts = (Target(extract.topic, extract.largest) for extract in self.extracts)
        return (self.decisions, self.dead_letters, *extracts, *self.requests.values(), *self.onward.values())


def group_of(document: Document, model: str = "") -> str:
    """The consumer group's name; that of the dispatchers of `model` where one is named."""
    group = document.kafka.get("group.id", document.pipeline)
    return f"{group}.dispatch.{model}" if model else group


def reach(document: Document, seconds: float = _SECONDS) -> Topics:
    """The cluster, once a broker has answered.

    Args:
        document: Whose `kafka:` says where it is.
        seconds: How long to try.

    Raises:
        EnvironmentFault: Nobody answers, or refuses.
        SpecError: A property under `kafka` is wrong.
    """
    roles: tuple[Role, ...] = ("consumer", "producer")
    try:
        for role in roles:
            client_config(document.kafka, document.profile, role, pipeline=document.pipeline)
        return Topics(document.kafka, seconds=seconds)
    except Misfit as misfit:
        place = document.where(misfit.path or ("kafka",))
        raise SpecError([place.finding(misfit.code, str(misfit), misfit.hint)]) from None


def prepare(document: Document, cluster: Topics, role: str = "all", models: Sequence[str] = ()) -> Ground:
    """Finds the source topics and makes the topics that the pipeline writes where they are missing.

    Args:
        role: What the run does, as in `Settings`.
        models: Those of a dispatcher.

    Raises:
        EnvironmentFault: A source topic is missing, topics do not fit each other, or this user lacks a right.
        UsageError: No route picks one of `models`.
    """
    write = document.write
    partitions = cluster.require_sources(document.source.topics)
    extracts = {key: topic for key in EXTRACTS if (topic := getattr(write, key)) is not None}
    own = [write.decisions, write.dead_letters, *extracts.values()]
    asked = _request_topics(document, role, models)
    onward = {} if role == "dispatch" else by_topics(document)
    cluster.ensure_derived([*own, *asked.values()], partitions)
    cluster.ensure_derived(onward.values(), partitions, BY_TOPIC)
    _as_wide(cluster, (*asked.values(), *onward.values()), partitions)

    def target(name: str) -> Target:
        return Target(name, cluster.largest_record([name]))

    return Ground(
        partitions,
        target(write.decisions),
        target(write.dead_letters),
        tuple(
            Extract(topic, cluster.largest_record([topic]), EXTRACTS[key]) for key, topic in extracts.items()
        ),
        {model: target(name) for model, name in asked.items()} if role == "route" else {},
        {name: target(topic) for name, topic in onward.items()},
    )


def prepare_changelogs(document: Document, names: Iterable[str], partitions: int, say: Say) -> None:
    """Makes the changelogs of state where they are missing.

    Args:
        names: Their topics.
        partitions: How many the source has.

    Raises:
        EnvironmentFault: One has another number of partitions, or this user lacks a right.
    """
    names, cluster = list(names), reach(document)
    made = [name for name in names if cluster.create_changelog(name, partitions)]
    if made:
        say("state_begins", topics=made)
    for name, topic in cluster.describe(names).items():
        if topic is not None and topic.partitions != partitions:
            raise widened("the source", partitions, topic.partitions, [name])


def _request_topics(document: Document, role: str, models: Sequence[str]) -> dict[str, str]:
    """The topics of requests that the run writes or reads, by the first model of a plan."""
    if role == "all":
        return {}
    known = picked(document)
    for model in models:
        if model not in known:
            raise UsageError(
                f"no route picks a model '{model}', so there are no requests for it; the models that routes "
                f"pick are {', '.join(known)}"
            )
    return {model: request_topic(document, model) for model in (models or known)}


def _as_wide(cluster: Topics, names: Iterable[str], partitions: int) -> None:
    """An event's request goes to the partition that the event came from; state has one number everywhere."""
    for name, topic in cluster.describe(names).items():
        if topic is not None and topic.partitions != partitions:
            raise EnvironmentFault(
                f"{name} has {topic.partitions} partitions and the source has {partitions}: a worker has the "
                "same ones of both. Create the topic anew once it is empty, or add partitions"
            )


def rewind(
    document: Document,
    cluster: Topics,
    begin: Begin,
    say: Say,
    group: str | None = None,
    topics: Sequence[str] | None = None,
) -> None:
    """Sets the group's committed offsets, so that every worker, now or after a rebalance, goes on from there.

    Args:
        group: The document's by default.
        topics: The document's source by default.

    Raises:
        EnvironmentFault: Members of the group are still at work, or this user lacks a right.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

    group, kafka, admin = group or group_of(document), document.kafka, cluster.admin
    _wait_until_empty(admin, kafka, group, say)
    found = _offsets(admin, kafka, topics or document.source.topics, begin)
    places = [TopicPartition(topic, number, offset) for (topic, number), offset in found.items()]
    try:
        admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])[group].result()
    except KafkaException as error:
        raise fault(error.args[0], kafka, f"cannot set the offsets of the group {group}", group) from error


def _wait_until_empty(admin: Any, kafka: Mapping[str, str], group: str, say: Say) -> None:
    """Offsets can be set only while nobody consumes; a killed worker counts until its session ends."""
    from confluent_kafka import ConsumerGroupState, KafkaException

    session = int(client_config(kafka, "throughput", "consumer")["session.timeout.ms"]) / 1000
    end, said = time.monotonic() + session + 1.0, False
    while True:
        try:
            state = admin.describe_consumer_groups([group], request_timeout=_SECONDS)[group].result().state
        except KafkaException as error:
            if error.args[0].name() == "GROUP_ID_NOT_FOUND":
                return
            raise fault(error.args[0], kafka, f"cannot look at the group {group}", group) from error
        if state in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD, ConsumerGroupState.UNKNOWN):
            return
        if time.monotonic() >= end:
            raise EnvironmentFault(
                f"--from needs the group {group} to itself, and other workers consume in it: stop them first"
            )
        if not said:
            say("waiting", why=f"the group {group} still has members")
            said = True
        time.sleep(0.2)


def _offsets(
    admin: Any, kafka: Mapping[str, str], topics: Sequence[str], begin: Begin
) -> dict[tuple[str, int], int]:
    """The offset of each partition that `begin` stands for; its end where all is older."""
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka import admin as kafka_admin

    spec: Any = kafka_admin.OffsetSpec  # type: ignore[attr-defined]  # it is there, but not listed
    try:
        known = admin.list_topics(timeout=_SECONDS).topics
        places = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]

        def ask(spec: Any) -> dict[tuple[str, int], int]:
            reply = admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_SECONDS)
            return {(p.topic, p.partition): future.result().offset for p, future in reply.items()}

        if begin.at_ms == 0:
            return ask(spec.earliest())
        ends = ask(spec.latest())
        if begin.at_ms < 0:
            return ends
        return {
            place: ends[place] if offset < 0 else offset
            for place, offset in ask(spec.for_timestamp(begin.at_ms)).items()
        }
    except KafkaException as error:
        raise fault(error.args[0], kafka, "cannot find where to begin") from error
