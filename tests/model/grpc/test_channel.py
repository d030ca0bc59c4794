"""One connection to a gRPC server: what its statuses and the network's faults mean, and who it trusts."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from model.grpc import certificates
from model.grpc.server import (
    Answer,
    echo,
    half_a_frame,
    in_front_of,
    keeps_silent,
    promises_more,
    resets,
    serving,
    socket_that,
    speaks_http_1,
    status,
)
from pointsman.base.errors import InvalidReply, Misfit, ModelError, ModelOverloaded, ModelRefused
from pointsman.model.auth import AuthKeys
from pointsman.model.endpoint import Endpoint, EndpointKeys, TlsKeys
from pointsman.model.grpc_channel import LARGEST, channel_of

METHOD = "/some.Service/Method"


def call(
    address: str,
    *,
    content: bytes = b"hello",
    timeout: float = 10.0,
    trace: dict[str, str] | None = None,
    keys: EndpointKeys | None = None,
) -> bytes:
    """One call on a connection of its own."""

    async def once() -> bytes:
        endpoint = Endpoint("m", address, keys)
        try:
            return await channel_of(endpoint).unary(METHOD, content, timeout, trace or {})
        finally:
            await endpoint.close()

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("CANCELLED", "refused"),
        ("UNKNOWN", "internal"),
        ("INVALID_ARGUMENT", "invalid_input"),
        ("DEADLINE_EXCEEDED", "timeout"),
        ("NOT_FOUND", "refused"),
        ("ALREADY_EXISTS", "internal"),
        ("PERMISSION_DENIED", "refused"),
        ("RESOURCE_EXHAUSTED", "overloaded"),
        ("FAILED_PRECONDITION", "refused"),
        ("ABORTED", "internal"),
        ("OUT_OF_RANGE", "invalid_input"),
        ("UNIMPLEMENTED", "refused"),
        ("INTERNAL", "internal"),
        ("UNAVAILABLE", "refused"),
        ("DATA_LOSS", "internal"),
        ("UNAUTHENTICATED", "refused"),
    ],
)
def test_each_status_is_a_failure_class(code: str, failure: str) -> None:
    """Every status but OK fails with one class, and the message names the status and what the server said."""
    with (
        serving(**{METHOD: status(getattr(grpc.StatusCode, code), "so\nit is")}) as server,
        pytest.raises(ModelError, match=f"gRPC {code}: so it is") as caught,
    ):
        call(server.address)
    assert caught.value.failure == failure


def test_every_status_is_listed_above() -> None:
    """The table is whole."""
    marks: Any = test_each_status_is_a_failure_class
    listed = {code for code, _ in marks.pytestmark[0].args[1]}
    assert listed | {"OK"} == {code.name for code in grpc.StatusCode}


@pytest.mark.parametrize(
    ("trailing", "seconds"),
    [
        ((), None),
        ((("grpc-retry-pushback-ms", "250"),), 0.25),
        ((("retry-after", "3"),), 3.0),
        ((("retry-after", "soon"),), None),
        ((("grpc-retry-pushback-ms", "-1"),), None),
    ],
)
def test_an_overloaded_server_may_say_for_how_long(
    trailing: tuple[tuple[str, str], ...], seconds: float | None
) -> None:
    """Its trailing metadata gives `retry_after`; nonsense there gives none."""
    with (
        serving(**{METHOD: status(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", trailing)}) as server,
        pytest.raises(ModelOverloaded) as caught,
    ):
        call(server.address)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (lambda _: resets, "refused"),
        (lambda _: speaks_http_1, "refused"),
        (half_a_frame, "refused"),
        (promises_more, "invalid_reply"),
    ],
    ids=["reset", "http 1", "half a frame", "truncated message"],
)
def test_a_fault_of_the_network_is_a_failure_class(
    fault: Callable[[int], Callable[[socket.socket], None]], failure: str
) -> None:
    """Whatever happens to the bytes, the call ends with the class that says what can be done about it."""
    with (
        serving(**{METHOD: echo}) as server,
        socket_that(fault(server.port)) as port,
        pytest.raises(ModelError) as caught,
    ):
        call(f"grpc://127.0.0.1:{port}", content=b"x" * 100)
    assert caught.value.failure == failure


def test_silence_is_a_timeout() -> None:
    """A peer that takes the connection and says nothing costs the attempt's timeout, no more."""
    with socket_that(keeps_silent) as port, pytest.raises(ModelError, match=r"within 0\.1 s") as caught:
        call(f"grpc://127.0.0.1:{port}", timeout=0.1)
    assert caught.value.failure == "timeout"


