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
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

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
from pointsman.model.endpoint import EndpointKeys
from pointsman.model.remote import Ask
from pointsman.model.suite import (
    BEHAVIOURS,
    ENOUGH,
    SECRET,
    TRACE,
    Behaviour,
    Case,
    Nobody,
    Opened,
    Stand,
    Subject,
    behaves,
    failing,
)

__all__ = ["BEHAVIOURS", "Behaviour", "Case", "Stand", "Subject", "behaviours_of", "check", "table"]


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


def _fault(name: str, fault: str, meaning: str, *classes: type[ModelError]) -> None:
    """A behaviour: under a fault a request fails in one of these ways, and after it the model works."""

    async def run(subject: Subject, stand: Stand) -> None:
        await failing(subject, stand, fault, *classes)

    run.__doc__ = meaning
    behaves(name, fault)(run)


@behaves("one row")
async def _one_row(subject: Subject, stand: Stand) -> None:
    """One row is answered."""
    async with Opened(subject, stand) as opened:
        for row, reply in zip(subject.rows, subject.replies, strict=True):
            found = await opened.ask([row])
            assert found == [reply], f"{found} for {row}, expected {[reply]}"


@behaves("batch")
async def _batch(subject: Subject, stand: Stand) -> None:
    """A batch is answered in its order."""
    async with Opened(subject, stand) as opened:
        assert opened.model.batches, "it takes no batches"
        assert await opened.ask(subject.rows) == list(subject.replies)
        assert await opened.ask(subject.rows[::-1]) == list(subject.replies[::-1])


@behaves("bad row")
async def _bad_row(subject: Subject, stand: Stand) -> None:
    """A row that the mapping refuses fails alone, as invalid_input."""
    assert subject.bad is not None, "the subject names no bad row"
    async with Opened(subject, stand) as opened:
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


@behaves("dtypes")
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


@behaves("version")
async def _version(subject: Subject, stand: Stand) -> None:
    """The version that answered is known from the reply."""
    async with Opened(subject, stand) as opened:
        await opened.works()
        assert opened.model.version == subject.version


@behaves("concurrent")
async def _concurrent(subject: Subject, stand: Stand) -> None:
    """Requests under way at once get their own replies."""
    async with Opened(subject, stand) as opened:
        wanted = [(row, reply) for row, reply in zip(subject.rows, subject.replies, strict=True)] * 10
        found = await asyncio.gather(*(opened.ask([row]) for row, _ in wanted))
        assert found == [[reply] for _, reply in wanted]


_fault("timeout", "hang", "No answer in time is `timeout`.", ModelTimeout)
_fault("slow bytes", "slow", "An answer that drips beyond its time is `timeout`.", ModelTimeout)


@behaves("cancelled", "hang")
async def _cancelled(subject: Subject, stand: Stand) -> None:
    """A request that is cancelled leaves the next one unharmed."""
    async with Opened(subject, stand) as opened:
        await opened.works()
        stand.misbehave("hang")
        asked = asyncio.ensure_future(opened.ask(subject.rows[:1]))
        await asyncio.sleep(0.05)  # it is under way; cancelled before, it would show less but fail nothing
        asked.cancel()
        await asyncio.wait([asked])
        stand.misbehave("")
        await opened.works()


@behaves("refused")
async def _refused(subject: Subject, stand: Stand) -> None:
    """A server that is not there is `refused`."""
    async with Nobody() as nobody:
        scheme = stand.address.partition("://")[0]
        model = subject.open(f"{scheme}://127.0.0.1:{nobody.port}", None)
        try:
            await model.request(subject.rows[:1], Ask(ENOUGH, ["event-0"], {}))
        except ModelRefused:
            return
        finally:
            await model.close()
        raise AssertionError("it answered")


