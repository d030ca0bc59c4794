"""`FIELD: {model: NAME, take: OUTPUT}`: what a model in this process answers, as a field for rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pointsman.base.config import Anything, ModelName, Text
from pointsman.base.config import key as declare
from pointsman.base.errors import EvalError
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING
from pointsman.enrich.base import enrichers

__all__ = ["ModelField"]


@enrichers.add("model")
class ModelField:
    """Adds a model's answer: the model has its own inputs, outputs and time-out, as under `models`.

    It is asked once for a batch and runs in this process. Where it does not answer, the field is the default;
    without one it is absent and the record names the error.
    """

    name: ClassVar[str] = "model"
    result: str = "dyn"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `enrich.<field>: {model: …}`."""

        model: str = declare(ModelName(), "The model.", example="anomaly")
        take: str | None = declare(
            Text(), "The output to take; left out: the whole answer.", default=None, example="score"
        )
        default: Any = declare(
            Anything(), "The value where there is no answer; left out: the field is absent.", default=MISSING
        )

    def __init__(self, model: str, take: str | None = None, default: Any = MISSING) -> None:
        """Args:
        model: The model's name.
        take: The output to take, or None for the whole answer.
        default: The value where there is no answer, or MISSING.
        """
        self.model = model
        self.default = default
        self.inputs: tuple[Program, ...] = ()
        self.optional: tuple[Program, ...] = ()
        self.whole = True
        self._take = take
        self._mapped: Callable[[Any], Any] | None = None

    @classmethod
    def from_config(cls, config: Config) -> ModelField:
        """Builds the enricher of a field; what the model is given is told by `given`."""
        return cls(config.model, config.take, config.default)

    @staticmethod
    def example() -> str:
        """A valid value of `enrich.<field>`, as YAML."""
        return "{model: baseline, take: score, default: 0.0}"

    def given(
        self, inputs: Sequence[Program] | None, mapped: Callable[[Any], dict[str, Any]] | None
    ) -> ModelField:
        """The same, knowing the model.

        Args:
            inputs: The model's inputs in order; None: the enriched event.
            mapped: From its reply to its named outputs; None keeps the reply.
        """
        self.inputs, self.whole = tuple(inputs or ()), inputs is None
        self._mapped = mapped
        return self

    def asks(self, function: Callable[..., Any]) -> Callable[[list[Any]], Sequence[Any]]:
        """The function from rows to what is taken of each answer."""

        def ask(rows: list[Any]) -> list[Any]:
            return [self._taken(reply) for reply in function(rows)]

        return ask

    def _taken(self, reply: Any) -> Any:
        if isinstance(reply, Exception):
            return reply
        try:
            found = reply if self._mapped is None else self._mapped(reply)
            if self._take is None:
                return found
            return found[self._take]
        except (KeyError, TypeError, IndexError):
            return EvalError(f"the answer of {self.model} has no '{self._take}'")
        except Exception as error:  # an expression over the reply that has no value
            return error
