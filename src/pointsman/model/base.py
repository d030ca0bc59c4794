"""A model as the dispatcher sees it, whatever protocol reaches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol

from pointsman.base.errors import ModelError
from pointsman.base.registry import Registry

__all__ = ["DISPATCHED", "CommonKeys", "Costed", "Dispatched", "Model", "Row", "models"]

Row = tuple[Any, ...] | dict[str, Any]
"""One event's inputs: values in the order of the input names, or the enriched event where no inputs are
named."""


class Dispatched:
    """The class of `DISPATCHED`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DISPATCHED"


DISPATCHED: Final = Dispatched()
"""The reply of a model that was handed the event and does not answer."""


class Costed:
    """A reply whose protocol says what it cost; no dataclass, so that an encoder does not take it for one.

    Attributes:
        cost: In the unit of the model's prices, for this one event.
    """

    __slots__ = ("cost", "reply")

    def __init__(self, reply: Any, cost: float) -> None:
        self.reply = reply
        self.cost = cost


class CommonKeys(Protocol):
    """The keys of every model that a protocol reads, as `spec.document.Common` has them."""

    @property
    def inputs(self) -> Mapping[str, Any] | None:
        """The expression of each input, by name, in the order of a row's values."""

    @property
    def version(self) -> str | None:
        """The version that results name, where the document says it."""

    @property
    def timeout(self) -> float:
        """Seconds that one call may take."""

    @property
    def model(self) -> str | None:
        """Its name at its server; None where that is its name in the document."""


class Model(Protocol):
    """Answers a batch of inputs.

    A class is registered under its protocol's key in `models.<m>`, has a `Config` dataclass with its own
    keys, and is built with `open(name, config, common, folder)`, which loads what it needs, compares declared
    inputs with what the model expects (dtype, shape) and raises a Misfit where they differ. One instance
    serves one worker and is called by one thread at a time; only a call that was given up, because it
    outlived its timeout, may still run beside the next.
    """

    protocol: ClassVar[str]
    version: str | None
    """What `result.model_version` says; None where nothing is known."""

    def predict(self, rows: Sequence[Row]) -> Sequence[Any | ModelError]:
        """One reply for each row, in order; a ModelError in place of a reply fails that row alone.

        May block and may raise: a raised ModelError, or any other exception, fails every row of the call. A
        reply is what `outputs` see as `reply`: JSON-like values.
        """

    def close(self) -> None:
        """Frees what `open` took; called once, from any thread."""


models: Registry[Model] = Registry("model", "pointsman.model")
