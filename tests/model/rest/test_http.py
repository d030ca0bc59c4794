"""Any REST API: what is sent, where to, and what no event can change."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from model.faults import FaultyServer, faulty
from model.rest import speakers
from model.rest.subjects import AB, Common, cel, opening
from pointsman.base.errors import InvalidInput, InvalidReply, Misfit, ModelError, ModelOverloaded
from pointsman.model.base import Costed
from pointsman.model.feed import TensorKeys
from pointsman.model.http import Chosen
from pointsman.model.openai import Price
from pointsman.model.remote import Ask
from pointsman.model.rest import failure_of


def event(**values: Any) -> dict[str, Any]:
    """An enriched event."""
    return {"id": "e-1", "time": 1_760_000_000_000, "key": "U1", "event": values, "metadata": {"risk": "low"}}


def sent(row: Any, common: Common | None = None, protocol: str = "http", base: str = "", **own: Any) -> Any:
    """The reply or failure of one row, and the request that the server saw last."""

    async def run() -> Any:
        speaker = speakers.anything if protocol == "http" else speakers.openai
        async with faulty(speaker, path=base) as server:
            model = opening(protocol, server.address, None, common or Common(), **own)
            try:
                found: Any = (await model.request([row], Ask(20.0, ["e-1"], {})))[0]
            except ModelError as error:
                found = error
            finally:
                await model.close()
            return found, server.requests[-1] if server.requests else None

    return asyncio.run(run())


def test_the_enriched_event_is_sent_where_nothing_is_said() -> None:
    """Without body and inputs the body is the event with its metadata."""
    row = event(a=1.0)
    found, _ = sent(row, base="/echo")
    assert found["body"] == row


def test_inputs_are_sent_by_name() -> None:
    """With inputs the body is a map of them."""
    found, _ = sent((1.5, "x"), Common({"a": AB["a"], "s": cel("event.s")}), base="/echo")
    assert found["body"] == {"a": 1.5, "s": "x"}


def test_method_path_query_headers_and_body() -> None:
    """Each comes from its key; a header is an expression."""
    found, request = sent(
        event(a=2.0, s="SG"),
        base="/echo",
        method="PUT",
        path="/v2:score",
        query={"mode": "a b&c"},
        headers={"X-Country": cel("event.s", want="string")},
        body=cel('{"amount": event.a, "at": now, "risk": metadata.risk, "key": key}'),
    )
    assert found["method"] == "PUT"
    assert found["path"] == "/echo/v2:score?mode=a%20b%26c"
    assert found["body"] == {"amount": 2.0, "at": "2025-10-09T08:53:20Z", "risk": "low", "key": "U1"}
    assert request[2]["x-country"] == "SG"
    assert request[2]["x-request-id"] == "e-1"


@pytest.mark.parametrize("country", ["SG", "../../admin", "rest?x=1", "http://evil.example/", ""])
def test_no_event_makes_an_address(country: str) -> None:
    """A path and a parameter that depend on the event are one of those that the document lists."""
    chosen = Chosen(choose=cel('"/" + event.s', want="string"), among=["/SG", "/MY"])
    found, request = sent(event(s=country), base="/echo", path=chosen)
    if country == "SG":
        assert found["path"] == "/echo/SG"
    else:
        assert isinstance(found, InvalidInput)
        assert "does not list" in str(found)
        assert request is None
    query = {"country": Chosen(choose=cel("event.s", want="string"), among=["SG"])}
    found, request = sent(event(s=country), base="/echo", query=query)
    assert (request is None) == (country != "SG")


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "caf\u00e9", "\x00"])
def test_no_event_breaks_a_header(value: str) -> None:
    """What cannot stand in a header fails the event, and nothing is sent."""
    found, request = sent(event(s=value), headers={"X-Note": cel("event.s", want="string")})
    assert isinstance(found, InvalidInput)
    assert request is None


def test_a_request_id_that_no_header_can_carry_is_left_out() -> None:
    """An event's id with a line break is sent nowhere."""

    async def run() -> None:
        async with faulty(speakers.kserve) as server:
            model = opening("kserve", server.address, None, Common(AB, model="linear"))
            await model.request([(1.0, 2.0)], Ask(20.0, ["a\r\nX-Admin: 1"], {"tracestate": "x\n"}))
            assert "x-request-id" not in server.headers()
            assert "tracestate" not in server.headers()
            await model.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("common", "own", "says"),
    [
        (Common(AB), {"body": cel("event.a")}, "both 'inputs' and 'body'"),
        (Common(AB), {"headers": {"X-A": cel("event.s")}}, "reads the event, and the model has 'inputs'"),
        (Common(), {"headers": {"Authorization": cel('"x"')}}, "not a header that an expression sets"),
        (Common(), {"headers": {"X A": cel('"x"')}}, "not a header that an expression sets"),
        (Common(), {"body": cel("headers")}, "reads 'headers', which a request does not have"),
        (Common(AB), {"batched": True, "method": "GET"}, "one address and one set of headers"),
        (Common(), {"batched": True, "headers": {"X-A": cel("event.s")}}, "one address and one set"),
    ],
)
def test_keys_that_contradict_each_other_are_a_misfit(common: Common, own: Any, says: str) -> None:
    """The document is refused before any event."""
    with pytest.raises(Misfit) as caught:
        opening("http", "http://localhost", None, common, **own)
    assert says in str(caught.value)


