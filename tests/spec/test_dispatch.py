"""Endpoints, who answers instead, what is written and hidden: the parts of a document about dispatch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pointsman.base.secret import Hidden
from pointsman.spec.dispatch import Constant, MaxLag
from pointsman.spec.document import EndpointSpec
from pointsman.spec.place import File
from pointsman.spec.schema import pipeline_schema
from pointsman.spec.yaml import parse
from spec.documents import BASE, found, loaded, told
from spec.wire import wired

SERVED = """\
endpoints:
  scorers: {wire: "http://localhost:8080", concurrency: 32, rate: 500, auth: {bearer: "${TOKEN:-swordfish}"}}
models:
  here: {python: "baseline:predict"}
  there:
    endpoint: scorers
    model: fraud
    version: 3
    path: /fraud
    inputs: {amount: amount}
    batch: {size: 8, wait: 2ms}
    retry: {attempts: 3, budget: 10%}
    breaker: {failures: 20%, window: 5s}
    concurrency: 4
    fallback: [here, {constant: {score: 0.5}}]
"""
WHOLE = (
    BASE[: BASE.index("models:")]
    + SERVED
    + """\
routes:
  - {name: large, when: amount > 10.0, use: there, fallback: [here], deadline: 300ms}
  - {name: rest, use: there}
limits: {max_lag: {events: 1000, then: here}}
write:
  results: small.results
  event: [user_id, amount]
  redact: {device: hash}
"""
)


@pytest.fixture(autouse=True)
def wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol of these documents."""
    wired(monkeypatch)


def test_a_model_takes_protocol_and_address_of_its_endpoint(tmp_path: Path) -> None:
    """What the endpoint says is the model's; what is the model's own stays its own."""
    doc = loaded(tmp_path, WHOLE)
    scorers, there = doc.endpoints["scorers"], doc.models["there"]

    assert isinstance(scorers, EndpointSpec)
    assert (scorers.protocol, scorers.address) == ("wire", "http://localhost:8080")
    assert (scorers.config.concurrency, scorers.config.rate) == (32, 500)
    assert (there.endpoint, there.protocol) == ("scorers", "wire")
    assert (there.config.wire, there.config.path) == ("http://localhost:8080", "/fraud")
    assert (there.common.model, there.common.version, there.common.concurrency) == ("fraud", "3", 4)
    assert doc.models["here"].endpoint is None


def test_guard_keys_are_the_guards_own(tmp_path: Path) -> None:
    """Batching, retries and breaker come as the classes that use them, with their defaults."""
    there = loaded(tmp_path, WHOLE).models["there"].common

    assert there.batch is not None
    assert (there.batch.size, there.batch.wait) == (8, 0.002)
    assert there.retry is not None
    assert there.retry.attempts == 3
    assert there.breaker is not None
    assert (float(there.breaker.failures), there.breaker.window, there.breaker.probes) == (0.2, 5.0, 3)


def test_fallbacks_deadlines_and_lag(tmp_path: Path) -> None:
    """Chains end with a constant as an output; times are seconds; a lag names who answers."""
    doc = loaded(tmp_path, WHOLE)

    assert doc.models["there"].common.fallback == ("here", Constant({"score": 0.5}))
    assert doc.models["here"].common.fallback is None
    assert [(route.fallback, route.deadline) for route in doc.routes] == [(("here",), 0.3), (None, None)]
    assert doc.limits.max_lag == MaxLag(1000, "here")
    assert loaded(tmp_path, WHOLE.replace("then: here", "then: wait")).limits.max_lag == MaxLag(1000, None)


def test_what_is_written(tmp_path: Path) -> None:
    """Fields to show and to hide; all of the event where nothing is said."""
    write = loaded(tmp_path, WHOLE).write

    assert (write.results, write.event, write.redact) == (
        "small.results",
        ["user_id", "amount"],
        {"device": "hash"},
    )
    plain = loaded(tmp_path).write
    assert (plain.results, plain.event, plain.redact) == (None, "all", {})


def test_a_secret_does_not_show(tmp_path: Path) -> None:
    """It is used as the text it is, and whatever prints the document does not print it."""
    doc = loaded(tmp_path, WHOLE)
    token = doc.endpoints["scorers"].config.auth.bearer

    assert isinstance(token, Hidden)
    assert token == "swordfish"
    assert "swordfish" not in repr(doc)
    assert "swordfish" not in repr(token)


def test_defaults_give_what_a_model_leaves_out(tmp_path: Path) -> None:
    """A fallback for all does not make a model its own stand-in, and guard keys do not disturb local ones."""
    text = WHOLE.replace("models:\n", "defaults: {fallback: [here], retry: {attempts: 1}}\nmodels:\n")
    doc = loaded(tmp_path, text)

    assert doc.models["here"].common.fallback == ()
    assert doc.models["here"].common.retry is not None
    assert found(tmp_path, text) == []


