"""Endpoints: addresses, who is calling, TLS, shared connections."""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from model.faults import faulty
from model.grpc.certificates import Authority
from model.rest import speakers
from model.rest.subjects import AB, ROWS, SCORES, Common, opening
from pointsman.base.errors import (
    Misfit,
    MissingExtra,
    ModelError,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
)
from pointsman.base.secret import Hidden
from pointsman.model.auth import ApiKeyKeys, AuthKeys, BasicKeys, OAuth2Keys
from pointsman.model.endpoint import Endpoint, EndpointKeys, TlsKeys
from pointsman.model.remote import Ask

SECRET = "swordfish-91"
ASK = Ask(20.0, ["event-1"], {})


def v1(address: str, keys: EndpointKeys | None = None) -> Any:
    """A KServe model."""
    return opening("kserve", address, keys, Common(AB, model="linear"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("localhost:8080", "is not one of"),
        ("ftp://localhost", "is not one of"),
        ("http://", "is not one of"),
        ("http://me:swordfish-91@localhost", "holds a user or a password"),
        ("http://localhost:99999", "cannot be read"),
        ("http://localhost/a?key=swordfish-91", "more than a host"),
        ("http://localhost/a b", "more than a host"),
        ("grpc://localhost:1/path", "has no path"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_misfit(address: str, says: str) -> None:
    """The message says what is wrong, and does not repeat what may be secret."""
    with pytest.raises(Misfit, match=says) as caught:
        Endpoint("e", address)
    assert caught.value.code == "E441"
    assert SECRET not in str(caught.value) + caught.value.hint


def test_rest_alone_refuses_grpc() -> None:
    """A protocol without gRPC does not take a grpc:// address."""
    with pytest.raises(Misfit, match="not spoken in gRPC"):
        v1("grpc://localhost:1")


@pytest.mark.parametrize(
    ("keys", "header", "value"),
    [
        (AuthKeys(bearer=Hidden(SECRET + "\n")), "authorization", f"Bearer {SECRET}"),
        (AuthKeys(basic=BasicKeys(user="us", password=Hidden("pw"))), "authorization", "Basic dXM6cHc="),
        (AuthKeys(api_key=ApiKeyKeys(value=Hidden(SECRET))), "x-api-key", SECRET),
        (AuthKeys(api_key=ApiKeyKeys(header="X-Key", value=Hidden(SECRET))), "x-key", SECRET),
    ],
)
def test_who_is_calling_stands_in_a_header(keys: AuthKeys, header: str, value: str) -> None:
    """Each way sends its header; no repr shows the secret."""

    async def run() -> None:
        async with faulty(speakers.kserve) as server:
            model = v1(server.address, EndpointKeys(auth=keys))
            assert await model.request(ROWS[:1], ASK) == SCORES[:1]
            assert server.headers()[header] == value
            assert SECRET not in repr(keys) + repr(model)
            await model.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (AuthKeys(), "names no way"),
        (AuthKeys(bearer=Hidden("a"), api_key=ApiKeyKeys(value=Hidden("b"))), "bearer and api_key"),
        (AuthKeys(bearer=Hidden(f"{SECRET}\r\nX-Other: 1")), "no header can carry"),
    ],
)
def test_auth_that_cannot_be_is_a_misfit(keys: AuthKeys, says: str) -> None:
    """Nothing, several ways at once, or a secret that would break the header."""
    with pytest.raises(Misfit, match=says) as caught:
        Endpoint("e", "http://localhost", EndpointKeys(auth=keys))
    assert caught.value.code == "E442"
    assert SECRET not in str(caught.value)


class Tokens:
    """A token endpoint: counts, and gives tokens one after the other."""

    def __init__(self, life: float = 3600) -> None:
        self.life = life
        self.given = 0
        self.forms: list[dict[str, str]] = []

    def __call__(self, _method: str, _path: str, body: Any, _fault: str) -> tuple[int, Any]:
        self.forms.append(dict(parse_qsl(body)))
        self.given += 1
        return 200, {"access_token": f"token-{self.given}", "expires_in": self.life, "token_type": "Bearer"}


def oauth2(address: str, **more: Any) -> EndpointKeys:
    """Keys that fetch tokens there."""
    keys = OAuth2Keys(token_url=f"{address}/token", client_id="us", client_secret=Hidden(SECRET), **more)
    return EndpointKeys(auth=AuthKeys(oauth2=keys))


@pytest.mark.parametrize("send", ["basic", "body"])
def test_a_token_is_fetched_once_for_all(send: str) -> None:
    """Requests that begin together share one token; the client shows itself as the document says."""

    async def run() -> None:
        tokens = Tokens()
        async with faulty(tokens) as login, faulty(speakers.kserve) as server:
            model = v1(
                server.address, oauth2(login.address, send=send, scopes=["score", "read"], audience="m")
            )
            await asyncio.gather(*(model.request(ROWS[:1], ASK) for _ in range(10)))
            assert tokens.given == 1
            assert server.headers()["authorization"] == "Bearer token-1"
            form = tokens.forms[0]
            assert form["grant_type"] == "client_credentials"
            assert (form["scope"], form["audience"]) == ("score read", "m")
            assert ("client_secret" in form) == (send == "body")
            assert ("authorization" in login.headers()) == (send == "basic")
            await model.close()

    asyncio.run(run())


def test_a_token_is_replaced_before_it_ends() -> None:
    """A token whose life is over, or nearly, is not sent again."""

    async def run() -> None:
        tokens = Tokens(life=1.0)  # kept for its first 0.9 seconds, at least one
        async with faulty(tokens) as login, faulty(speakers.kserve) as server:
            model = v1(server.address, oauth2(login.address))
            await model.request(ROWS[:1], ASK)
            until = asyncio.get_running_loop().time() + 1.0
            while asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.05)  # the token's life is what passes
            await model.request(ROWS[:1], ASK)
            assert server.headers()["authorization"] == "Bearer token-2"
            await model.close()

    asyncio.run(run())


