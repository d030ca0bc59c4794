"""Any unary method: which field takes which input, what comes back, and what is refused when opened."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.grpc.server import Answer, serving, status
from model.grpc.speakers import SCORING
from model.rest.subjects import Common, cel
from pointsman.base.errors import InvalidInput, Misfit, MissingExtra
from pointsman.cel.values import Timestamp, Uint
from pointsman.model.endpoint import Endpoint
from pointsman.model.grpc import GrpcModel
from pointsman.model.grpc_channel import channel_of
from pointsman.model.proto_files import method_of
from pointsman.model.remote import Ask, Health

METHOD = "scoring.Scorer/Score"
SCORE = "/scoring.Scorer/Score"
CHECK = "/grpc.health.v1.Health/Check"


def opened(address: str = "grpc://localhost:1", proto: Path = SCORING, **inputs: Any) -> GrpcModel:
    """A model of the tests' service."""
    config = GrpcModel.Config(grpc=address, method=METHOD, proto=proto)
    return GrpcModel.open("m", config, Common(inputs or {"a": None}), proto.parent, None)


def asked(answer: Answer, inputs: dict[str, Any], proto: Path = SCORING) -> Any:
    """The reply to one row."""

    async def once() -> Any:
        model = opened(server.address, proto, **dict.fromkeys(inputs))
        try:
            return (await model.request([tuple(inputs.values())], Ask(10, ("e1",), {})))[0]
        finally:
            await model.close()

    with serving(**{SCORE: answer}) as server:
        return asyncio.run(once())


def test_inputs_fill_fields_of_any_depth() -> None:
    """A dotted name is a field of a message inside; maps, lists, enums and times have their forms."""
    got: list[Any] = []

    def answer(content: bytes, _: Any) -> bytes:
        got.append(method_of(SCORING, METHOD, SCORING.parent)[1].FromString(content))
        return b""

    asked(
        answer,
        {
            "a": 5,
            "user.id": "u1",
            "user.tier": "GOLD",
            "user.since": Timestamp(1_500_000_000_500_000_000),
            "counts": [1, Uint(2), 2**62],
            "features": {"x": 1.5, "y": 2},
            "blob": b"\xff\x00",
            "big": 2**60,
            "flag": False,
        },
    )
    (request,) = got
    assert (request.a, request.b, request.user.id, request.user.tier) == (5.0, 0.0, "u1", 2)
    assert request.user.since.ToNanoseconds() == 1_500_000_000_500_000_000
    assert (list(request.counts), dict(request.features)) == ([1, 2, 2**62], {"x": 1.5, "y": 2.0})
    assert (request.blob, request.big.value) == (b"\xff\x00", 2**60)
    assert request.HasField("flag")


def test_a_whole_message_may_be_one_input() -> None:
    """A map fills a message; null leaves a field unset."""
    got: list[Any] = []

    def answer(content: bytes, _: Any) -> bytes:
        got.append(method_of(SCORING, METHOD, SCORING.parent)[1].FromString(content))
        return b""

    asked(answer, {"user": {"id": "u1", "tier": "GOLD"}, "flag": None})
    assert (got[0].user.id, got[0].user.tier, got[0].HasField("flag")) == ("u1", 2, False)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"a": "much"}, "much"),
        ({"user.tier": "SILVER"}, "SILVER"),
        ({"counts": [1.5]}, "1.5"),
        ({"counts": [2**63]}, "counts"),
        ({"user.id": 5}, "id"),
        ({"user.id": "\ud800"}, "surrogates not allowed"),
        ({"features": [1]}, "features"),
        ({"user": {"name": "x"}}, "name"),
    ],
)
def test_a_value_that_does_not_fit_is_the_events_fault(inputs: dict[str, Any], told: str) -> None:
    """It fails as invalid_input, with the message's name and what was wrong; nothing is sent."""
    with pytest.raises(InvalidInput, match=r"do not fit scoring\.Request") as caught:
        asked(status_never, inputs)
    assert told in str(caught.value)


def status_never(_content: bytes, _context: Any) -> bytes:
    """A server that must not be reached."""
    raise AssertionError("it was asked")


def test_a_reply_is_a_map_by_field_name() -> None:
    """64-bit integers stay whole, enums are names, times are text; an unset message or oneof is left out."""
    reply = method_of(SCORING, METHOD, SCORING.parent)[2]

    def answer(_content: bytes, _: Any) -> bytes:
        message = reply(score=0.5, count=2**63 - 1, tier="GOLD", code=0, blob=b"\xff", big={"value": 2**60})
        message.user.id = "u1"
        message.user.since.FromNanoseconds(1_500_000_000_000_000_000)
        message.users.add(tier="GOLD")
        message.by_flag[True] = 7
        content: bytes = message.SerializeToString()
        return content

    assert asked(answer, {"a": 1.0}) == {
        "score": 0.5,
        "count": 2**63 - 1,
        "tier": "GOLD",
        "user": {"id": "u1", "tier": "LOW", "since": "2017-07-14T02:40:00Z"},
        "users": [{"id": "", "tier": "GOLD"}],
        "by_flag": {"true": 7},
        "code": 0,
        "blob": "/w==",
        "big": 2**60,
    }


