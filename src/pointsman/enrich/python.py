"""`FIELD: {python: "module:function"}`: what a person's function says of the enriched event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pointsman.base.config import Anything, Duration, PythonName
from pointsman.base.config import key as declare
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING
from pointsman.enrich.base import enrichers

__all__ = ["PythonField"]


@enrichers.add("python")
class PythonField:
    """Adds what a function gives: it takes a list of enriched events and returns a list of as many values.

    It is called once for a batch, in a thread of its own; `async def` is awaited, a class is built once per
    worker and its `predict` called. An event sees the metadata added before this field. The function may
    return an exception in place of one value. Where there is no value, the field is the default; without one
    it is absent and the record names the error.
    """

    name: ClassVar[str] = "python"
    result: str = "dyn"
    inputs: tuple[Program, ...] = ()
    optional: tuple[Program, ...] = ()
    whole: bool = True

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `enrich.<field>: {python: …}`."""

        python: str = declare(PythonName(), "The function, or class with `predict`.", example='"geo:locate"')
        timeout: float = declare(Duration(), "How long a batch may take.", default=1.0, example="100ms")
        default: Any = declare(
            Anything(),
            "The value where the function gives none; left out: the field is absent.",
            default=MISSING,
        )

    def __init__(self, default: Any = MISSING) -> None:
        """Args:
        default: The value where the function gives none, or MISSING.
        """
        self.default = default

    @classmethod
    def from_config(cls, config: Config) -> PythonField:
        """Builds the enricher of a field; the function itself is opened with the pipeline."""
        return cls(config.default)

    @staticmethod
    def example() -> str:
        """A valid value of `enrich.<field>`, as YAML."""
        return '{python: "geo:locate", default: unknown}'

    def asks(self, function: Callable[..., Any]) -> Callable[[list[Any]], Sequence[Any]]:
        """The function as it is."""
        return function
