"""What the conformance suite of remote protocols is made of: stands, subjects, behaviours, ways to ask."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pointsman.base.errors import ModelError
from pointsman.model.base import Costed, Row
from pointsman.model.endpoint import EndpointKeys
from pointsman.model.remote import Ask, RemoteModel

__all__ = [
    "BEHAVIOURS", "ENOUGH", "SECRET", "TRACE", "Behaviour", "Case", "Nobody", "Opened", "Stand", "Subject",
    "behaves", "failing",
]  # fmt: skip

SECRET: Final = "swordfish-7f3a"
TRACE: Final = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
ENOUGH: Final = 20.0
"""Seconds that an attempt is given where the time is not the point."""


class Stand(Protocol):
    """A server that speaks a protocol and can misbehave.

    Attributes:
        address: Where it is.
        faults: What it can be told: `hang`, `slow`, `reset`, `truncated`, `garbage`, `wrong_type`,
            `wrong_id`, `wrong_length`, `large`, `not_ready`, `echo_secret`; and what it has: `metadata`,
            `seen` (it can tell `headers`), `class invalid_input` and so on (it has such `failures`).
        failures: For a failure class, the faults that must give it, such as `("status 429",)`.
    """

    address: str
    faults: frozenset[str]
    failures: Mapping[str, Sequence[str]]

    def misbehave(self, fault: str) -> None:
        """From now on; an empty text behaves again."""

    def headers(self) -> Mapping[str, str]:
        """Headers or metadata of the last request, by name in lower case."""

    async def left(self) -> None:
        """Returns once no client is connected."""


@dataclass(frozen=True, slots=True)
class Case:
    """One type of element, sent and given back.

    Attributes:
        dtype: For the name of the case.
        open: Opens the model at an address.
        row: What is sent.
        reply: What comes back.
    """

    dtype: str
    open: Callable[[str, EndpointKeys | None], RemoteModel]
    row: Row
    reply: Any


@dataclass(frozen=True, slots=True)
class Subject:
    """A protocol under test.

    Attributes:
        name: As in the table.
        open: Opens the model at an address, with the keys of an endpoint or without.
        rows: At least two rows with different replies.
        replies: Theirs.
        bad: A row that the mapping refuses; None where any row can be sent.
        version: What the server says of its version after a reply.
        dtypes: One case for each type of element.
        lacks: Behaviours that it does not have, with the reason.
    """

    name: str
    open: Callable[[str, EndpointKeys | None], RemoteModel]
    rows: Sequence[Row]
    replies: Sequence[Any]
    bad: Row | None = None
    version: str | None = None
    dtypes: Sequence[Case] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing that a protocol does.

    Attributes:
        name: In the table.
        meaning: One sentence.
        needs: The faults that the stand must know.
        run: Raises an AssertionError where the protocol does otherwise.
    """

    name: str
    meaning: str
    needs: tuple[str, ...]
    run: Callable[[Subject, Stand], Awaitable[None]]

    def __str__(self) -> str:
        return self.name


BEHAVIOURS: Final[dict[str, Behaviour]] = {}
"""By name, in the order of the table."""

_Check = Callable[[Subject, Stand], Awaitable[None]]


def behaves(name: str, *needs: str) -> Callable[[_Check], _Check]:
    """Makes a behaviour of a function, whose docstring is its meaning."""

    def keep(run: _Check) -> _Check:
        meaning = " ".join((run.__doc__ or "").split("\n\n")[0].split())
        BEHAVIOURS[name] = Behaviour(name, meaning, needs, run)
        return run

    return keep


class Opened:
    """A model, opened and closed again."""

    def __init__(self, subject: Subject, stand: Stand, keys: EndpointKeys | None = None) -> None:
        self.model = subject.open(stand.address, keys)
        self.subject = subject

    async def __aenter__(self) -> Opened:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.model.close()

    async def ask(self, rows: Sequence[Row], timeout: float = ENOUGH) -> list[Any]:
        """The replies, without what they cost."""
        ids = [f"event-{n}" for n in range(len(rows))]
        replies = await self.model.request(rows, Ask(timeout, ids, TRACE))
        assert len(replies) == len(rows), "one reply for each row"
        return [one.reply if isinstance(one, Costed) else one for one in replies]

    async def fails(self, *classes: type[ModelError], timeout: float = ENOUGH) -> ModelError:
        """The error of a request that must fail in one of these ways."""
        try:
            replies = await self.ask(self.subject.rows[:1], timeout)
        except ModelError as error:
            failed: Any = error
        else:
            failed = replies[0]
        found = type(failed).__name__ if isinstance(failed, ModelError) else repr(failed)[:80]
        assert isinstance(failed, classes), f"{found}: {failed}; expected {[c.__name__ for c in classes]}"
        assert SECRET not in str(failed), "a secret stands in the message"
        return failed

    async def works(self) -> None:
        """One row is answered rightly."""
        assert await self.ask(self.subject.rows[:1]) == list(self.subject.replies[:1])


async def failing(subject: Subject, stand: Stand, fault: str, *classes: type[ModelError]) -> ModelError:
    """The failure under a fault, after which the model works again."""
    async with Opened(subject, stand) as opened:
        stand.misbehave(fault)
        short = 0.3 if fault in ("hang", "slow") else ENOUGH
        failed = await opened.fails(*classes, timeout=short)
        stand.misbehave("")
        await opened.works()
        return failed


class Nobody:
    """A port that is taken and that nobody listens on."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    async def __aenter__(self) -> Nobody:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()
