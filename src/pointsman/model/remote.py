"""A model behind a wire, as the guard sees it: one attempt at a time, awaited, with no patience of its own.

Who waits for capacity, retries, breaks the circuit and keeps deadlines is the guard (`model/guard.py`), the
same for every protocol. A protocol only turns rows into one request and its answer into replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pointsman.base.errors import ModelError
from pointsman.model.base import CommonKeys, Row

if TYPE_CHECKING:
    from pointsman.model.endpoint import Endpoint

__all__ = ["UNDECLARED", "Ask", "Health", "RemoteModel"]

UNDECLARED = "the server says that the model is ready, and keeps its inputs to itself"
"""What `Health.note` says of a server that declares no inputs though its protocol could."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one attempt is told.

    Attributes:
        timeout: Seconds that are left for this attempt, more than 0; when they have passed, it is cancelled.
        ids: Event ids, one a row; for request and correlation ids.
        trace: `traceparent` and `tracestate` to forward; may be empty.
    """

    timeout: float
    ids: Sequence[str]
    trace: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Health:
    """What a server says of a model.

    Attributes:
        ready: Whether it would answer now.
        version: The version it serves; None where the protocol cannot tell.
        inputs: Dtype and shape of each input it declares, -1 for a dimension that varies; None where the
            protocol cannot tell.
        outputs: The same of its outputs.
        why: Why it is not ready, for people; empty where it is.
        note: Where it is ready and declares no inputs: what was asked, and why no more can be, for people.
    """

    ready: bool
    version: str | None = None
    inputs: Mapping[str, tuple[str, tuple[int, ...]]] | None = None
    outputs: Mapping[str, tuple[str, tuple[int, ...]]] | None = None
    why: str = field(default="", kw_only=True)
    note: str = field(default="", kw_only=True)


class RemoteModel(Protocol):
    """Answers rows over a wire.

    A class is registered under its protocol's key in `models.<m>`, has a `Config` dataclass with its own
    keys and a static `example()`. All coroutines run in the guard's event loop, many at a time, and must
    stand being cancelled at any await: what they hold (a connection, a stream) is given back then.
    """

    protocol: ClassVar[str]
    version: str | None
    """What `result.model_version` says; None where nothing is known. May change with an answer."""
    batches: bool
    """Whether one request can carry several rows. Where some other config of the protocol would let it, an
    attribute `to_batch` says which, for people."""

    @classmethod
    def open(
        cls, name: str, config: Any, common: CommonKeys, folder: Path, endpoint: Endpoint | None
    ) -> Self:
        """Makes the model without touching the network: loads files, checks the mapping.

        Args:
            name: The model's name.
            config: The protocol's own keys, a `Config`.
            common: The keys that every model has.
            folder: Where relative names start.
            endpoint: The connection it shares; None where the model names its own address.

        Raises:
            Misfit: What the document says cannot be.
            MissingExtra: A package that the protocol needs is not installed.
        """

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One attempt: one reply for each row, in order; a ModelError in place of a reply fails that row.

        Neither retries nor waits for capacity. `rows` is not empty, and is one row unless `batches`. A reply
        is what `outputs` see as `reply`: JSON-like values. What answers "too much" raises a ModelOverloaded
        whose `retry_after` is the seconds that the server asked for, where it did.

        Raises:
            ModelError: The attempt failed for all rows; its class says how.
        """

    async def health(self) -> Health:
        """Asks the server whether it is ready and what it declares.

        Raises:
            ModelError: It could not be asked.
        """

    async def close(self) -> None:
        """Frees what `open` and requests took, except the endpoint; called once."""
