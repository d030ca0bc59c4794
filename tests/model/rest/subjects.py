"""Each REST protocol as the conformance suite takes it, and where it is tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.faults import FaultyServer, faulty
from model.rest import speakers
from pointsman.base.config import keys_of
from pointsman.cel.program import Program, Scope, compile  # noqa: A004  # its only name
from pointsman.model.base import models
from pointsman.model.endpoint import Endpoint, EndpointKeys
from pointsman.model.feed import TensorKeys
from pointsman.model.remote import RemoteModel
from pointsman.model.testing import Case, Subject

__all__ = ["SUBJECTS", "Common", "cel", "opener", "opening"]

ROOTS = {
    "event": "map",
    "metadata": "map",
    "headers": "map",
    "key": "dyn",
    "topic": "string",
    "now": "timestamp",
}
FIELDS = {"a": "double", "b": "double", "i": "int", "s": "string", "t": "bool", "text": "string"}


@dataclass(frozen=True)
class Common:
    """The keys of every model, as a document gives them."""

    inputs: Mapping[str, Any] | None = None
    version: str | None = None
    timeout: float = 10.0
    model: str | None = None


def cel(text: str, *, reply: bool = False, want: str | None = None) -> Program:
    """A compiled expression over an event with the fields a, b, i, s, t and text."""
    roots = {**ROOTS, "reply": "dyn"} if reply else ROOTS
    return compile(text, Scope(variables=roots, members={"event": FIELDS}), want)


def opening(
    protocol: str,
    address: str,
    keys: EndpointKeys | None,
    common: Common,
    *,
    endpoint: Endpoint | None = None,
    **own: Any,
) -> Any:
    """A model of a protocol at an address, with the keys of an endpoint or one that it shares."""
    cls: Any = models.get(protocol)
    assert set(own) <= set(keys_of(cls.Config))
    made = Endpoint("shared", address, keys) if keys is not None else endpoint
    model = cls.open("m", cls.Config(**{protocol: address}, **own), common, Path(), made)
    if made is not None and endpoint is None:
        made.private = True  # the test has nobody else who closes it
    return model


def opener(protocol: str, common: Common, **own: Any) -> Callable[[str, EndpointKeys | None], RemoteModel]:
    """A function that opens such a model."""
    return lambda address, keys: opening(protocol, address, keys, common, **own)


AB = {"a": cel("event.a"), "b": cel("event.b")}
ROWS = [(1.0, 2.0), (3.0, 4.0), (0.5, 0.25)]
SCORES = [9.0, 19.0, 2.75]
NO_ID = "The protocol has no id in its replies; a connection carries one request at a time."
NO_VERSION = "Its replies do not name a version."
NO_METADATA = "The protocol declares no inputs."
ONE_ROW = "A request carries one row."
NO_TENSORS = "The protocol has no tensors; values go as JSON."


def _cases(
    protocol: str, kinds: Mapping[str, tuple[Any, Any]], reply: Callable[[Any], Any], **own: Any
) -> list[Case]:
    """A case for each dtype of an input `x` that a model called `echo` gives back."""
    return [
        Case(
            dtype,
            opener(
                protocol,
                Common({"x": cel("event.x")}, model="echo"),
                tensors={"x": TensorKeys(dtype=dtype, shape=shape)},
                **own,
            ),
            (value,),
            reply(value),
        )
        for dtype, (shape, value) in kinds.items()
    ]


FLOATS = {"float16": ([2], [0.5, -2.0]), "float32": ([], 1.5), "float64": ([2, 2], [[0.1, 2.0], [3.0, 4.0]])}
WHOLE = {
    f"{sign}int{bits}": ([2], [2 ** (bits - 1) - 1, 0]) for sign in ("", "u") for bits in (8, 16, 32, 64)
}
KINDS = {**FLOATS, **WHOLE, "uint64": ([], 2**64 - 1), "bool": ([2], [True, False]), "string": ([1], ["é\n"])}

_EVENT = {"id": "e", "time": 1, "key": None, "metadata": {}}


def _events(*values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**_EVENT, "event": dict(value)} for value in values]


SUBJECTS: Mapping[str, tuple[Subject, Callable[[], AbstractAsyncContextManager[FaultyServer]]]] = {
    one.name: (one, stand)
    for one, stand in [
        (
            Subject(
                "open_inference (REST)",
                opener(
                    "open_inference",
                    Common(AB, model="linear"),
                    tensors={"x": TensorKeys(of=["a", "b"], dtype="float32")},
                ),
                ROWS,
                [{"score": score} for score in SCORES],
                bad=("much", 1.0),
                version="4",
                dtypes=_cases("open_inference", KINDS, lambda value: {"x": value}),
            ),
            lambda: faulty(speakers.open_inference, "wrong_id", "metadata"),
        ),
        (
            Subject(
                "kserve",
                opener("kserve", Common(AB, model="linear")),
                ROWS,
                SCORES,
                bad=(float("nan"), 1.0),
                dtypes=_cases("kserve", KINDS, lambda value: value),
                lacks={"wrong id": NO_ID, "version": NO_VERSION, "metadata": NO_METADATA},
            ),
            lambda: faulty(speakers.kserve),
        ),
        (
            Subject(
                "tensorflow_serving (REST, row)",
                opener("tensorflow_serving", Common(AB, model="linear")),
                ROWS,
                SCORES,
                bad=(float("inf"), 1.0),
                dtypes=_cases("tensorflow_serving", KINDS, lambda value: value),
                lacks={"wrong id": NO_ID, "version": NO_VERSION},
            ),
            lambda: faulty(speakers.tensorflow_serving, "metadata"),
        ),
        (
            Subject(
                "tensorflow_serving (REST, column)",
                opener("tensorflow_serving", Common(AB, model="linear"), form="column"),
                ROWS,
                SCORES,
                bad=(float("inf"), 1.0),
                dtypes=_cases("tensorflow_serving", KINDS, lambda value: value, form="column"),
                lacks={"wrong id": NO_ID, "version": NO_VERSION},
            ),
            lambda: faulty(speakers.tensorflow_serving, "metadata"),
        ),
        (
            Subject(
                "mlflow",
                opener("mlflow", Common(AB)),
                ROWS,
                SCORES,
                bad=(float("nan"), 1.0),
                dtypes=_cases("mlflow", {"float64": ([], 0.1), "string": ([], "é\n")}, lambda value: value),
                lacks={"wrong id": NO_ID, "version": NO_VERSION, "metadata": NO_METADATA},
            ),
            lambda: faulty(speakers.mlflow),
        ),
        (
            Subject(
                "http",
                opener(
                    "http",
                    Common(),
                    body=cel('{"a": event.a, "b": event.b}'),
                    reply=cel("reply.data.score", reply=True),
                    health="/health",
                ),
                _events({"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}),
                SCORES[:2],
                bad=_events({"a": 1.0})[0],
                lacks={
                    "batch": ONE_ROW,
                    "wrong length": ONE_ROW,
                    "wrong id": NO_ID,
                    "version": NO_VERSION,
                    "metadata": NO_METADATA,
                    "dtypes": NO_TENSORS,
                },
            ),
            lambda: faulty(speakers.anything),
        ),
        (
            Subject(
                "http (batched)",
                opener(
                    "http", Common(AB), batched=True, reply=cel("reply.data", reply=True), health="/health"
                ),
                ROWS,
                SCORES,
                bad=(float("nan"), 1.0),
                lacks={
                    "wrong id": NO_ID,
                    "version": NO_VERSION,
                    "metadata": NO_METADATA,
                    "dtypes": NO_TENSORS,
                },
            ),
            lambda: faulty(speakers.anything),
        ),
        (
            Subject(
                "openai (chat)",
                opener("openai", Common(model="small"), prompt=cel("event.text")),
                _events({"text": "yes"}, {"text": "no"}),
                [
                    {
                        "text": text,
                        "finish_reason": "stop",
                        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
                    }
                    for text in ("YES", "NO")
                ],
                bad=_events({})[0],
                version="small-2026",
                lacks={"batch": ONE_ROW, "wrong id": NO_ID, "metadata": NO_METADATA, "dtypes": NO_TENSORS},
            ),
            lambda: faulty(speakers.openai, path="/v1"),
        ),
        (
            Subject(
                "openai (embeddings)",
                opener("openai", Common(model="small"), embed=cel("event.text")),
                _events({"text": "four"}, {"text": "no"}),
                [
                    {"embedding": [size, 1.0], "usage": {"prompt_tokens": 4.0, "total_tokens": 4.0}}
                    for size in (4.0, 2.0)
                ],
                bad=_events({})[0],
                version="small-2026",
                lacks={"wrong id": NO_ID, "metadata": NO_METADATA, "dtypes": NO_TENSORS},
            ),
            lambda: faulty(speakers.openai, path="/v1"),
        ),
    ]
}