def test_a_token_that_is_not_accepted_is_replaced() -> None:
    """After a 401 the attempt fails as refused, and the next one has a new token."""

    async def run() -> None:
        tokens = Tokens()
        async with faulty(tokens) as login, faulty(speakers.kserve) as server:
            model = v1(server.address, oauth2(login.address))
            await model.request(ROWS[:1], ASK)
            server.misbehave("status 401")
            with pytest.raises(ModelRefused):
                await model.request(ROWS[:1], ASK)
            server.misbehave("")
            await model.request(ROWS[:1], ASK)
            assert server.headers()["authorization"] == "Bearer token-2"
            await model.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("status 400", ModelRefused),
        ("status 401", ModelRefused),
        ("status 500", ModelRefused),
        ("status 429", ModelOverloaded),
        ("garbage", ModelRefused),
        ("reset", ModelRefused),
        ("hang", ModelTimeout),
    ],
)
def test_no_token_is_a_failure_of_the_attempt(fault: str, failure: type[ModelError]) -> None:
    """It has a class of its own, names no secret, and the model recovers with its token endpoint."""

    async def run() -> None:
        async with faulty(Tokens()) as login, faulty(speakers.kserve) as server:
            model = v1(server.address, oauth2(login.address))
            login.misbehave(fault)
            with pytest.raises(failure) as caught:
                await model.request(ROWS[:1], Ask(0.3 if fault == "hang" else 20.0, ["e"], {}))
            assert SECRET not in str(caught.value)
            login.misbehave("")
            assert await model.request(ROWS[:1], ASK) == SCORES[:1]
            await model.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority."""
    return Authority(tmp_path_factory.mktemp("tls"))


def speaking(
    authority: Authority, name: str, *, expired: bool = False, mutual: bool = False
) -> ssl.SSLContext:
    """How a server of that name speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.pair(name, expired=expired)
    context.load_cert_chain(pair.cert, pair.key)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.path)
    return context


def over_tls(context: ssl.SSLContext, tls: TlsKeys) -> Any:
    """The replies of a model over TLS, or the failure."""

    async def run() -> Any:
        async with faulty(speakers.kserve, context=context) as server:
            address = server.address.replace("127.0.0.1", "localhost")
            model = v1(address, EndpointKeys(tls=tls))
            try:
                return await model.request(ROWS[:1], ASK)
            except ModelError as error:
                return error
            finally:
                await model.close()

    return asyncio.run(run())


