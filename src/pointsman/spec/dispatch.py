"""The keys of dispatch: endpoints and what their models share, who answers instead, what to do with lag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pointsman.base.config import (
    Anything,
    Choice,
    Kind,
    ListOf,
    ModelName,
    Nested,
    Number,
    OneOf,
    Whole,
)
from pointsman.base.config import key as declare
from pointsman.model.batching import BatchKeys
from pointsman.model.breaker import BreakerKeys
from pointsman.model.endpoint import EndpointKeys as ConnectionKeys
from pointsman.model.retry import RetryKeys

__all__ = [
    "BATCH",
    "BREAKER",
    "CONCURRENCY",
    "FALLBACK",
    "RATE",
    "RETRY",
    "Constant",
    "ConstantKeys",
    "EndpointKeys",
    "LagKeys",
    "MaxLag",
]


BATCH: Kind = Nested(BatchKeys)
RETRY: Kind = Nested(RetryKeys)
BREAKER: Kind = Nested(BreakerKeys)
CONCURRENCY: Kind = Whole(1)
RATE: Kind = Number(0.001)


@dataclass(frozen=True, slots=True)
class ConstantKeys:
    """An answer that needs no model; nothing can fail behind it."""

    constant: Any = declare(Anything(), "The output, as it stands in the record.", example="{score: 0.5}")


@dataclass(frozen=True, slots=True)
class Constant:
    """An answer that needs no model.

    Attributes:
        output: What `result.output` says.
    """

    output: Any


FALLBACK: Kind = ListOf(OneOf((ModelName(), Nested(ConstantKeys))))
"""Models by name and, last, a constant."""


@dataclass(frozen=True, slots=True)
class LagKeys:
    """What to do while more events wait in the log than are wanted."""

    events: int = declare(Whole(1), "The lag, summed over a worker's partitions.", example="100000")
    then: str = declare(
        OneOf((Choice(("wait",)), ModelName())),
        "`wait` goes on as always; a model answers in place of the one that was picked.",
        default="wait",
        example="baseline",
    )


@dataclass(frozen=True, slots=True)
class MaxLag:
    """With more than `events` waiting, `then` answers.

    Attributes:
        events: The lag, summed over a worker's partitions.
        then: A model's name; None waits.
    """

    events: int
    then: str | None


@dataclass(frozen=True, slots=True, repr=False)
class EndpointKeys(ConnectionKeys):
    """What the models of one server share: the connection, who is calling, and limits."""

    concurrency: int | None = declare(
        CONCURRENCY, "Requests under way at once, of all its models.", default=None, example="32", step=2
    )
    rate: float | None = declare(
        RATE, "Requests per second, of all its models.", default=None, example="500", step=2
    )
    breaker: BreakerKeys | None = declare(
        BREAKER, "A circuit breaker that all its models share.", default=None, step=2
    )
