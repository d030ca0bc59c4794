"""Whatever a server sends, an attempt ends in replies or in a ModelError, and never in anything else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from model.faults import faulty
from model.rest.subjects import AB, ROWS, SUBJECTS, Common, opening
from pointsman.base.errors import InvalidReply, ModelError, ModelRefused
from pointsman.model.remote import Ask
from pointsman.model.testing import Subject

DEEP: Any = 1
for _ in range(200):
    DEEP = [DEEP]

TENSORS = [
    {},
    {"name": "score", "datatype": "FP64", "shape": [1], "data": [[]]},
    {"name": "score", "datatype": "FP64", "shape": [-1], "data": [1.0]},
    {"name": "score", "datatype": "FP64", "shape": [2**62, 2**62], "data": [1.0]},
    {"name": "score", "datatype": "FP64", "shape": ["x"], "data": [1.0]},
    {"name": "score", "datatype": "FP64", "shape": 1, "data": [1.0]},
    {"name": "score", "datatype": "FP64", "shape": [1e400], "data": [1.0]},
    {"name": "score", "datatype": "FP64", "shape": [1], "data": ["1.0"]},
    {"name": "score", "datatype": "FP64", "shape": [1], "data": {"0": 1.0}},
    {"name": "score", "datatype": "INT32", "shape": [1], "data": [1.5]},
    {"name": "score", "datatype": "INT32", "shape": [1], "data": [None]},
    {"name": "score", "datatype": "BOOL", "shape": [1], "data": [2]},
    {"name": "score", "datatype": "BYTES", "shape": [1], "data": [1]},
    {"name": "score", "datatype": ["FP64"], "shape": [1], "data": [1.0]},
    {"name": "score", "datatype": "FP128", "shape": [1], "data": [1.0]},
    {"name": ["score"], "datatype": "FP64", "shape": [0], "data": []},
]
ANSWERS: list[Any] = [
    None,
    True,
    1.5,
    "text",
    [],
    {},
    DEEP,
    [None],
    {"error": "so it is"},
    *({name: value} for name in ("predictions", "outputs", "data", "choices") for value in (
        None, 1, "x", {}, {"a": 1}, {"a": [], "b": [1]}, {"": None}, [], [None], [[], []], DEEP, [1, 2, 3],
    )),
    *({"outputs": [tensor], "id": None} for tensor in TENSORS),
    {"outputs": [], "id": "event-0"},
    {"outputs": [{"name": "s", "datatype": "FP64", "shape": [1], "data": [1.0]}], "id": ["other"]},
    *({"choices": [one]} for one in ({}, {"message": None}, {"message": {}}, {"message": {"content": 1}})),
    {"choices": [{"message": {"content": "x", "tool_calls": 1}, "finish_reason": {}}], "usage": [1]},
    {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}, "model": 3},
    *({"data": [one]} for one in (1, {"index": 5, "embedding": []}, {"index": 0})),
    {"data": [{"index": [], "embedding": 1}, {"index": {}, "embedding": 1}]},
    {"ready": "maybe"},
    {"ready": False, "model_version_status": 7},
    {"model_version_status": [1, {"state": []}, {"version": {}, "state": "AVAILABLE"}], "metadata": 3},
    {"model_version_status": [{"version": "1", "state": "AVAILABLE"}], "model_spec": 1},
    {"metadata": {"signature_def": {"signature_def": {"serving_default": {"inputs": {"a": 1}}}}}},
    {"versions": 1, "inputs": 1, "outputs": [{}]},
    {"versions": {}, "inputs": [{"name": 1, "datatype": None, "shape": None}], "id": 4},
]  # fmt: skip


@pytest.mark.parametrize("name", SUBJECTS)
def test_any_json_is_a_reply_or_a_failure(name: str) -> None:
    """Values of every other shape give one reply a row, or a ModelError; so does health."""
    subject: Subject = SUBJECTS[name][0]
    said: list[Any] = [None]

    async def run() -> None:
        async with faulty(lambda *_: (200, said[0])) as server:
            model = subject.open(server.address, None)
            rows = subject.rows[: 2 if model.batches else 1]
            for said[0] in ANSWERS:
                with contextlib.suppress(ModelError):
                    replies = await model.request(rows, Ask(20.0, ["event-0"] * len(rows), {}))
                    assert len(replies) == len(rows)
                with contextlib.suppress(ModelError):
                    await model.health()
            await model.close()

    asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
RAW = {
    "not HTTP": b"\x00\x01\x02 hello\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "a bad length": OK + b"Content-Length: many\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "a bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a chunk that ends early": OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "a long header": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
    "a bad encoding": OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of its own": b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    "an empty body": OK + b"Content-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "only a head": b"HTTP/1.1 200 OK\r\nContent-Type: appl",
}


@contextlib.asynccontextmanager
async def saying(content: bytes) -> AsyncIterator[str]:
    """A server that says this to everything and hangs up; gives its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(content)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()


@pytest.mark.parametrize("content", RAW.values(), ids=RAW)
def test_bytes_that_are_no_answer_are_a_failure(content: bytes) -> None:
    """They are refused, invalid_reply or internal, and the message is one short printable line."""

    async def run() -> None:
        async with saying(content) as address:
            model = opening("kserve", address, None, Common(AB))
            with pytest.raises(ModelError) as caught:
                await model.request(ROWS[:1], Ask(20.0, ["1"], {}))
            assert caught.value.failure in ("refused", "invalid_reply", "internal")
            assert isinstance(caught.value, InvalidReply | ModelRefused) or b"999" in content
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 500
            await model.close()

    asyncio.run(run())