def test_a_reply_without_what_is_taken_is_an_invalid_reply() -> None:
    """The message names the expression."""
    found, _ = sent((1.0, 2.0), Common(AB), reply=cel("reply.data.core", reply=True))
    assert isinstance(found, InvalidReply)
    assert "reply.data.core" in str(found)


class Packed(FaultyServer):
    """A server that compresses a very long reply."""

    def _answer(self, *_: Any) -> tuple[int, str, bytes, list[str]]:
        content = gzip.compress(b"[" + b" " * (40 << 20) + b"]", 1)
        return 200, "application/json", content, ["Content-Encoding: gzip"]


def test_the_bound_of_a_reply_counts_what_it_unpacks_to() -> None:
    """A small body that unpacks to much is not read to its end."""

    async def run() -> None:
        server = Packed(speakers.kserve, "", frozenset())
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        model = opening("kserve", f"http://127.0.0.1:{port}", None, Common(AB))
        with pytest.raises(InvalidReply, match="more than"):
            await model.request([(1.0, 2.0)], Ask(20.0, ["1"], {}))
        await model.close()
        listening.close()
        await server.left()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        (
            {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            30.0,
        ),
        (
            {"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            0.0,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    """A date counts from the reply's own date, so that clocks need not agree."""
    found = failure_of(503, {name.lower(): value for name, value in headers.items()})
    assert isinstance(found, ModelOverloaded)
    assert found.retry_after == seconds


def test_a_chat_tells_its_cost() -> None:
    """With a price the reply carries what its tokens cost."""
    found, request = sent(
        event(text="is it?"),
        Common(model="small"),
        "openai",
        "/v1",
        prompt=cel("event.text"),
        system="Answer yes or no.",
        parameters={"temperature": 0},
        price=Price(prompt=0.5, completion=2.0),
    )
    assert isinstance(found, Costed)
    assert found.cost == pytest.approx((10 * 0.5 + 2 * 2.0) / 1e6)
    assert found.reply["text"] == "IS IT?"
    body = json.loads(request[3])
    assert body["model"] == "small"
    assert body["temperature"] == 0
    assert [one["role"] for one in body["messages"]] == ["system", "user"]


def test_a_chat_in_json_is_parsed() -> None:
    """Where the parameters ask for JSON, the reply has it as values."""
    found, _ = sent(
        event(text="yes"),
        Common(model="small"),
        "openai",
        "/v1",
        messages=cel('[{"role": "user", "content": event.text}]'),
        parameters={"response_format": {"type": "json_object"}},
    )
    assert found["json"] == {"said": "yes"}


@pytest.mark.parametrize(
    ("common", "own", "says"),
    [
        (Common(AB), {"prompt": cel("event.text")}, "not inputs"),
        (Common(), {}, "nothing is asked"),
        (Common(), {"prompt": cel("event.text"), "embed": cel("event.text")}, "prompt and embed"),
        (Common(), {"embed": cel("event.text"), "system": "x"}, "goes with 'prompt' only"),
        (Common(), {"prompt": cel("event.text"), "parameters": {"stream": True}}, "not a parameter"),
    ],
)
def test_a_question_is_asked_once(common: Common, own: Any, says: str) -> None:
    """Keys of `openai` that contradict each other are a misfit."""
    with pytest.raises(Misfit) as caught:
        opening("openai", "http://localhost/v1", None, common, **own)
    assert says in str(caught.value)


@pytest.mark.parametrize(("said", "told"), [(None, "4"), ("3", "3")])
def test_the_version_of_the_document_stands_in_results(said: str | None, told: str) -> None:
    """It is asked for, and told; without one, the server's own is."""

    async def run() -> None:
        async with faulty(speakers.open_inference) as server:
            tensors = {"x": TensorKeys(of=["a", "b"])}
            common = Common(AB, said, model="linear")
            model = opening("open_inference", server.address, None, common, tensors=tensors)
            await model.request([(1.0, 2.0)], Ask(20.0, ["1"], {}))
            assert model.version == told
            asked = server.requests[-1][1]
            assert asked == f"/v2/models/linear{'' if said is None else '/versions/3'}/infer"
            await model.close()

    asyncio.run(run())


def test_tensorflow_serving_addresses_version_label_and_signature() -> None:
    """A version or a label stands in the path, a signature in the body."""

    async def run() -> None:
        async with faulty(speakers.tensorflow_serving) as server:
            for common, own, path in (
                (Common(AB), {}, "/v1/models/m:predict"),
                (Common(AB, "3"), {}, "/v1/models/m/versions/3:predict"),
                (Common(AB), {"label": "canary/a"}, "/v1/models/m/labels/canary%2Fa:predict"),
            ):
                more = {"signature": "score", **own}
                model = opening("tensorflow_serving", server.address, None, common, **more)
                await model.request([(1.0, 2.0)], Ask(20.0, ["1"], {}))
                assert server.requests[-1][1] == path
                assert json.loads(server.requests[-1][3]) == {
                    "signature_name": "score",
                    "instances": [{"a": 1.0, "b": 2.0}],
                }
                await model.close()
        with pytest.raises(Misfit, match="both 'version' and 'label'"):
            opening("tensorflow_serving", "http://localhost", None, Common(AB, "3"), label="stable")
        with pytest.raises(Misfit, match="is not a number"):
            opening("tensorflow_serving", "http://localhost", None, Common(AB, "new"))

    asyncio.run(run())
