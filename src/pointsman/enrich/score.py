"""`FIELD: {score: {points, bands}}`: a scorecard, points for what is true and a level for their sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pointsman.base.config import Expression, ListOf, MapOf, Nested, Number
from pointsman.base.config import key as declare
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING
from pointsman.enrich.base import Tables, enrichers

__all__ = ["Points", "Score", "ScoreKeys"]


@dataclass(frozen=True, slots=True)
class Points:
    """What is added to the score while a condition is true."""

    when: Program = declare(
        Expression("bool"), "The condition; one that errs counts as false.", example="amount > 1000.0"
    )
    add: float = declare(Number(), "Points; fewer than none are taken away.", example="30")


@dataclass(frozen=True, slots=True)
class ScoreKeys:
    """A scorecard."""

    points: Sequence[Points] = declare(
        ListOf(Nested(Points), least=1),
        "What adds to the score.",
        example="[{when: amount > 1000.0, add: 30}, {when: 'device == \"web\"', add: 10}]",
    )
    bands: Mapping[str, float] = declare(
        MapOf(Number()),
        "Name of each level and the score it begins at; the highest that is reached is `level`.",
        default={},
        example="{low: 0, medium: 30, high: 60}",
    )


@enrichers.add("score")
class Score:
    """Adds `score`, `level` and `reasons`: the sum of the points, its band, and the conditions that held.

    `level` is absent below the lowest band. Reasons stand in the order of the points.
    """

    name: ClassVar[str] = "score"
    result: str = "map"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The one key of a scorecard."""

        score: ScoreKeys = declare(Nested(ScoreKeys), "The scorecard.")

    def __init__(self, card: ScoreKeys) -> None:
        """Args:
        card: Points and bands.
        """
        self.inputs: tuple[Program, ...] = ()
        self.optional: tuple[Program, ...] = tuple(one.when for one in card.points)
        self.default: Any = MISSING
        self._rows = tuple((one.add, one.when.shown()) for one in card.points)
        self._bands = tuple(sorted(((start, name) for name, start in card.bands.items()), reverse=True))

    @classmethod
    def from_config(cls, config: Config) -> Score:
        """Builds the enricher of a field."""
        return cls(config.score)

    @staticmethod
    def example() -> str:
        """A valid value of `enrich.<field>`, as YAML."""
        return "{score: {points: [{when: event.amount > 1000.0, add: 30}], bands: {low: 0, high: 30}}}"

    def bind(self, tables: Tables) -> Callable[..., dict[str, Any]]:  # noqa: ARG002  conditions read tables
        """The scorecard over the conditions' values."""
        rows, bands = self._rows, self._bands

        def score(*held: Any) -> dict[str, Any]:
            total: float = 0
            reasons = []
            for (add, text), value in zip(rows, held, strict=True):
                if value is True:
                    total += add
                    reasons.append(text)
            found: dict[str, Any] = {"score": total}
            for start, level in bands:
                if total >= start:
                    found["level"] = level
                    break
            found["reasons"] = reasons
            return found

        return score
