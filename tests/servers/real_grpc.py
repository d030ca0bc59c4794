"""gRPC protocols against servers that people run; `make test-servers` runs this, and `make test` does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from model.rest.subjects import AB, NO_METADATA, ROWS, SCORES, Common, cel, opener, opening
from pointsman.base.errors import ModelError, ModelInternal, ModelRefused
from pointsman.model.feed import TensorKeys
from pointsman.model.remote import Ask, Health, RemoteModel
from pointsman.model.testing import Behaviour, Case, Subject, behaviours_of, check
from servers import pythie, triton
from servers.environment import NotMade
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


@pytest.fixture(scope="module")
def at_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Triton, where this machine can have one."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(triton.serve(tmp_path_factory.mktemp("triton")))
        except NotMade as error:
            pytest.skip(str(error))
        yield server


X = {"x": TensorKeys(of=["a", "b"], dtype="float64")}
ECHOED = {
    "float16": [0.5, -2.0],
    "float32": [1.5],
    "int8": [127, 0],
    "uint64": [2**64 - 1],
    "bool": [True, False],
}


def _triton(**own: Any) -> Subject:
    """The model of two numbers, and one for each type of element that gives back."""
    cases = [
        Case(
            dtype,
            opener(
                "open_inference",
                Common({"x": cel("event.x")}, model=f"echo-{dtype}"),
                tensors={"x": TensorKeys(dtype=dtype, shape=[len(value)])},
                **own,
            ),
            (value,),
            {"x": value},
        )
        for dtype, value in {**ECHOED, "string": ["é\n"]}.items()
    ]
    return Subject(
        "open_inference",
        opener("open_inference", Common(AB, model="linear"), tensors=X, **own),
        ROWS,
        [{"score": [score]} for score in SCORES],
        bad=("much", 1.0),
        version="3",
        dtypes=cases,
    )


TRITON = [("grpc", "typed", _triton()), ("grpc", "raw", _triton(raw=True)), ("rest", "json", _triton())]
AT_TRITON = [
    (how, subject, one)
    for how, _, subject in TRITON
    for one in behaviours_of(subject, frozenset(("metadata",)))
    if (how, one.name) != ("rest", "dtypes")  # 16-bit floats have no JSON there
]


@pytest.mark.parametrize(
    ("how", "subject", "behaviour"),
    AT_TRITON,
    ids=[f"{how}-{n}-{one}" for n, (how, _, one) in enumerate(AT_TRITON)],
)
def test_triton(how: str, subject: Subject, behaviour: Behaviour, at_triton: Server) -> None:
    """Triton, which answers raw whatever it is asked in, shows the behaviours of the suite."""
    asyncio.run(check(behaviour, subject, lambda: at(getattr(at_triton, how))))


@pytest.mark.parametrize(
    ("model", "failure"), [("nobody", ModelRefused), ("raising", ModelInternal)], ids=["unknown", "raising"]
)
def test_what_triton_fails_at(model: str, failure: type[ModelError], at_triton: Server) -> None:
    """Its statuses have the classes of what they mean."""
    found = asked(
        opening("open_inference", at_triton.grpc, None, Common(AB, model=model), tensors=X), (1.0, 2.0)
    )
    assert isinstance(found, failure), found