def test_a_server_is_verified(authority: Authority) -> None:
    """Its certificate must be signed by whom we trust, for its name, and be of today."""
    good, ours = speaking(authority, "localhost"), TlsKeys(ca=authority.path)
    assert over_tls(good, ours) == SCORES[:1]
    assert isinstance(over_tls(good, TlsKeys()), ModelRefused)
    assert over_tls(good, TlsKeys(verify=False)) == SCORES[:1]
    expired = over_tls(speaking(authority, "localhost", expired=True), ours)
    assert isinstance(expired, ModelRefused)
    assert "expired" in str(expired)
    other = speaking(authority, "scores.example")
    assert isinstance(over_tls(other, ours), ModelRefused)
    assert over_tls(other, TlsKeys(ca=authority.path, server_name="scores.example")) == SCORES[:1]


def test_a_server_may_ask_who_we_are(authority: Authority) -> None:
    """With mutual TLS our certificate is shown; without one we are refused."""
    context = speaking(authority, "localhost", mutual=True)
    pair, locked = authority.pair("us"), authority.pair("us", password="open")
    assert over_tls(context, TlsKeys(ca=authority.path, cert=pair.cert, key=pair.key)) == SCORES[:1]
    keys = TlsKeys(ca=authority.path, cert=locked.cert, key=locked.key, password=Hidden("open"))
    assert over_tls(context, keys) == SCORES[:1]
    assert isinstance(over_tls(context, TlsKeys(ca=authority.path)), ModelRefused)


def test_tls_that_cannot_be_is_a_misfit(authority: Authority, tmp_path: Path) -> None:
    """A file without certificates, half a pair, a wrong password, or an address without TLS."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    pair, locked = authority.pair("us"), authority.pair("us", password="open")
    wrong = {
        "no certificate": TlsKeys(ca=empty),
        "no 'key'": TlsKeys(cert=pair.cert),
        "together": TlsKeys(cert=locked.cert, key=locked.key, password=Hidden("shut")),
    }
    for says, tls in wrong.items():
        with pytest.raises(Misfit, match=says) as caught:
            Endpoint("e", "https://localhost", EndpointKeys(tls=tls))
        assert caught.value.path[0] == "tls"
    with pytest.raises(Misfit, match="http://"):
        Endpoint("e", "http://localhost", EndpointKeys(tls=TlsKeys()))


def test_models_of_one_endpoint_share_its_connections() -> None:
    """A second model uses the connection of the first, and closing a model leaves it to the others."""

    async def run() -> None:
        async with faulty(speakers.kserve) as server:
            shared = Endpoint("shared", server.address)
            common = Common(AB, model="linear")
            models = [opening("kserve", server.address, None, common, endpoint=shared) for _ in range(3)]
            for model in models:
                assert await model.request(ROWS[:1], ASK) == SCORES[:1]
                await model.close()
            assert server.connections == 1
            await shared.close()
            await shared.close()
            await server.left()

    asyncio.run(run())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_are_not_carried_elsewhere(status: int) -> None:
    """A server that sends us elsewhere is refused; nobody else sees the request."""

    async def run() -> None:
        async with faulty(speakers.kserve) as server, faulty(speakers.kserve) as other:
            model = v1(server.address, EndpointKeys(auth=AuthKeys(bearer=Hidden(SECRET))))
            server.elsewhere = f"{other.address}/v1/models/linear:predict"
            server.misbehave(f"status {status}")
            with pytest.raises(ModelRefused, match="elsewhere"):
                await model.request(ROWS[:1], ASK)
            assert other.requests == []
            await model.close()

    asyncio.run(run())


@pytest.mark.parametrize("package", ["httptools", "numpy"])
def test_a_missing_package_is_named_with_its_install_line(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a model tells which extra brings what it needs, before any event."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[http\]'"):
        v1("http://localhost:8080")


def test_a_secret_shows_in_no_repr() -> None:
    """Keys, endpoints and models can be logged."""
    keys = EndpointKeys(auth=AuthKeys(oauth2=OAuth2Keys(
        token_url="http://localhost/token", client_id="us", client_secret=Hidden(SECRET)
    )), tls=TlsKeys(password=Hidden(SECRET)))  # fmt: skip
    endpoint = Endpoint("e", "https://localhost", keys)
    shown = repr([keys, keys.auth, keys.tls, endpoint, endpoint.auth, vars(endpoint), vars(endpoint.auth)])
    assert SECRET not in shown
