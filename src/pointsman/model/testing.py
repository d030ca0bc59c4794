"""The conformance suite of remote protocols: what every one of them must do, for its author to run.

    SUBJECT = Subject("mine", open_mine, rows=[(1.0,), (2.0,)], replies=[3.0, 5.0])

    @pytest.mark.parametrize("behaviour", behaviours_of(SUBJECT), ids=str)
    def test_conformance(behaviour):
        asyncio.run(check(behaviour, SUBJECT, MyServer))

A `Stand` is a server that can be told to misbehave. A protocol says which behaviours it lacks, and why; it
has all others. A server that cannot misbehave, such as a real one, is given those that need no fault.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pointsman.base.errors import (
    InvalidInput,
    InvalidReply,
    ModelError,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
)
from pointsman.base.secret import Hidden
from pointsman.model.auth import AuthKeys
from pointsman.model.base import Costed, Row
from pointsman.model.endpoint import EndpointKeys
from pointsman.model.remote import Ask, RemoteModel

__all__ = ["BEHAVIOURS", "Behaviour", "Case", "Stand", "Subject", "behaviours_of", "check", "table"]

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


def _behaviour(name: str, *needs: str) -> Callable[[_Check], _Check]:
    def keep(run: _Check) -> _Check:
        meaning = " ".join((run.__doc__ or "").split("\n\n")[0].split())
        BEHAVIOURS[name] = Behaviour(name, meaning, needs, run)
        return run

    return keep


def behaviours_of(subject: Subject, faults: frozenset[str] | None = None) -> list[Behaviour]:
    """What the subject must do, at a stand that knows `faults`; None for all of it."""
    return [
        one
        for one in BEHAVIOURS.values()
        if one.name not in subject.lacks and (faults is None or faults.issuperset(one.needs))
    ]


async def check(
    behaviour: Behaviour, subject: Subject, stand: Callable[[], AbstractAsyncContextManager[Stand]]
) -> None:
    """Runs one behaviour at a fresh stand.

    Raises:
        AssertionError: The protocol does otherwise.
    """
    async with stand() as server:
        await behaviour.run(subject, server)


def table(subjects: Sequence[Subject]) -> str:
    """Protocols × behaviours in Markdown, with the reasons for what is lacking below."""
    lines = [
        "| behaviour | " + " | ".join(one.name for one in subjects) + " |",
        "| --- |" + " --- |" * len(subjects),
    ]
    notes: list[str] = []
    for behaviour in BEHAVIOURS.values():
        cells = []
        for subject in subjects:
            reason = subject.lacks.get(behaviour.name)
            if reason is not None and reason not in notes:
                notes.append(reason)
            cells.append("yes" if reason is None else f"– ({notes.index(reason) + 1})")
        lines.append(f"| {behaviour.meaning} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"({n}) {note}\n" for n, note in enumerate(notes, 1))]).rstrip() + "\n"


class _Opened:
    """A model, opened and closed again."""

    def __init__(self, subject: Subject, stand: Stand, keys: EndpointKeys | None = None) -> None:
        self.model = subject.open(stand.address, keys)
        self.subject = subject

    async def __aenter__(self) -> _Opened:
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


async def _failing(subject: Subject, stand: Stand, fault: str, *classes: type[ModelError]) -> ModelError:
    """The failure under a fault, after which the model works again."""
    async with _Opened(subject, stand) as opened:
        stand.misbehave(fault)
        short = 0.3 if fault in ("hang", "slow") else ENOUGH
        failed = await opened.fails(*classes, timeout=short)
        stand.misbehave("")
        await opened.works()
        return failed


@_behaviour("one row")
async def _one_row(subject: Subject, stand: Stand) -> None:
    """One row is answered."""
    async with _Opened(subject, stand) as opened:
        for row, reply in zip(subject.rows, subject.replies, strict=True):
            found = await opened.ask([row])
            assert found == [reply], f"{found} for {row}, expected {[reply]}"


@_behaviour("batch")
async def _batch(subject: Subject, stand: Stand) -> None:
    """A batch is answered in its order."""
    async with _Opened(subject, stand) as opened:
        assert opened.model.batches, "it takes no batches"
        assert await opened.ask(subject.rows) == list(subject.replies)
        assert await opened.ask(subject.rows[::-1]) == list(subject.replies[::-1])


@_behaviour("bad row")
async def _bad_row(subject: Subject, stand: Stand) -> None:
    """A row that the mapping refuses fails alone, as invalid_input."""
    assert subject.bad is not None, "the subject names no bad row"
    async with _Opened(subject, stand) as opened:
        if not opened.model.batches:
            try:
                found = (await opened.ask([subject.bad]))[0]
            except InvalidInput:
                return
            assert isinstance(found, InvalidInput), found
            return
        found = await opened.ask([subject.rows[0], subject.bad, subject.rows[1]])
        assert isinstance(found[1], InvalidInput), found
        assert [found[0], found[2]] == list(subject.replies[:2])


@_behaviour("dtypes")
async def _dtypes(subject: Subject, stand: Stand) -> None:
    """Elements of every type come back as they went."""
    assert subject.dtypes, "the subject names no types"
    for case in subject.dtypes:
        model = case.open(stand.address, None)
        try:
            found = await model.request([case.row], Ask(ENOUGH, ["event-0"], {}))
        finally:
            await model.close()
        assert list(found) == [case.reply], f"{case.dtype}: {found}, expected {[case.reply]}"
        assert repr(found[0]) == repr(case.reply), f"{case.dtype}: {found}, expected {[case.reply]}"


@_behaviour("version")
async def _version(subject: Subject, stand: Stand) -> None:
    """The version that answered is known from the reply."""
    async with _Opened(subject, stand) as opened:
        await opened.works()
        assert opened.model.version == subject.version


@_behaviour("concurrent")
async def _concurrent(subject: Subject, stand: Stand) -> None:
    """Requests under way at once get their own replies."""
    async with _Opened(subject, stand) as opened:
        wanted = [(row, reply) for row, reply in zip(subject.rows, subject.replies, strict=True)] * 10
        found = await asyncio.gather(*(opened.ask([row]) for row, _ in wanted))
        assert found == [[reply] for _, reply in wanted]


@_behaviour("timeout", "hang")
async def _timeout(subject: Subject, stand: Stand) -> None:
    """No answer in time is `timeout`."""
    await _failing(subject, stand, "hang", ModelTimeout)


@_behaviour("slow bytes", "slow")
async def _slow(subject: Subject, stand: Stand) -> None:
    """An answer that drips beyond its time is `timeout`."""
    await _failing(subject, stand, "slow", ModelTimeout)


@_behaviour("cancelled", "hang")
async def _cancelled(subject: Subject, stand: Stand) -> None:
    """A request that is cancelled leaves the next one unharmed."""
    async with _Opened(subject, stand) as opened:
        await opened.works()
        stand.misbehave("hang")
        asked = asyncio.ensure_future(opened.ask(subject.rows[:1]))
        await asyncio.sleep(0.05)  # it is under way; cancelled before, it would show less but fail nothing
        asked.cancel()
        await asyncio.wait([asked])
        stand.misbehave("")
        await opened.works()


@_behaviour("refused")
async def _refused(subject: Subject, stand: Stand) -> None:
    """A server that is not there is `refused`."""
    async with _Nobody() as nobody:
        scheme = stand.address.partition("://")[0]
        model = subject.open(f"{scheme}://127.0.0.1:{nobody.port}", None)
        try:
            await model.request(subject.rows[:1], Ask(ENOUGH, ["event-0"], {}))
        except ModelRefused:
            return
        finally:
            await model.close()
        raise AssertionError("it answered")


@_behaviour("reset", "reset")
async def _reset(subject: Subject, stand: Stand) -> None:
    """A connection that is reset is `refused`."""
    await _failing(subject, stand, "reset", ModelRefused)


@_behaviour("truncated", "truncated")
async def _truncated(subject: Subject, stand: Stand) -> None:
    """An answer that ends too early is `refused` or `invalid_reply`."""
    await _failing(subject, stand, "truncated", ModelRefused, InvalidReply)


@_behaviour("garbage", "garbage")
async def _garbage(subject: Subject, stand: Stand) -> None:
    """An answer that is no message is `invalid_reply`."""
    await _failing(subject, stand, "garbage", InvalidReply)


@_behaviour("wrong type", "wrong_type")
async def _wrong_type(subject: Subject, stand: Stand) -> None:
    """An answer of another content type is `invalid_reply`."""
    await _failing(subject, stand, "wrong_type", InvalidReply)


@_behaviour("wrong id", "wrong_id")
async def _wrong_id(subject: Subject, stand: Stand) -> None:
    """An answer to another request is `invalid_reply`."""
    await _failing(subject, stand, "wrong_id", InvalidReply)


@_behaviour("wrong length", "wrong_length")
async def _wrong_length(subject: Subject, stand: Stand) -> None:
    """An answer with one row too many is `invalid_reply`."""
    await _failing(subject, stand, "wrong_length", InvalidReply)


@_behaviour("too large", "large")
async def _too_large(subject: Subject, stand: Stand) -> None:
    """An answer beyond the bound is `invalid_reply`, and not read to its end."""
    await _failing(subject, stand, "large", InvalidReply)


def _classes(name: str, meaning: str) -> None:
    async def run(subject: Subject, stand: Stand) -> None:
        for fault in stand.failures[name]:
            failed = await _failing(subject, stand, fault, ModelError)
            assert failed.failure == name, f"{fault} is {failed.failure}, expected {name}: {failed}"

    run.__doc__ = meaning
    _behaviour(f"class {name}", f"class {name}")(run)


_classes("invalid_input", "What the server cannot use is `invalid_input`.")
_classes("refused", "What the server will not do is `refused`.")
_classes("internal", "A fault of the server's own is `internal`.")


@_behaviour("class overloaded", "class overloaded")
async def _overloaded(subject: Subject, stand: Stand) -> None:
    """Too much is `overloaded`, with the seconds that the server asks for."""
    for fault in stand.failures["overloaded"]:
        failed = await _failing(subject, stand, fault, ModelOverloaded)
        assert isinstance(failed, ModelOverloaded)
        assert failed.retry_after == 7.0, f"{fault}: retry_after is {failed.retry_after}, expected 7"


@_behaviour("trace", "seen")
async def _trace(subject: Subject, stand: Stand) -> None:
    """The trace context is forwarded."""
    async with _Opened(subject, stand) as opened:
        await opened.works()
        assert stand.headers().get("traceparent") == TRACE["traceparent"]


@_behaviour("credentials", "seen", "echo_secret")
async def _credentials(subject: Subject, stand: Stand) -> None:
    """The credentials are sent, and a server that repeats them puts them into no message."""
    keys = EndpointKeys(auth=AuthKeys(bearer=Hidden(SECRET)))
    async with _Opened(subject, stand, keys) as opened:
        await opened.works()
        assert stand.headers().get("authorization") == f"Bearer {SECRET}"
        stand.misbehave("echo_secret")
        await opened.fails(ModelError)
        assert SECRET not in repr(opened.model) + repr(keys)


@_behaviour("health")
async def _health(subject: Subject, stand: Stand) -> None:
    """A model that is ready is told so, and where its inputs are not, what was asked."""
    async with _Opened(subject, stand) as opened:
        health = await opened.model.health()
        assert health.ready, health.why
        assert health.inputs or health.note, "neither inputs nor what else was asked is told"


@_behaviour("metadata", "metadata")
async def _metadata(subject: Subject, stand: Stand) -> None:
    """The inputs that a server declares are told with dtype and shape."""
    async with _Opened(subject, stand) as opened:
        health = await opened.model.health()
        assert health.inputs, "no inputs are told"
        for dtype, shape in health.inputs.values():
            assert isinstance(dtype, str)
            assert all(isinstance(size, int) for size in shape)


@_behaviour("not ready", "not_ready")
async def _not_ready(subject: Subject, stand: Stand) -> None:
    """A model that is not ready is told so, with the reason."""
    async with _Opened(subject, stand) as opened:
        stand.misbehave("not_ready")
        health = await opened.model.health()
        assert not health.ready
        assert health.why


@_behaviour("unreachable")
async def _unreachable(subject: Subject, stand: Stand) -> None:
    """Asking a server that is not there for its health is `refused`."""
    async with _Nobody() as nobody:
        scheme = stand.address.partition("://")[0]
        model = subject.open(f"{scheme}://127.0.0.1:{nobody.port}", None)
        try:
            await model.health()
        except ModelRefused:
            return
        finally:
            await model.close()
        raise AssertionError("it answered")


@_behaviour("close", "seen")
async def _close(subject: Subject, stand: Stand) -> None:
    """Closing the model ends its connections."""
    async with _Opened(subject, stand) as opened:
        await asyncio.gather(*(opened.works() for _ in range(5)))
    async with asyncio.timeout(ENOUGH):
        await stand.left()


class _Nobody:
    """A port that is taken and that nobody listens on."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    async def __aenter__(self) -> _Nobody:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()
