"""The page of faults, and what becomes of an event: `python -m model.fault_page` writes it, a test compares.

Every cell was seen: a server misbehaves, and a pipeline whose model is there decides events.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import yaml

from model.faults import faulty
from model.grpc import speakers as grpc_speakers
from model.grpc.certificates import Authority
from model.grpc.server import Server, serving, socket_that
from model.grpc.stand import standing
from model.rest import speakers
from pointsman.runner.file import run_file
from pointsman.runner.metrics import total
from pointsman.spec import load

__all__ = ["FAULTS", "PAGE", "Outcome", "outcome", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"

Place = Callable[[Path], AbstractAsyncContextManager[tuple[str, dict[str, Any]]]]
"""A server that misbehaves: its address, and the keys of its endpoint."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a server fails.

    Attributes:
        name: In the table.
        place: The server.
        times_out: Whether nothing ends it but the timeout.
    """

    name: str
    place: Place
    times_out: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of events.

    Attributes:
        failure: The class of the attempts.
        attempts: How many were made for an event alone in its request.
        batch: The same for each of two events that share a request.
        opens: Whether the breaker opens when attempts go on failing so.
        answers: Who answered, and with which status.
    """

    failure: str
    attempts: int
    batch: int
    opens: bool
    answers: str


def rest(fault: str) -> Place:
    """A REST server with a fault."""

    @asynccontextmanager
    async def place(_: Path) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        async with faulty(speakers.open_inference, "wrong_id") as server:
            answer = server._answer
            if fault.endswith("plain"):  # without Retry-After
                server._answer = lambda *given: (*answer(*given)[:3], [])
            server.misbehave(fault)
            yield server.address, {}

    return place


def wire(fault: str) -> Place:
    """A gRPC server with a fault."""

    @asynccontextmanager
    async def place(_: Path) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        async with standing(grpc_speakers.open_inference, "wrong_id") as server:
            server.misbehave(fault)
            yield server.address, {}

    return place


def half_open(scheme: str) -> Place:
    """A port that takes connections and what comes, and says nothing."""

    def silent(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    @asynccontextmanager
    async def place(_: Path) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        with socket_that(silent) as port:
            yield f"{scheme}://127.0.0.1:{port}", {}

    return place


def closed(scheme: str) -> Place:
    """A port that nobody listens on."""

    @asynccontextmanager
    async def place(_: Path) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        with socket.socket() as taken:  # bound, so that nobody else takes it, and not listening
            taken.bind(("127.0.0.1", 0))
            yield f"{scheme}://127.0.0.1:{taken.getsockname()[1]}", {}

    return place


@asynccontextmanager
async def expired_rest(folder: Path) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """A REST server whose certificate is no longer valid."""
    authority = Authority(folder)
    pair = authority.pair("localhost", expired=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    async with faulty(speakers.open_inference, context=context) as server:
        yield server.address.replace("127.0.0.1", "localhost"), {"ca": str(authority.path)}


@asynccontextmanager
async def expired_grpc(folder: Path) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """A gRPC server whose certificate is no longer valid."""
    authority = Authority(folder)
    pair = authority.pair("localhost", expired=True)
    credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())])
    server: Server
    with serving(credentials) as server:
        yield f"grpcs://localhost:{server.port}", {"ca": str(authority.path)}


FAULTS: dict[str, Sequence[Fault]] = {
    "REST": (
        Fault("nobody listens", closed("http")),
        Fault("the connection is reset", rest("reset")),
        Fault("half-open: connected, and never an answer", half_open("http"), times_out=True),
        Fault("slow bytes: ten a second", rest("slow"), times_out=True),
        Fault("the reply is cut off", rest("truncated")),
        Fault("garbage in place of JSON", rest("garbage")),
        Fault("another content type", rest("wrong_type")),
        Fault("fewer or more replies than events", rest("wrong_length")),
        Fault("the reply to another request", rest("wrong_id")),
        Fault("400", rest("status 400 plain")),
        Fault("401", rest("status 401 plain")),
        Fault("404", rest("status 404 plain")),
        Fault("429", rest("status 429 plain")),
        Fault("429, Retry-After beyond the deadline", rest("status 429")),
        Fault("500", rest("status 500 plain")),
        Fault("503", rest("status 503 plain")),
        Fault("503, Retry-After beyond the deadline", rest("status 503")),
        Fault("an expired TLS certificate", expired_rest),
    ),
    "gRPC": (
        Fault("nobody listens", closed("grpc")),
        Fault("the connection is reset", wire("reset")),
        Fault("half-open: connected, and never an answer", half_open("grpc"), times_out=True),
        Fault("slow bytes: ten a second", wire("slow"), times_out=True),
        Fault("a frame is cut off", wire("truncated")),
        Fault("garbage in place of a message", wire("garbage")),
        Fault("fewer or more replies than events", wire("wrong_length")),
        Fault("the reply to another request", wire("wrong_id")),
        Fault("INVALID_ARGUMENT", wire("INVALID_ARGUMENT")),
        Fault("UNAUTHENTICATED", wire("UNAUTHENTICATED")),
        Fault("NOT_FOUND", wire("NOT_FOUND")),
        Fault("RESOURCE_EXHAUSTED, retry-after beyond the deadline", wire("RESOURCE_EXHAUSTED")),
        Fault("UNAVAILABLE", wire("UNAVAILABLE")),
        Fault("INTERNAL", wire("INTERNAL")),
        Fault("an expired TLS certificate", expired_grpc),
    ),
}

