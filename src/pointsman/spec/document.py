"""The pipeline document as typed objects: what is left once every key was read, checked and compiled.

Keys that later versions bring are declared here too, with their step, so that they are known and refused clearly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pointsman.base.config import (
    Anything,
    Choice,
    Duration,
    Expression,
    FileName,
    ListOf,
    MapOf,
    OneOf,
    PythonName,
    Text,
    TopicName,
    Whole,
    key,
)
from pointsman.cel.program import Program, Scope

__all__ = ["Common", "Document", "Enrich", "Limits", "ModelSpec", "Route", "Source", "Table", "Use", "Write"]

FIELD_TYPES = ("string", "int", "double", "bool", "timestamp", "bytes", "list", "map", "dyn")


@dataclass(frozen=True, slots=True)
class Source:
    """Where events come from and how they are read."""

    topics: Sequence[str] = key(ListOf(TopicName(), least=1), "Topics to consume.", example="[transactions]")
    key: Program | None = key(
        Expression("string"),
        "What orders events and keys their decisions; absent, null or erring: the Kafka key.",
        default=None,
        example="user_id",
    )
    id: Program | None = key(
        Expression("string"),
        "The event's id; absent, null or erring: topic-partition-offset.",
        default=None,
        example="txn_id",
    )
    time: Program | None = key(
        Expression("dyn"),
        "The event's time, a timestamp or epoch milliseconds; absent, null or erring: the record's timestamp.",
        default=None,
        example="ts",
    )
    fields: Mapping[str, str] | None = key(
        MapOf(Choice(FIELD_TYPES), names="fields"),
        "Fields of the event and their types; without it any bare name is a field.",
        default=None,
        example="{user_id: string, amount: double}",
    )
    format: str = key(
        Choice(("json", "text", "csv", "avro", "protobuf", "json_schema")),
        "How the value is encoded.",
        default="json",
        example="json",
    )
    registry: Any = key(Anything(), "The Schema Registry of avro, protobuf and json_schema.", default=None, step=3)
    dedupe: Any = key(Anything(), "Drops repeats of a key within a duration.", default=None, step=3)
    max_ahead: float = key(
        Duration(), "Events dated further ahead of their record do not advance time.", default=3600.0, step=3
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by key that expressions and look-ups read."""

    file: Path | None = key(
        FileName(), "A CSV, JSONL or Parquet file, read again when it changes.", default=None, example="customers.csv"
    )
    key: str | Program | None = key(
        Text(), "The column whose value names a row.", default=None, example="user_id"
    )
    topic: str | None = key(TopicName(), "A compacted topic.", default=None, step=3)
    python: str | None = key(PythonName(), "A function from keys to rows.", default=None, step=3)
    cache: Any = key(Anything(), "How long a function's answers are kept.", default=None, step=3)
    timeout: float | None = key(Duration(), "How long a function may take.", default=None, step=3)
    source: Any = key(Anything(), "The topic a derived table is computed from (`from`).", default=None, step=3)
    window: Any = key(Anything(), "The window of a derived table.", default=None, step=3)
    stale_after: float | None = key(Duration(), "After this a derived row is absent.", default=None, step=3)
    scope: str | None = key(Choice(("global", "partition")), "Who holds the rows.", default=None, step=3)


@dataclass(frozen=True, slots=True)
class Enrich:
    """One metadata field: the enricher's registered name, its own config and the type of what it adds."""

    field: str
    enricher: str
    config: Any
    result: str = "dyn"