def test_a_peer_that_vanished_is_connected_to_anew() -> None:
    """After a row of calls without any answer, the next one makes a connection of its own."""
    connections: list[socket.socket] = []

    def behave(connection: socket.socket) -> None:
        connections.append(connection)
        if len(connections) == 1:
            with socket.create_connection(("127.0.0.1", server.port)) as behind:
                behind.settimeout(5)
                connection.sendall(behind.recv(65536))  # its SETTINGS, and never another word
                keeps_silent(connection)
        else:
            relay(connection, server.port)

    async def calls(port: int) -> bytes:
        endpoint = Endpoint("m", f"grpc://127.0.0.1:{port}")
        channel = channel_of(endpoint)
        try:
            for _ in range(8):
                with pytest.raises(ModelError) as caught:
                    await channel.unary(METHOD, b"x", 0.05, {})
                assert caught.value.failure == "timeout"
            return await channel.unary(METHOD, b"x", 10, {})
        finally:
            await endpoint.close()

    with serving(**{METHOD: echo}) as server, socket_that(behave) as port:
        assert asyncio.run(calls(port)) == b"x"
    assert len(connections) == 2


def relay(client: socket.socket, port: int) -> None:
    """A proxy that changes nothing."""
    in_front_of(port, lambda _, frame: frame)(client)


def test_nobody_there_is_refused_and_found_when_it_comes() -> None:
    """A server that is down refuses at once; when it is back, the same channel reaches it."""

    async def calls(port: int) -> None:
        endpoint = Endpoint("m", f"grpc://127.0.0.1:{port}")
        channel = channel_of(endpoint)
        try:
            with pytest.raises(ModelRefused):
                await channel.unary(METHOD, b"x", 10, {})
            with serving(port=port, **{METHOD: echo}):
                while True:
                    try:
                        assert await channel.unary(METHOD, b"x", 10, {}) == b"x"
                        break
                    except ModelRefused:
                        await asyncio.sleep(0.05)
        finally:
            await endpoint.close()

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asyncio.run(calls(port))


def test_the_server_sees_the_trace_and_who_calls() -> None:
    """Credentials and trace are metadata; what metadata cannot carry is left out and fails nothing."""
    trace = {"traceparent": "00-1-2-01", "tracestate": "a=é", "bad name": "x", "blob-bin": "x"}
    with serving(**{METHOD: echo}) as server:
        call(server.address, trace=trace, keys=EndpointKeys(auth=AuthKeys(bearer="s3cret")))
    seen = server.seen[0]
    assert (seen["authorization"], seen["traceparent"]) == ("Bearer s3cret", "00-1-2-01")
    assert not {"tracestate", "bad name", "blob-bin"} & set(seen)


def test_a_secret_that_comes_back_is_not_told() -> None:
    """A server that repeats our credentials in its error finds them struck out."""

    def tells(_request: bytes, context: grpc.ServicerContext) -> bytes:
        who = dict(context.invocation_metadata())["authorization"]
        context.abort(grpc.StatusCode.UNAUTHENTICATED, f"I do not know {who}")
        raise AssertionError("abort raises")

    with serving(**{METHOD: tells}) as server, pytest.raises(ModelRefused) as caught:
        call(server.address, keys=EndpointKeys(auth=AuthKeys(bearer="s3cret")))
    assert "s3cret" not in str(caught.value)
    assert "I do not know" in str(caught.value)


def test_the_server_is_told_the_time_that_is_left() -> None:
    """The attempt's timeout travels with the call."""
    left: list[float] = []

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        left.append(context.time_remaining())
        return request

    with serving(**{METHOD: answer}) as server:
        call(server.address, timeout=60.0)
    assert 30 < left[0] < 61