HEAD = """\
# Faults, and what becomes of an event

Written by a test (`tests/model/fault_page.py`) that has a server misbehave in each of these ways, and a
pipeline decide events by a model that is there. The model has `retry: {attempts: 2}` and a `fallback` to
a constant, its route a deadline of three seconds; what nothing else ends is ended by the `timeout`. What
the columns mean stands in [Dispatch](dispatch.md).

*Attempts* are those of one event that has a request to itself, and of each of two events that share one
(`batch`). Where a batch has more, the request was cut in two to find the event at fault. *Breaker* says
whether attempts that go on failing so open it.
"""


async def outcome(fault: Fault) -> Outcome:
    """Lets it happen: to one event, to two in a batch, and to many."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with fault.place(folder) as (address, tls):
            alone, _ = await asyncio.to_thread(_decided, folder, fault, address, tls, 1)
            pair = {"size": 2, "wait": "1s"}
            batch, _ = await asyncio.to_thread(_decided, folder, fault, address, tls, 2, pair)
            _, opened = await asyncio.to_thread(_decided, folder, fault, address, tls, 12)
    failures = {one["class"] for record in alone for one in _attempts(record)}
    answers = {f"{r['result']['model']}, {r['result']['status']}" for r in [*alone, *batch]}
    lengths = {len(_attempts(record)) for record in batch}
    assert len(failures) == len(answers) == 1, (fault.name, alone, batch)
    return Outcome(failures.pop(), len(_attempts(alone[0])), max(lengths), opened > 0, answers.pop())


def _attempts(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in record["result"]["attempts"] if one["model"] == "m"]


def _decided(
    folder: Path,
    fault: Fault,
    address: str,
    tls: dict[str, Any],
    count: int,
    batch: dict[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], float]:
    """The records of `count` events, and how often the breaker has opened."""
    document = {
        "version": 1,
        "pipeline": "faults",
        "source": {"topics": ["in"], "fields": {"a": "double", "b": "double"}},
        "endpoints": {"e": {"open_inference": address, **({"tls": tls} if tls else {})}},
        "models": {
            "m": {
                "endpoint": "e",
                "model": "linear",
                "inputs": {"a": "a", "b": "b"},
                "tensors": {"x": {"of": ["a", "b"], "dtype": "float32"}},
                "outputs": {"score": "reply.score"},
                "timeout": "200ms" if fault.times_out else "10s",
                "retry": {"attempts": 2, "wait": "1ms"},
                "breaker": {"calls": 4, "wait": "60s"},
                "fallback": [{"constant": {"score": 0.5}}],
                **({"batch": batch} if batch else {}),
            }
        },
        "routes": [{"name": "all", "use": "m", "deadline": "3s"}],
    }
    path, events = folder / "pipeline.yaml", folder / "events.jsonl"
    path.write_text(yaml.safe_dump(document))
    events.write_text(json.dumps({"a": 1.0, "b": 2.0}) + "\n")
    events.write_text(events.read_text() * count)
    decisions, letters = io.BytesIO(), io.BytesIO()
    metrics = run_file(load(path), str(events), decisions=decisions, dead_letters=letters)
    records = [json.loads(line) for line in decisions.getvalue().splitlines()]
    assert len(records) == count, (fault.name, records)
    assert letters.getvalue() == b"", letters.getvalue()
    return records, total(metrics.snapshot(), "pointsman_model_breaker_opened_total")


async def page() -> str:
    """The page as it should stand in docs."""
    lines = [HEAD]
    for protocol, faults in FAULTS.items():
        lines += [f"## {protocol} (`open_inference`)", ""]
        lines += [
            "| fault | class | attempts | in a batch | breaker | answered by |",
            "|---|---|---|---|---|---|",
        ]
        for fault in faults:
            found = await outcome(fault)
            opens = "opens" if found.opens else "stays shut"
            cells = [fault.name, f"`{found.failure}`", found.attempts, found.batch, opens, found.answers]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(page()), encoding="utf-8")
