"""Whatever a server sends back, and wherever a secret stands: no message tells it."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from model.faults import faulty
from model.rest.subjects import Common, opening
from pointsman.base.errors import Misfit, ModelError
from pointsman.base.secret import Hidden
from pointsman.model.auth import AuthKeys, OAuth2Keys
from pointsman.model.endpoint import Endpoint, EndpointKeys
from pointsman.model.http import HttpModel
from pointsman.model.remote import Ask
from pointsman.spec import check, load
from spec.documents import write

SECRET = "sw0rd+f/sh=1"
ASK = Ask(20.0, ["e1"], {})
ROWS = [(1.0, 2.0)]


def complaint(model: Any) -> str:
    """What the model's failure says."""
    with pytest.raises(ModelError) as caught:
        asyncio.run(model)
    return f"{caught.value!r} {caught.value}"


def test_a_token_that_was_just_refused_is_not_told() -> None:
    """The reply that refuses a token repeats it, and the token is no longer the one in use."""

    def login(*_: Any) -> tuple[int, Any]:
        return 200, {"access_token": "first-token"}

    def server(*_: Any) -> tuple[int, Any]:
        return 401, {"error": "I do not know first-token"}

    async def run() -> None:
        async with faulty(login) as given, faulty(server) as asked:
            oauth2 = OAuth2Keys(
                token_url=f"{given.address}/token", client_id="us", client_secret=Hidden(SECRET)
            )
            common = Common({"a": None, "b": None})
            model = opening("kserve", asked.address, EndpointKeys(auth=AuthKeys(oauth2=oauth2)), common)
            try:
                await model.request(ROWS, ASK)
            finally:
                await model.close()

    said = complaint(run())
    assert "I do not know ***" in said
    assert "first-token" not in said


@pytest.mark.parametrize("send", ["basic", "body"])
def test_what_a_token_endpoint_repeats_is_not_told(send: str) -> None:
    """It has seen the secret as it is, encoded for a form, or in base64."""

    def login(_method: str, _path: str, body: Any, _fault: str) -> tuple[int, Any]:
        return 400, {"error": f"{SECRET} {body} {base64.b64encode(b'us:sw0rd%2Bf%2Fsh%3D1').decode()}"}

    async def run() -> None:
        async with faulty(login) as given:
            url, secret = f"{given.address}/token", Hidden(SECRET)
            keys = OAuth2Keys(token_url=url, client_id="us", client_secret=secret, send=send)
            endpoint = Endpoint("e", "http://127.0.0.1:9", EndpointKeys(auth=AuthKeys(oauth2=keys)))
            await endpoint.headers()

    said = complaint(run())
    assert "HTTP 400" in said
    assert "sw0rd" not in said
    assert "dXM6" not in said


PIPELINE = """version: 1
pipeline: p
source: {topics: [in], fields: {n: double}}
models:
  m:
    http: "${ADDRESS}"
    path: "/v1/${SECRET_PATH}/score"
    query: {key: "${SECRET}"}
    headers: {X-Key: '"${SECRET}"', X-Odd: '"${SECRET}" + string(event.n)'}
    body: event.note
routes: [{name: all, use: m}]
"""


def opened(folder: Path, address: str) -> Any:
    """The model of a document whose secrets come from the environment."""
    environment = {"ADDRESS": address, "SECRET": SECRET, "SECRET_PATH": "hidden-path"}
    document = load(write(folder, PIPELINE), environment=environment)
    spec = document.models["m"]
    return HttpModel.open("m", spec.config, spec.common, folder, None)


def row(value: Any) -> Any:
    """An enriched event."""
    return {"id": "e", "time": 0, "key": None, "event": {"n": value, "note": "x"}, "metadata": {}}


def test_what_a_request_shows_besides_its_body_is_not_told(tmp_path: Path) -> None:
    """A server that repeats path, parameters and headers in its error finds them struck out."""

    async def run() -> None:
        def repeats(_method: str, path: str, _body: Any, _fault: str) -> tuple[int, Any]:
            return 422, {"error": f"cannot POST {path} {dict(server.headers())}"}

        async with faulty(repeats) as server:
            model = opened(tmp_path, server.address)
            try:
                await model.request([row(5.0)], ASK)
            finally:
                await model.close()

    said = complaint(run())
    assert "cannot POST" in said
    assert "sw0rd" not in said
    assert "hidden-path" not in said


def test_an_expression_is_told_as_it_stands_in_the_document(tmp_path: Path) -> None:
    """An expression with a secret in it that has no value is shown with `${…}`."""

    async def run() -> None:
        model = opened(tmp_path, "http://127.0.0.1:9")
        await model.request([row({})], ASK)

    said = complaint(run())
    assert "${SECRET}" in said
    assert "sw0rd" not in said


@pytest.mark.parametrize(
    "address",
    [
        "http://us:sw0rd@h:80",
        "http://us:sw0rd/x@h",
        "http://us:sw0rd@h:port",
        "us:sw0rd@h:80",
        "grpc://h:80/sw0rd",
        "http://[sw0rd",
        "http://h:80/?key=sw0rd",
        "http://h:80/sw0 rd",
    ],
)
def test_an_address_that_is_refused_is_not_told(address: str) -> None:
    """What is wrong with it is said without it."""
    with pytest.raises(Misfit) as caught:
        Endpoint("e", address)
    assert "sw0rd" not in f"{caught.value} {caught.value.hint}"


def test_no_finding_tells_a_secret(tmp_path: Path) -> None:
    """Nor does a document that cannot be opened."""
    text = PIPELINE.replace("X-Key", "Authorization").replace("body: event.note", "body: event.n + 'x'")
    environment = {"ADDRESS": f"http://us:{SECRET}@h", "SECRET": SECRET, "SECRET_PATH": "hidden path"}
    findings = check(write(tmp_path, text), environment=environment)
    assert findings
    assert "sw0rd" not in str(findings)
    assert "hidden path" not in str(findings)
