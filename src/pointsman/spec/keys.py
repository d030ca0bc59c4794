"""Every key of a document, declared once: what it may be, what it means, and which step brings it.

Keys that later versions bring are declared here too, so that they are known and refused clearly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.base.config import (
    Anything,
    Choice,
    Duration,
    Expression,
    FileName,
    Flag,
    Kind,
    ListOf,
    MapOf,
    Nested,
    Number,
    OneOf,
    PythonName,
    Text,
    TopicName,
    Whole,
)
from pointsman.base.config import key as declare  # some keys are called key
from pointsman.cel.program import Program
from pointsman.codec.registry_keys import RegistryKeys
from pointsman.model.batching import BatchKeys
from pointsman.model.breaker import BreakerKeys
from pointsman.model.retry import RetryKeys
from pointsman.spec.dispatch import (
    BATCH,
    BREAKER,
    CONCURRENCY,
    FALLBACK,
    RATE,
    RETRY,
    Constant,
    LagKeys,
    MaxLag,
)

__all__ = [
    "FIELD_TYPES",
    "IDENTIFIER",
    "MODEL_NAME",
    "Common",
    "Component",
    "Dedupe",
    "Keys",
    "Limits",
    "PythonCondition",
    "RouteKeys",
    "Source",
    "Write",
]

NAME = r"[a-z0-9][a-z0-9_-]*"
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
FIELD_TYPES = ("string", "int", "double", "bool", "timestamp", "bytes", "list", "map", "dyn")


@dataclass(frozen=True, slots=True)
class Component(Kind):
    """A map whose keys name a component of a registry and configure it, or the shorthand that stands for one.

    Attributes:
        role: `enricher`, `endpoint`, `model`, `strategy` or `table`.
    """

    role: str


@dataclass(frozen=True, slots=True)
class Dedupe:
    """Which events repeat others of their partition."""

    key: Program = declare(
        Expression(), "What repeats; an event for which it has no value repeats none.", example="txn_id"
    )
    within: float = declare(
        Duration(), "How far the event times of a repeat and the first lie apart at most.", example="1h"
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where events come from and how they are read."""

    topics: Sequence[str] = declare(
        ListOf(TopicName(), least=1), "Topics to consume.", example="[transactions]"
    )
    key: Program | None = declare(
        Expression("string"),
        "What orders events and keys their decisions; absent, null or erring: the Kafka key.",
        default=None,
        example="user_id",
    )
    id: Program | None = declare(
        Expression("string"),
        "The event's id; absent, null or erring: topic-partition-offset.",
        default=None,
        example="txn_id",
    )
    time: Program | None = declare(
        Expression("dyn"),
        "The event's time, a timestamp or epoch milliseconds; absent, null or erring: the record's.",
        default=None,
        example="ts",
    )
    fields: Mapping[str, str] | None = declare(
        MapOf(Choice(FIELD_TYPES), names="fields"),
        "Fields of the event and their types; without it any bare name is a field.",
        default=None,
        example="{user_id: string, amount: double}",
    )
    format: str = declare(
        Choice(("json", "text", "csv", "avro", "protobuf", "json_schema")),
        "How the value is encoded.",
        default="json",
        example="json",
    )
    registry: RegistryKeys | None = declare(
        Nested(RegistryKeys),
        "The Schema Registry of avro, protobuf and json_schema.",
        default=None,
        step=3,
        example='{url: "http://localhost:8081"}',
    )
    dedupe: Dedupe | None = declare(
        Nested(Dedupe),
        "Which events repeat others: they are decided, and no model is called for them.",
        default=None,
        step=3,
        example="{key: txn_id, within: 1h}",
    )
    max_ahead: float = declare(
        Duration(), "Events dated further ahead of their record do not advance time.", default=3600.0, step=3
    )


