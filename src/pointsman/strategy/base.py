"""How a route picks among its candidate models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Protocol, Self

from pointsman.base.registry import Registry

__all__ = ["Choice", "Strategy", "strategies"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One model picked for one event.

    Attributes:
        model: The picked model's name.
        propensity: Probability, in (0, 1], that this policy in this state picks `model`
            for this event. Off-policy estimates divide by it.
        candidates: Probability of each candidate, where there is more than one.
    """

    model: str
    propensity: float
    candidates: Mapping[str, float] | None = None


class Strategy(Protocol):
    """Picks among a route's candidate models.

    A class is registered under its key in `use` and has a `Config` dataclass; it is built with
    `from_config(config, salt)`. It holds no clock and no random source: what it draws comes from `unit`, so
    the same parameters and the same event give the same choice on every runner and in a replay. Choices are
    made ahead and handed out again, so that the engine can prepare the bytes of each.
    """

    name: ClassVar[str]
    models: tuple[str, ...]
    sticky: bool
    """Whether `choose` looks at its unit."""

    @classmethod
    def from_config(cls, config: Any, salt: str) -> Self:
        """Builds the strategy of a route from its `Config`; `salt` is the route's name."""

    def choose(self, unit: str) -> Choice:
        """Picks one of `models`, never another. Does not block or raise."""

    def shares(self) -> Mapping[str, Fraction]:
        """The share of units each model is served to; they sum to 1."""


strategies: Registry[Strategy] = Registry("strategy", "pointsman.strategy")
