"""gRPC protocols against servers that people run; `make test-servers` runs this, and `make test` does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from model.rest.subjects import AB, NO_METADATA, ROWS, SCORES, Common, cel, opener, opening
from pointsman.base.errors import ModelError, ModelInternal, ModelRefused
from pointsman.model.mapping import TensorKeys
from pointsman.model.remote import Ask, Health, RemoteModel
from pointsman.model.testing import Behaviour, Subject, behaviours_of, check
from servers import pythie
from servers.process import Server
from servers.real import at


@pytest.fixture(scope="module")
def at_pythie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running pythie-serving."""
    with pythie.serve(tmp_path_factory.mktemp("pythie")) as server:
        yield server


COLUMNS = {name: TensorKeys(shape=[1]) for name in AB}
PYTHIE = Subject(
    "tensorflow_serving",
    opener("tensorflow_serving", Common(AB, model="linear"), tensors=COLUMNS),
    ROWS,
    [{"predictions": score} for score in SCORES],
    bad=("much", 1.0),
    lacks={
        "dtypes": "the model takes two numbers",
        "version": "pythie-serving names no version",
        "metadata": NO_METADATA,
    },
)


@pytest.mark.parametrize("behaviour", behaviours_of(PYTHIE, frozenset()), ids=str)
def test_pythie(behaviour: Behaviour, at_pythie: Server) -> None:
    """A server of TensorFlow's own protocol shows the behaviours of the suite."""
    asyncio.run(check(behaviour, PYTHIE, lambda: at(at_pythie.grpc)))


def asked(model: RemoteModel, row: Any) -> Any:
    """The reply to one row, or the failure."""

    async def once() -> Any:
        try:
            return (await model.request([row], Ask(20.0, ["event-1"], {})))[0]
        except ModelError as error:
            return error
        finally:
            await model.close()

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("common", "tensors", "says"),
    [
        ({"model": "nobody"}, COLUMNS, "Unknown model: nobody"),
        ({"model": "linear"}, {"x": TensorKeys(of=["a", "b"])}, "Features names mismatch"),
    ],
    ids=["unknown model", "wrong tensor"],
)
def test_what_pythie_refuses(common: dict[str, Any], tensors: Any, says: str, at_pythie: Server) -> None:
    """It answers UNKNOWN to whatever is wrong, which is internal; what it says of it is in the message."""
    found = asked(
        opening("tensorflow_serving", at_pythie.grpc, None, Common(AB, **common), tensors=tensors), (1.0, 2.0)
    )
    assert isinstance(found, ModelInternal), found
    assert says in str(found)


def test_a_method_that_is_not_there_is_refused(at_pythie: Server) -> None:
    """V2 asked of a server that speaks another protocol is refused, and its health says why."""
    model = opening("open_inference", at_pythie.grpc, None, Common({"a": cel("event.a")}))

    async def health() -> Health:
        try:
            return await model.health()
        finally:
            await model.close()

    with pytest.raises(ModelRefused, match="UNIMPLEMENTED"):
        asyncio.run(health())