@dataclass(frozen=True, slots=True)
class Common:
    """The keys every model has, whatever protocol reaches it; `defaults` gives them for all."""

    inputs: Mapping[str, Program] | None = key(
        MapOf(Expression()), "Name of each input and the expression of its value.", default=None, example="{amount: amount}"
    )
    outputs: Mapping[str, Program] | None = key(
        MapOf(Expression(over="reply")),
        "Name of each output and the expression over `reply` of its value.",
        default=None,
        example='{score: "reply.score[0]"}',
    )
    version: str | None = key(
        OneOf((Text(), Whole())), "The version named in results.", default=None, example="3"
    )
    timeout: float = key(Duration(), "How long one attempt may take.", default=1.0, example="50ms")
    model: str | None = key(Text(), "The model's name at its endpoint.", default=None, step=2)
    endpoint: str | None = key(Text(), "The endpoint that serves it.", default=None, step=2)
    batch: Any = key(Anything(), "Micro-batching: size and wait.", default=None, step=2)
    retry: Any = key(Anything(), "Attempts and budget.", default=None, step=2)
    breaker: Any = key(Anything(), "The circuit breaker.", default=None, step=2)
    concurrency: Any = key(Whole(1), "Calls under way at once.", default=None, step=2)
    rate: Any = key(Anything(), "Calls per second.", default=None, step=2)
    fallback: Any = key(Anything(), "Who answers when this model does not.", default=None, step=2)
    require: Any = key(Anything(), "Whether the model is eligible.", default=None, step=5)
    quota: Any = key(Anything(), "Events per span.", default=None, step=5)
    cost: Any = key(Anything(), "What one event costs.", default=None, step=5)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A named model: its protocol's registered name, that protocol's own config, and the common keys."""

    name: str
    protocol: str
    config: Any
    common: Common


@dataclass(frozen=True, slots=True)
class Use:
    """How a route picks: the strategy's registered name and its config (`fixed` where a model's name stands alone)."""

    strategy: str
    config: Any


@dataclass(frozen=True, slots=True)
class Route:
    """A name, a condition, and what to use.

    Attributes:
        when: A CEL condition, the name of a Python one (`module:function`), or None: always.
        line: Where it stands in the document, for explain.
    """

    name: str
    when: Program | str | None
    use: Use
    on_error: str = "next"
    line: int = 0

    @property
    def python(self) -> str | None:
        """The Python condition's name, where it has one."""
        return self.when if isinstance(self.when, str) else None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be under way at once."""

    in_flight: int = key(Whole(1), "Events under way, per model and in all.", default=10_000, example="10000")
    bytes: int = key(Whole(1024), "Bytes of events under way, and the largest single event, in all.", default=268_435_456)
    max_lag: Any = key(Anything(), "What to do with lag over a number of events.", default=None, step=2)


@dataclass(frozen=True, slots=True)
class Write:
    """Where decisions go and what they carry."""

    decisions: str = key(TopicName(), "The topic of decisions; `<p>.decisions` by default.", default="")
    dead_letters: str = key(TopicName(), "The topic of dead letters; `<p>.dead-letters` by default.", default="")
    headers: Sequence[str] = key(
        ListOf(Choice(("id", "model", "route", "policy", "traceparent", "source"))),
        "Headers of a decision record; each costs time, so none by default.",
        default=(),
        example="[id, model]",
    )
    results: Any = key(Anything(), "A topic for results alone.", default=None, step=2)
    event: Any = key(Anything(), "How much of the event a record carries.", default=None, step=2)
    redact: Any = key(Anything(), "Fields to drop, hash or mask.", default=None, step=2)
    enriched: Any = key(Anything(), "A topic for enriched events.", default=None, step=3)


@dataclass(frozen=True, slots=True)
class Document:
    """A whole pipeline, checked.

    Attributes:
        path: The file it was read from; its folder is what relative paths and Python names start from.
        content_hash: SHA-256 (hex) of the canonical document before `${…}` is resolved, and of its local model files.
        scope: The names and types that expressions over an event see.
        reply_scope: The same and `reply`.
    """

    path: Path
    pipeline: str
    kafka: Mapping[str, str]
    source: Source
    tables: Mapping[str, Table]
    enrich: Sequence[Enrich]
    models: Mapping[str, ModelSpec]
    routes: Sequence[Route]
    unmatched: str | None
    limits: Limits
    write: Write
    profile: str
    delivery: str
    content_hash: str
    scope: Scope
    reply_scope: Scope
    version: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """What relative paths and Python names start from."""
        return self.path.parent

    @property
    def policy(self) -> str:
        """The policy version in force where no versions are kept on a topic: revision 0 and the hash."""
        return f"0@{self.content_hash[:8]}"