@dataclass(frozen=True, slots=True)
class Common:
    """The keys every model has, whatever protocol reaches it; `defaults` gives them for all."""

    inputs: Mapping[str, Program] | None = declare(
        MapOf(Expression()),
        "Name of each input and the expression of its value.",
        default=None,
        example="{amount: amount}",
    )
    outputs: Mapping[str, Program] | None = declare(
        MapOf(Expression(over="reply")),
        "Name of each output and the expression over `reply` of its value.",
        default=None,
        example='{score: "reply.score[0]"}',
    )
    version: str | None = declare(
        OneOf((Text(), Whole())), "The version named in results.", default=None, example="3"
    )
    timeout: float = declare(Duration(), "How long one attempt may take.", default=1.0, example="50ms")
    endpoint: str | None = declare(
        Text(), "The endpoint that serves it, in place of a protocol.", default=None, step=2, example="tfs"
    )
    model: str | None = declare(
        Text(),
        "The model's name at its endpoint; by default its name here.",
        default=None,
        step=2,
        example="fraud",
    )
    batch: BatchKeys | None = declare(
        BATCH,
        "Events that share a request, and how long the first waits for others.",
        default=None,
        step=2,
        example="{size: 32, wait: 5ms}",
    )
    retry: RetryKeys | None = declare(
        RETRY, "How often a failed attempt is repeated.", default=None, step=2, example="{attempts: 2}"
    )
    breaker: BreakerKeys | None = declare(
        BREAKER, "When a failing model is left alone for a while.", default=None, step=2
    )
    concurrency: int | None = declare(
        CONCURRENCY, "Requests under way at once.", default=None, step=2, example="64"
    )
    rate: float | None = declare(RATE, "Requests per second.", default=None, step=2, example="500")
    fallback: tuple[str | Constant, ...] | None = declare(
        FALLBACK,
        "Who answers when this model does not, in order; fallbacks of fallbacks are not followed.",
        default=None,
        step=2,
        example="[baseline, {constant: {score: 0.5}}]",
    )
    require: Any = declare(Anything(), "Whether the model is eligible.", default=None, step=5)
    quota: Any = declare(Anything(), "Events per span.", default=None, step=5)
    cost: Any = declare(Anything(), "What one event costs.", default=None, step=5)


@dataclass(frozen=True, slots=True)
class PythonCondition:
    """A condition written in Python: it takes a list of enriched events and returns a list of booleans."""

    python: str = declare(PythonName(), "The function.", example='"rules:is_risky"')