def _long(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return bytes(LARGEST + 1)


@pytest.mark.parametrize(
    ("answer", "size", "failure"),
    [(_long, 1, "invalid_reply"), (echo, LARGEST + 1, "invalid_input")],
    ids=["reply", "request"],
)
def test_a_message_has_a_largest_size(answer: Answer, size: int, failure: str) -> None:
    """A longer one fails as what it is, not as an overload that would be tried again."""
    with (
        serving(**{METHOD: answer}) as server,
        pytest.raises(ModelError, match=r"too large|larger than 64 MiB") as caught,
    ):
        call(server.address, content=bytes(size))
    assert caught.value.failure == failure


def test_models_of_an_endpoint_share_one_channel() -> None:
    """The channel belongs to the endpoint and ends with it."""

    async def both() -> None:
        endpoint = Endpoint("m", server.address)
        assert channel_of(endpoint) is channel_of(endpoint)
        assert await channel_of(endpoint).unary(METHOD, b"x", 10, {}) == b"x"
        await endpoint.close()

    with serving(**{METHOD: echo}) as server:
        asyncio.run(both())


def test_a_call_that_is_given_up_leaves_the_channel_as_it_was() -> None:
    """Cancelling one call does nothing to the others on the connection."""

    async def calls() -> bytes:
        endpoint = Endpoint("m", server.address)
        channel = channel_of(endpoint)
        try:
            given_up = asyncio.create_task(channel.unary("/some.Service/Hangs", b"x", 60, {}))
            other = await channel.unary(METHOD, b"x", 10, {})
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            return other + await channel.unary(METHOD, b"y", 10, {})
        finally:
            await endpoint.close()

    def hangs(_request: bytes, context: grpc.ServicerContext) -> bytes:
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(30)
        return b""

    with serving(**{METHOD: echo, "/some.Service/Hangs": hangs}) as server:
        assert asyncio.run(calls()) == b"xy"


# TLS


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> certificates.Authority:
    """A certificate authority of the tests."""
    return certificates.Authority(tmp_path_factory.mktemp("ca"))


def secured(ca: certificates.Authority, name: str, *, client: bool = False, expired: bool = False) -> Any:
    """The credentials of a server called `name`."""
    pair = ca.pair(name, expired=expired)
    roots = ca.path.read_bytes() if client else None
    return grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())], roots, client)


def tls(**keys: Any) -> EndpointKeys:
    """The keys of an endpoint with TLS."""
    return EndpointKeys(tls=TlsKeys(**keys))


def test_tls_with_a_ca_of_our_own(ca: certificates.Authority) -> None:
    """A server whose certificate the given authority signed is trusted; `server_name` says what it is for."""
    with serving(secured(ca, "models.example"), **{METHOD: echo}) as server:
        address = f"grpcs://127.0.0.1:{server.port}"
        assert call(address, keys=tls(ca=ca.path, server_name="models.example")) == b"hello"


@pytest.mark.parametrize("why", ["unknown authority", "other name", "expired", "no certificate of ours"])
def test_tls_that_fails_is_refused(ca: certificates.Authority, why: str) -> None:
    """Nothing is sent to a server that cannot be trusted, or to one that does not trust us."""
    trusted = {"ca": None if why == "unknown authority" else ca.path}
    name = "other.example" if why == "other name" else "models.example"
    credentials = secured(
        ca, "models.example", client=why == "no certificate of ours", expired=why == "expired"
    )
    with (
        serving(credentials, **{METHOD: echo}) as server,
        pytest.raises(ModelRefused, match="UNAVAILABLE"),
    ):
        call(f"grpcs://127.0.0.1:{server.port}", keys=tls(server_name=name, **trusted))
    assert server.seen == []


def test_mutual_tls(ca: certificates.Authority) -> None:
    """With our certificate, a server that asks for one answers."""
    ours = ca.pair("pointsman")
    with serving(secured(ca, "models.example", client=True), **{METHOD: echo}) as server:
        keys = tls(ca=ca.path, cert=ours.cert, key=ours.key, server_name="models.example")
        assert call(f"grpcs://127.0.0.1:{server.port}", keys=keys) == b"hello"


def test_an_unverified_server_is_said_when_opened() -> None:
    """gRPC has no way to leave the server unverified."""
    with pytest.raises(Misfit, match="always verified") as caught:
        channel_of(Endpoint("m", "grpcs://localhost:1", tls(verify=False)))
    assert caught.value.path == ("tls", "verify")


def test_an_encrypted_key_is_said_when_opened(ca: certificates.Authority) -> None:
    """gRPC takes no passphrase."""
    ours = ca.pair("pointsman", password="open")
    keys = tls(ca=ca.path, cert=ours.cert, key=ours.key, password="open")
    with pytest.raises(Misfit, match="passphrase") as caught:
        channel_of(Endpoint("m", "grpcs://localhost:1", keys))
    assert caught.value.path == ("tls", "password")


def test_an_empty_reply_is_a_message() -> None:
    """No bytes are a valid message, not an early end."""
    with serving(**{METHOD: lambda _request, _context: b""}) as server:
        assert call(server.address) == b""


def test_a_reply_that_ends_early_says_so() -> None:
    """The message names what is wrong with the reply."""
    with (
        serving(**{METHOD: echo}) as server,
        socket_that(promises_more(server.port)) as port,
        pytest.raises(InvalidReply, match="ends within a message"),
    ):
        call(f"grpc://127.0.0.1:{port}")