def test_an_enum_of_a_newer_server_is_its_number() -> None:
    """A name that our file does not know yet is given as its number."""
    assert asked(lambda *_: b"\x18\x09", {"a": 1.0})["tier"] == 9


@pytest.mark.parametrize("whole", [True, False], ids=["with imports", "without"])
def test_a_descriptor_set_does_what_the_file_does(tmp_path: Path, whole: bool) -> None:
    """`protoc --descriptor_set_out` makes one; protobuf's own imports may be left out of it."""
    out = tmp_path / "scoring.binpb"
    imports = ["--include_imports"] if whole else []
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{SCORING.parent}", *imports]
    subprocess.run([*command, f"--descriptor_set_out={out}", str(SCORING)], check=True, cwd=tmp_path)
    assert asked(lambda *_: b"", {"user.since": Timestamp(0)}, out)["score"] == 0.0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('syntax = "proto3";\nmessage A { strin x = 1; }', 'own.proto:2:13: "strin" is not defined.'),
        ('syntax = "proto3";\nimport "other.proto";', "other.proto: File not found"),
        ('syntax = "proto3";\nmessage A {}', "own.proto has no method 'scoring.Scorer/Score'"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: str, told: str) -> None:
    """protoc's own words, with the line, are the finding."""
    (tmp_path / "own.proto").write_text(content)
    with pytest.raises(Misfit) as caught:
        opened(proto=tmp_path / "own.proto")
    assert told in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a set", b"\x0a\x03\x0a\x01x"])
def test_what_is_no_descriptor_set_is_refused(tmp_path: Path, content: bytes) -> None:
    """Any other file is told apart."""
    (tmp_path / "own.binpb").write_bytes(content)
    with pytest.raises(Misfit):
        opened(proto=tmp_path / "own.binpb")


def test_a_streaming_method_is_refused() -> None:
    """One request has to give one reply."""
    config = GrpcModel.Config(grpc="grpc://localhost:1", method="scoring.Scorer/Watch", proto=SCORING)
    with pytest.raises(Misfit, match="streams") as caught:
        GrpcModel.open("m", config, Common({"a": None}), SCORING.parent, None)
    assert caught.value.path == ("method",)


@pytest.mark.parametrize(
    ("name", "expression", "code", "told"),
    [
        ("amount", "event.a", "E402", "there is no field 'amount'"),
        ("user.name", "event.s", "E402", "there is no field 'user.name'"),
        ("a.b", "event.a", "E402", "there is no field 'a.b'"),
        ("counts.x", "event.a", "E402", "there is no field 'counts.x'"),
        ("a", "event.s", "E403", "input 'a' is string; the field is double"),
        ("user.id", "event.a", "E403", "input 'user.id' is double; the field is string"),
        ("counts", "event.i", "E403", "input 'counts' is int; the field is repeated"),
        ("flag", "event.s", "E403", "input 'flag' is string; the field is bool"),
    ],
)
def test_an_input_that_can_never_fit_is_found_when_opened(
    name: str, expression: str, code: str, told: str
) -> None:
    """Names and types are compared with the request's fields before the first event."""
    with pytest.raises(Misfit) as caught:
        opened(**{name: cel(expression)})
    assert (caught.value.code, caught.value.path) == (code, ("inputs", name))
    assert told in str(caught.value)


def test_inputs_are_needed() -> None:
    """Without inputs, the hint lists the request's fields."""
    config = GrpcModel.Config(grpc="grpc://localhost:1", method=METHOD, proto=SCORING)
    with pytest.raises(Misfit, match="needs inputs") as caught:
        GrpcModel.open("m", config, Common(), SCORING.parent, None)
    assert "a: …, b: …" in caught.value.hint


def test_the_address_is_grpc() -> None:
    """An address of another kind is a finding."""
    with pytest.raises(Misfit, match="not http://"):
        opened("http://localhost:1")


@pytest.mark.parametrize(
    ("answers", "ready", "why"),
    [
        ({CHECK: lambda *_: b"\x08\x01"}, True, ""),
        ({CHECK: lambda *_: b"\x08\x02"}, False, "scoring.Scorer is not serving"),
        ({CHECK: lambda request, context: _whole_server(request, context)}, True, ""),
        ({}, True, ""),
    ],
    ids=["serving", "not serving", "known as a whole", "no health service"],
)
def test_health_is_what_the_standard_service_says(answers: dict[str, Answer], ready: bool, why: str) -> None:
    """The service's own state, else the server's; one without a health service is ready if it answers."""

    async def once() -> Health:
        model = opened(server.address)
        try:
            return await model.health()
        finally:
            await model.close()

    with serving(**answers) as server:
        health = asyncio.run(once())
    assert health.ready is ready
    assert why in health.why


def _whole_server(request: bytes, context: Any) -> bytes:
    import grpc

    return status(grpc.StatusCode.NOT_FOUND, "unknown service")(request, context) if request else b"\x08\x01"


def test_without_its_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs them is the message."""
    monkeypatch.setitem(sys.modules, "grpc_tools", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[grpc\]'"):
        opened()
    monkeypatch.setitem(sys.modules, "grpc.aio", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[grpc\]'"):
        channel_of(Endpoint("m", "grpc://localhost:1"))