@dataclass(frozen=True, slots=True)
class RouteKeys:
    """The keys of one route; the first route whose condition is true decides."""

    name: str | None = declare(
        Text(), "The route's name, as decisions tell it.", default=None, example="singapore-large"
    )
    when: Any = declare(
        OneOf((Expression("bool"), Nested(PythonCondition))),
        "The condition; left out: always.",
        default=None,
        example='location == "Singapore" && amount > 1000',
    )
    on_error: str = declare(
        Choice(("next", "match", "dead_letter")),
        "What an error in the condition means: try the next route, take this one, or give the event up.",
        default="next",
        example="match",
    )
    use: Any = declare(
        Component("strategy"),
        "The model that answers, or a strategy that picks one.",
        default=None,
        example="baseline",
    )
    fallback: Any = declare(
        FALLBACK,
        "Who answers when the picked model does not, in place of that model's own fallback.",
        default=None,
        step=2,
        example="[baseline, {constant: {score: 0.5}}]",
    )
    deadline: float | None = declare(
        Duration(),
        "Time for the whole event, all attempts and fallbacks, from when it was polled.",
        default=None,
        step=2,
        example="300ms",
    )
    table: Any = declare(FileName(), "A file whose rows become routes, standing here.", default=None, step=5)
    columns: Any = declare(Anything(), "Which column of the table holds what.", default=None, step=5)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be under way at once."""

    in_flight: int = declare(
        Whole(1), "Events under way, per model and in all.", default=10_000, example="10000"
    )
    bytes: int = declare(
        Whole(1024), "Bytes of events under way, and the largest single event, in all.", default=268_435_456
    )
    max_lag: MaxLag | None = declare(
        Nested(LagKeys),
        "What to do while more events than this wait in the log.",
        default=None,
        step=2,
        example="{events: 100000, then: baseline}",
    )


@dataclass(frozen=True, slots=True)
class Write:
    """Where decisions go and what they carry."""

    decisions: str = declare(TopicName(), "The topic of decisions; `<p>.decisions` by default.", default="")
    dead_letters: str = declare(
        TopicName(), "The topic of dead letters; `<p>.dead-letters` by default.", default=""
    )
    headers: Sequence[str] = declare(
        ListOf(Choice(("id", "model", "route", "policy", "traceparent", "source"))),
        "Headers of a decision record; each costs time, so none by default.",
        default=(),
        example="[id, model]",
    )
    results: str | None = declare(
        TopicName(),
        "A topic for results alone: id, result and nothing of the event.",
        default=None,
        step=2,
        example="payments.results",
    )
    event: str | tuple[str, ...] = declare(
        OneOf((Choice(("all", "none")), ListOf(Text()))),
        "How much of the event a record carries: all of it, as it came, some fields, or none.",
        default="all",
        step=2,
        example="[txn_id, amount]",
    )
    redact: Mapping[str, str] = declare(
        MapOf(Choice(("drop", "hash", "mask"))),
        "Fields of the event that records and dead letters do not show: left out, hashed, or masked.",
        default={},
        step=2,
        example="{card_number: mask}",
    )
    enriched: str | None = declare(
        TopicName(),
        "A topic for enriched events: id, time, key, event and metadata, and nothing of the decision.",
        default=None,
        step=3,
        example="payments.enriched",
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a document."""

    version: int = declare(Whole(1, 1), "The version of this format.", default=1, example="1")
    pipeline: str = declare(
        Text(NAME),
        "The pipeline's name: the prefix of its topics, and its consumer group.",
        example="payments",
    )
    profile: str = declare(
        Choice(("throughput", "latency")),
        "Whether the Kafka client waits to fill its batches.",
        default="throughput",
        example="throughput",
    )
    delivery: str | None = declare(
        Choice(("at_least_once", "exactly_once")),
        "What a crash may do: repeat decisions, or nothing. Left out: `exactly_once` where something is "
        "remembered of earlier events (keyed state), else `at_least_once`.",
        default=None,
        example="exactly_once",
    )
    kafka: Mapping[str, str] = declare(
        MapOf(OneOf((Text(), Number(), Flag()))),
        "Any property of librdkafka; `group.id` defaults to the pipeline's name.",
        default={},
        example='{bootstrap.servers: "${KAFKA_BOOTSTRAP:-localhost:9092}"}',
    )
    source: Source = declare(Nested(Source), "Where events come from and how they are read.")
    tables: Any = declare(
        MapOf(Component("table")),
        "Rows by key that expressions and look-ups read, by table name.",
        default={},
    )
    enrich: Any = declare(
        MapOf(Component("enricher")),
        "Metadata fields, added in this order; a later one may use an earlier one.",
        default={},
    )
    endpoints: Any = declare(
        MapOf(Component("endpoint")),
        "Servers, by name: a protocol, its address, and what their models share.",
        default={},
        step=2,
    )
    defaults: Common | None = declare(
        Nested(Common), "Keys for every model that does not say otherwise.", default=None
    )
    models: Any = declare(MapOf(Component("model")), "The models, by name.")
    routes: Any = declare(
        ListOf(Nested(RouteKeys), least=1), "Which event goes to which model; the first true condition wins."
    )
    unmatched: str | None = declare(
        Choice(("dead_letter", "skip")),
        "What becomes of an event that no route takes; required where the last route has a condition.",
        default=None,
        example="dead_letter",
    )
    overrides: Any = declare(
        Anything(), "Forced models, models switched off, holdouts.", default=None, step=5
    )
    limits: Limits | None = declare(Nested(Limits), "How much may be under way at once.", default=None)
    write: Write | None = declare(Nested(Write), "Where decisions go and what they carry.", default=None)
    policy: Any = declare(Anything(), "What policy versions from the topic may bring.", default=None, step=5)
    alerts: Any = declare(Anything(), "Where alerts go besides their topic.", default=None, step=5)
    feedback: Any = declare(Anything(), "Labels and rewards that come later.", default=None, step=6)
    experiments: Any = declare(Anything(), "What is compared, and by which metric.", default=None, step=6)
    drift: Any = declare(Anything(), "Which fields are watched for drift.", default=None, step=6)
    retrain: Any = declare(Anything(), "When a model is trained anew.", default=None, step=6)