def test_an_endpoint_by_default(tmp_path: Path) -> None:
    """`defaults.endpoint` serves the models that name no protocol."""
    text = WHOLE.replace("    endpoint: scorers\n", "").replace(
        "models:\n", "defaults: {endpoint: scorers}\nmodels:\n"
    )
    doc = loaded(tmp_path, text)

    assert {name: spec.endpoint for name, spec in doc.models.items()} == {"here": None, "there": "scorers"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("endpoint: scorers", "endpoint: scorer", [("E224", 11, 15)]),
        ("    endpoint: scorers", '    wire: "http://h:1"\n    endpoint: scorers', [("E215", 12, 5)]),
        ("    inputs: {amount: amount}\n", "", [("E214", 11, 5)]),
        ('{wire: "http://localhost:8080", ', "{", [("E215", 7, 12)]),
        ('{wire: "http://localhost:8080", ', "{python: 'm:f', ", [("E215", 7, 13)]),
        ("concurrency: 32", "concurrency: 0", [("E205", 7, 57)]),
        ("concurrency: 32, ", "path: /x, ", [("E201", 7, 44)]),
        ("  there:\n", "  there:\n    auth: {bearer: x}\n", [("E201", 11, 5)]),
        ("fallback: [here, {", "fallback: [there, {", [("E226", 20, 16)]),
        ("fallback: [here, {", "fallback: [hree, {", [("E203", 20, 16)]),
        ("fallback: [here, {", "fallback: [here, here, {", [("W227", 20, 22)]),
        ("0.5}}]", "0.5}}, here]", [("W227", 20, 48)]),
        ("{constant: {score", "{constnt: {score", [("E201", 20, 23)]),
        ("fallback: [here], deadline", "fallback: [there], deadline", [("E226", 22, 63)]),
        ("deadline: 300ms", "deadline: 300", [("E208", 22, 80)]),
        ("then: here", "then: hree", [("E203", 24, 40)]),
        ("events: 1000, ", "", [("E202", 24, 19)]),
        ("results: small.results", "results: small.decisions", [("E213", 26, 12)]),
        ("results: small.results", "results: events", [("E213", 26, 12)]),
        ("event: [user_id, amount]", "event: some", [("E205", 27, 10)]),
        ("event: [user_id, amount]", "event: [amuont]", [("W229", 27, 11)]),
        ("redact: {device: hash}", "redact: {device: crypt}", [("E205", 28, 20)]),
        ("redact: {device: hash}", "redact: {devise: hash}", [("W229", 28, 12)]),
        ("redact: {device: hash}", "redact: {user_id: hash}", [("W230", 28, 12)]),
        ('"${TOKEN:-swordfish}"', "swordfish", [("W231", 7, 87)]),
        ('predict"}\n', 'predict", rate: 5}\n', [("W228", 9, 38)]),
        ("here: {python", "constant: {python", None),
    ],
)
def test_one_mistake_is_one_finding(
    tmp_path: Path, old: str, new: str, expected: list[tuple[str, int, int]] | None
) -> None:
    """Each of these mistakes gives one finding at its place; None: the name that records use is refused."""
    assert old in WHOLE
    findings = told(found(tmp_path, WHOLE.replace(old, new, 1)))
    assert findings == expected if expected else findings[0] == ("E217", 9, 3)


def test_unused_endpoints_and_used_fallbacks(tmp_path: Path) -> None:
    """An endpoint without model is warned of; a model that only stands in is used."""
    spare = WHOLE.replace("endpoints:\n", 'endpoints:\n  spare: {wire: "http://h:1"}\n')

    assert found(tmp_path, WHOLE) == []
    assert told(found(tmp_path, spare)) == [("W225", 7, 3)]


def schema_takes(text: str) -> bool:
    """Whether the editor's schema takes a document."""
    root, _ = parse(File("f.yaml", text))
    assert root is not None
    whole: Any = root.plain()
    return Draft202012Validator(pipeline_schema()).is_valid(whole)


def test_the_editors_schema_knows_endpoints() -> None:
    """What the loader takes it takes, and what it can see to be wrong it refuses."""
    assert schema_takes(WHOLE)
    assert not schema_takes(WHOLE.replace("wire: ", "wires: "))
    assert not schema_takes(WHOLE.replace("endpoint: scorers", "endpont: scorers"))
    assert not schema_takes(WHOLE.replace("{constant: ", "{const: "))


def test_client_passwords_are_secrets_too(tmp_path: Path) -> None:
    """A password of the Kafka client is warned of where it stands in the document."""
    text = BASE + "kafka: {sasl.username: me, sasl.password: swordfish}\n"

    assert told(found(tmp_path, text)) == [("W231", 12, 43)]
    assert found(tmp_path, text.replace("swordfish", '"${SECRET}"'), {"SECRET": "swordfish"}) == []


@pytest.mark.parametrize(
    ("kafka", "expected"),
    [
        ("{kafka: small.requests, reply: small.replies}", []),
        ("{kafka: events}", [("E213", 8, 18)]),
        ("{kafka: small.requests, reply: small.decisions}", [("E213", 8, 41)]),
        ("{kafka: small.requests, properties: {sasl.password: swordfish}}", [("W231", 8, 62)]),
    ],
)
def test_topics_of_models_are_their_own(
    tmp_path: Path, kafka: str, expected: list[tuple[str, int, int]]
) -> None:
    """A request does not become an event nor a reply a decision; a client's password is a secret."""
    text = BASE.replace('  other: {python: "baseline:predict"}', f"  other: {kafka}")

    assert told(found(tmp_path, text)) == expected