_fault("reset", "reset", "A connection that is reset is `refused`.", ModelRefused)
_fault(
    "truncated",
    "truncated",
    "An answer that ends too early is `refused` or `invalid_reply`.",
    ModelRefused,
    InvalidReply,
)
_fault("garbage", "garbage", "An answer that is no message is `invalid_reply`.", InvalidReply)
_fault("wrong type", "wrong_type", "An answer of another content type is `invalid_reply`.", InvalidReply)
_fault("wrong id", "wrong_id", "An answer to another request is `invalid_reply`.", InvalidReply)
_fault("wrong length", "wrong_length", "An answer with one row too many is `invalid_reply`.", InvalidReply)
_fault(
    "too large",
    "large",
    "An answer beyond the bound is `invalid_reply`, and not read to its end.",
    InvalidReply,
)


def _classes(name: str, meaning: str) -> None:
    async def run(subject: Subject, stand: Stand) -> None:
        for fault in stand.failures[name]:
            failed = await failing(subject, stand, fault, ModelError)
            assert failed.failure == name, f"{fault} is {failed.failure}, expected {name}: {failed}"

    run.__doc__ = meaning
    behaves(f"class {name}", f"class {name}")(run)


_classes("invalid_input", "What the server cannot use is `invalid_input`.")
_classes("refused", "What the server will not do is `refused`.")
_classes("internal", "A fault of the server's own is `internal`.")


@behaves("class overloaded", "class overloaded")
async def _overloaded(subject: Subject, stand: Stand) -> None:
    """Too much is `overloaded`, with the seconds that the server asks for."""
    for fault in stand.failures["overloaded"]:
        failed = await failing(subject, stand, fault, ModelOverloaded)
        assert isinstance(failed, ModelOverloaded)
        assert failed.retry_after == 7.0, f"{fault}: retry_after is {failed.retry_after}, expected 7"


@behaves("trace", "seen")
async def _trace(subject: Subject, stand: Stand) -> None:
    """The trace context is forwarded."""
    async with Opened(subject, stand) as opened:
        await opened.works()
        assert stand.headers().get("traceparent") == TRACE["traceparent"]


@behaves("credentials", "seen", "echo_secret")
async def _credentials(subject: Subject, stand: Stand) -> None:
    """The credentials are sent, and a server that repeats them puts them into no message."""
    keys = EndpointKeys(auth=AuthKeys(bearer=Hidden(SECRET)))
    async with Opened(subject, stand, keys) as opened:
        await opened.works()
        assert stand.headers().get("authorization") == f"Bearer {SECRET}"
        stand.misbehave("echo_secret")
        await opened.fails(ModelError)
        assert SECRET not in repr(opened.model) + repr(keys)


@behaves("health")
async def _health(subject: Subject, stand: Stand) -> None:
    """A model that is ready is told so, and where its inputs are not, what was asked."""
    async with Opened(subject, stand) as opened:
        health = await opened.model.health()
        assert health.ready, health.why
        assert health.inputs or health.note, "neither inputs nor what else was asked is told"


@behaves("metadata", "metadata")
async def _metadata(subject: Subject, stand: Stand) -> None:
    """The inputs that a server declares are told with dtype and shape."""
    async with Opened(subject, stand) as opened:
        health = await opened.model.health()
        assert health.inputs, "no inputs are told"
        for dtype, shape in health.inputs.values():
            assert isinstance(dtype, str)
            assert all(isinstance(size, int) for size in shape)


@behaves("not ready", "not_ready")
async def _not_ready(subject: Subject, stand: Stand) -> None:
    """A model that is not ready is told so, with the reason."""
    async with Opened(subject, stand) as opened:
        stand.misbehave("not_ready")
        health = await opened.model.health()
        assert not health.ready
        assert health.why


@behaves("unreachable")
async def _unreachable(subject: Subject, stand: Stand) -> None:
    """Asking a server that is not there for its health is `refused`."""
    async with Nobody() as nobody:
        scheme = stand.address.partition("://")[0]
        model = subject.open(f"{scheme}://127.0.0.1:{nobody.port}", None)
        try:
            await model.health()
        except ModelRefused:
            return
        finally:
            await model.close()
        raise AssertionError("it answered")


@behaves("close", "seen")
async def _close(subject: Subject, stand: Stand) -> None:
    """Closing the model ends its connections."""
    async with Opened(subject, stand) as opened:
        await asyncio.gather(*(opened.works() for _ in range(5)))
    async with asyncio.timeout(ENOUGH):
        await stand.left()
