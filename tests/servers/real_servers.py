"""Protocols against the servers that people run; `make test-servers` runs this, and `make test` does not.

Each server is started once. It is given the behaviours of the conformance suite that need no fault, and is
asked for what only a real one shows: how it refuses, fails, and is away and back again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model.rest.subjects import (
    AB,
    KINDS,
    NO_VERSION,
    ROWS,
    SCORES,
    Common,
    cel,
    opener,
    opening,
)
from pointsman.base.errors import InvalidInput, ModelError, ModelInternal, ModelRefused
from pointsman.model.feed import TensorKeys
from pointsman.model.remote import Ask, RemoteModel
from pointsman.model.testing import Case, Subject, behaviours_of, check
from servers import kserve, mlflow, mlserver
from servers.process import Server
from servers.real import at

X = {"x": TensorKeys(of=["a", "b"], dtype="float64")}


@pytest.fixture(scope="module")
def at_mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running MLServer."""
    with mlserver.serve(tmp_path_factory.mktemp("mlserver")) as server:
        yield server


@pytest.fixture(scope="module")
def at_kserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running KServe."""
    with kserve.serve(tmp_path_factory.mktemp("kserve")) as server:
        yield server


@pytest.fixture(scope="module")
def at_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running scoring server of MLflow."""
    with mlflow.serve(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def _echo(kinds: dict[str, Any]) -> list[Case]:
    return [
        Case(
            dtype,
            opener(
                "open_inference",
                Common({"x": cel("event.x")}, model="echo"),
                tensors={"x": TensorKeys(dtype=dtype, shape=shape)},
            ),
            (value,),
            {"x": value},
        )
        for dtype, (shape, value) in kinds.items()
    ]


V2_MLSERVER = Subject(
    "open_inference",
    opener("open_inference", Common(AB, model="linear"), tensors=X),
    ROWS,
    [{"predict": [score]} for score in SCORES],
    bad=("much", 1.0),
    version="v7",
    dtypes=_echo(KINDS),
)
V2_KSERVE = Subject(
    "open_inference",
    opener("open_inference", Common(AB, model="linear"), tensors=X),
    ROWS,
    [{"score": score} for score in SCORES],
    bad=("much", 1.0),
    version="v1",
    lacks={"dtypes": "asked of MLServer"},
)
V1 = Subject(
    "kserve",
    opener("kserve", Common(AB, model="linear")),
    ROWS,
    SCORES,
    bad=(float("nan"), 1.0),
    lacks={"dtypes": "the model takes two numbers", "version": NO_VERSION},
)
V1_MAP = Subject(
    "kserve, rows by name",
    opener("kserve", Common(AB, model="linear"), row="map"),
    ROWS,
    SCORES,
    bad=(float("nan"), 1.0),
    lacks={"dtypes": "the model takes two numbers", "version": NO_VERSION},
)
MLFLOW = [
    Subject(
        f"mlflow, {form}",
        opener("mlflow", Common(AB), form=form),
        ROWS,
        SCORES,
        bad=(float("nan"), 1.0),
        lacks={"dtypes": "the model takes two numbers", "version": NO_VERSION},
    )
    for form in ("dataframe_split", "inputs")
]
PLACES: list[tuple[str, str, Subject]] = [
    ("at_mlserver", "rest", V2_MLSERVER),
    ("at_mlserver", "grpc", V2_MLSERVER),
    ("at_kserve", "rest", V2_KSERVE),
    ("at_kserve", "grpc", V2_KSERVE),
    ("at_kserve", "rest", V1),
    ("at_kserve", "rest", V1_MAP),
    *(("at_mlflow", "rest", one) for one in MLFLOW),
]
CASES = [
    (place, how, subject, behaviour)
    for place, how, subject in PLACES
    for behaviour in behaviours_of(subject, frozenset())
]


@pytest.mark.parametrize(
    ("place", "how", "subject", "behaviour"),
    CASES,
    ids=[f"{place}-{how}-{subject.name}-{behaviour}" for place, how, subject, behaviour in CASES],
)
def test_behaviour(
    place: str, how: str, subject: Subject, behaviour: Any, request: pytest.FixtureRequest
) -> None:
    """A real server shows the same behaviours as the one that misbehaves."""
    address = getattr(request.getfixturevalue(place), how)
    asyncio.run(check(behaviour, subject, lambda: at(address)))


def ask(model: RemoteModel, row: Any) -> Any:
    """The reply to one row, or the failure."""

    async def asked() -> Any:
        try:
            return (await model.request([row], Ask(20.0, ["event-1"], {})))[0]
        except ModelError as error:
            return error
        finally:
            await model.close()

    return asyncio.run(asked())


FAILING = [
    ("at_mlserver", "rest", "open_inference", {"model": "refusing"}, InvalidInput, "must not be negative"),
    ("at_mlserver", "grpc", "open_inference", {"model": "refusing"}, InvalidInput, "must not be negative"),
    ("at_mlserver", "rest", "open_inference", {"model": "raising"}, ModelInternal, "500"),
    ("at_mlserver", "grpc", "open_inference", {"model": "raising"}, ModelInternal, "no such column"),
    ("at_mlserver", "rest", "open_inference", {"model": "nobody"}, ModelRefused, "not found"),
    ("at_mlserver", "grpc", "open_inference", {"model": "nobody"}, ModelRefused, "not found"),
    ("at_mlserver", "rest", "open_inference", {"model": "linear", "version": "v8"}, ModelRefused, "v8"),
    ("at_kserve", "rest", "kserve", {"model": "linear"}, InvalidInput, "must not be negative"),
    ("at_kserve", "rest", "kserve", {"model": "raising"}, ModelInternal, "no such column"),
    ("at_kserve", "rest", "kserve", {"model": "nobody"}, ModelRefused, "does not exist"),
    ("at_kserve", "rest", "open_inference", {"model": "raising"}, ModelInternal, "no such column"),
    ("at_mlflow", "rest", "mlflow", {}, InvalidInput, "400"),
]


@pytest.mark.parametrize(("place", "how", "protocol", "common", "failure", "says"), FAILING)
def test_failures_have_their_class(
    place: str,
    how: str,
    protocol: str,
    common: dict[str, Any],
    failure: type[ModelError],
    says: str,
    request: pytest.FixtureRequest,
) -> None:
    """What a real server answers to what it refuses, lacks or fails at, and what it says of it."""
    address = getattr(request.getfixturevalue(place), how)
    own = {"tensors": X} if protocol == "open_inference" else {}
    found = ask(opening(protocol, address, None, Common(AB, **common), **own), (-1.0, 2.0))
    assert type(found) is failure, found
    assert says in str(found)


def test_a_version_is_asked_for_by_name(at_mlserver: Server) -> None:
    """With `version` the request goes to that version."""
    for address in (at_mlserver.rest, at_mlserver.grpc):
        model = opening("open_inference", address, None, Common(AB, "v7", model="linear"), tensors=X)
        assert ask(model, (1.0, 2.0)) == {"predict": [9.0]}


def test_a_tensor_of_another_name_is_told_by_health(at_kserve: Server) -> None:
    """A model that a real server does not have is not ready, and the server's reason is given."""
    model = opening("kserve", at_kserve.rest, None, Common(AB, model="nobody"))

    async def asked() -> Any:
        try:
            return await model.health()
        finally:
            await model.close()

    health = asyncio.run(asked())
    assert not health.ready
    assert "nobody" in health.why


@pytest.mark.parametrize("how", ["rest", "grpc"])
def test_metadata_is_compared_with_the_mapping(at_mlserver: Server, how: str) -> None:
    """What a real server declares is read, and a tensor of another name, dtype or shape is told."""
    address = getattr(at_mlserver, how)

    async def asked(tensors: dict[str, TensorKeys]) -> tuple[Any, list[str]]:
        model = opening("open_inference", address, None, Common(AB, model="linear"), tensors=tensors)
        try:
            health = await model.health()
            return health, [str(one) for one in model.feeds.compare(health.inputs)]
        finally:
            await model.close()

    health, found = asyncio.run(asked(X))
    assert health.ready
    assert health.inputs == {"x": ("FP64", (-1, 2))}
    assert found == []
    _, found = asyncio.run(asked({"y": TensorKeys(of=["a", "b"])}))
    assert len(found) == 2
    _, found = asyncio.run(asked({"x": TensorKeys(of=["a"], dtype="float32", shape=[3])}))
    assert [one.partition(" is ")[2] for one in found] == [
        "float32, the server expects FP64",
        "[any, 3], the server expects [any, 2]",
        "given as float64, the server expects x",
    ]


SERVES: list[tuple[Callable[..., Any], str, Subject]] = [
    (mlserver.serve, "rest", V2_MLSERVER),
    (mlserver.serve, "grpc", V2_MLSERVER),
    (kserve.serve, "rest", V1),
]


@pytest.mark.parametrize(
    ("serve", "how", "subject"), SERVES, ids=[f"{serve.__module__}-{how}" for serve, how, _ in SERVES]
)
def test_a_server_that_comes_back_is_found(
    serve: Callable[..., Any], how: str, subject: Subject, tmp_path: Path
) -> None:
    """While it is away requests are refused; once it is back, the same model answers again."""

    async def asked() -> None:
        with serve(tmp_path) as first:
            model = subject.open(getattr(first, how), None)
            assert await model.request(ROWS, Ask(20.0, ["1", "2", "3"], {})) == subject.replies
            ports = [int(address.rpartition(":")[2]) for address in (first.rest, first.grpc)]
        with pytest.raises(ModelRefused):
            await model.request(ROWS, Ask(20.0, ["1", "2", "3"], {}))
        with serve(tmp_path, *ports):
            async with asyncio.timeout(30):
                while True:
                    try:
                        found = await model.request(ROWS, Ask(20.0, ["1", "2", "3"], {}))
                        break
                    except ModelRefused:
                        await asyncio.sleep(0.1)  # gRPC waits up to a second before it connects again
            assert found == subject.replies
        await model.close()

    asyncio.run(asked())
