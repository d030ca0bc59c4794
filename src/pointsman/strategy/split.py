"""`{split: {MODEL: SHARE, …}, unit, salt}`: an A/B split whose units stick to their model."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from pointsman.base.config import Expression, MapOf, Share, Text, key
from pointsman.base.errors import Misfit
from pointsman.base.hashing import bounds, position
from pointsman.cel.program import Program
from pointsman.strategy.base import Choice, strategies

__all__ = ["Split"]


@strategies.add("split")
class Split:
    """Serves each model to a fixed share of the units.

    The arms lie side by side on [0, 1) in the document's order; a unit's place there is a hash of the salt
    and the unit. Moving one border between two neighbours only moves units from the arm that shrinks to the
    arm that grows. So with two arms a raised share never takes a unit away from the growing arm; with more
    arms the same holds where an arm grows at the cost of a neighbour. A share of 0% is never served and
    stands among the candidates with propensity 0.
    """

    name: ClassVar[str] = "split"
    sticky: bool = True

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `use: {split: …}`."""

        split: Mapping[str, Fraction] = key(
            MapOf(Share(), names="models", least=2),
            "The share of units each model serves, in order; they sum to 100%.",
            example="{stable: 90%, candidate: 10%}",
        )
        unit: Program | None = key(
            Expression("string"),
            "What sticks to its model; left out: source.key.",
            default=None,
            example="user_id",
        )
        salt: str | None = key(
            Text(),
            "What separates this experiment's draws from others; left out: the route's name.",
            default=None,
            example="checkout-2025",
        )

    def __init__(self, shares: Mapping[str, Fraction], salt: str) -> None:
        """Args:
        shares: Shares in [0, 1] that sum to 1, in the order of the arms.
        salt: Separates experiments: the same unit stands elsewhere under another salt.

        Raises:
            Misfit: The shares do not sum to 1.
        """
        if (total := sum(shares.values(), Fraction(0))) != 1:
            text = f"the shares sum to {_percent(total)}, not 100%"
            raise Misfit("E211", text, "change one of them", ("split",))
        self.models: tuple[str, ...] = tuple(shares)
        self._shares = dict(shares)
        self._salt = salt
        self._bounds = bounds(list(shares.values()))
        candidates = {model: float(share) for model, share in shares.items()}
        self._choices = tuple(Choice(model, candidates[model], candidates) for model in shares)

    @classmethod
    def from_config(cls, config: Config, salt: str) -> Split:
        """Builds the strategy of a route; `salt` is the route's name."""
        return cls(config.split, salt if config.salt is None else config.salt)

    @staticmethod
    def example() -> str:
        """A valid value of `use`, as YAML."""
        return "{split: {stable: 90%, candidate: 10%}, unit: event.user_id}"

    def choose(self, unit: str) -> Choice:
        """The model in whose arm the unit stands."""
        return self._choices[bisect_right(self._bounds, position(self._salt, unit))]

    def shares(self) -> Mapping[str, Fraction]:
        """The shares as declared."""
        return self._shares


def _percent(share: Fraction) -> str:
    """A share as people write it: `100%`, `33.3%`."""
    return f"{float(share * 100):.6g}%"
