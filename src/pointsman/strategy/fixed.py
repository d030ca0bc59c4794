"""`use: MODEL`: every event goes to one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from pointsman.base.config import ModelName, key
from pointsman.strategy.base import Choice, strategies

__all__ = ["Fixed"]


@strategies.add("fixed")
class Fixed:
    """Serves one model always; what a model's name alone after `use` means."""

    name: ClassVar[str] = "fixed"
    sticky: bool = False

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `use` where a model's name stands alone."""

        fixed: str = key(ModelName(), "The model that answers every event.", example="baseline")

    def __init__(self, model: str) -> None:
        """Args:
        model: The model's name.
        """
        self.models: tuple[str, ...] = (model,)
        self._choice = Choice(model, 1.0)

    @classmethod
    def from_config(cls, config: Config, salt: str) -> Fixed:  # noqa: ARG003  # every strategy is handed a salt
        """Builds the strategy of a route."""
        return cls(config.fixed)

    @staticmethod
    def example() -> str:
        """A valid value of `use`, as YAML."""
        return "stable"

    def choose(self, unit: str) -> Choice:  # noqa: ARG002  # the role's signature
        """The one model, whatever the unit."""
        return self._choice

    def shares(self) -> Mapping[str, Fraction]:
        """All of it to the one model."""
        return {self.models[0]: Fraction(1)}
