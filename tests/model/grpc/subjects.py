"""Each gRPC protocol as the conformance suite takes it, and where it is tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from model.grpc import speakers
from model.grpc.stand import standing
from model.rest.subjects import AB, KINDS, ONE_ROW, ROWS, SCORES, Common, cel, opener
from pointsman.model.feed import TensorKeys
from pointsman.model.testing import Case, Subject

__all__ = ["SUBJECTS"]

NO_TYPE = "grpcio refuses another content type by itself, as a status."
NO_ID = "The protocol has no id in its replies; HTTP/2 keeps streams apart."
NO_VERSION = "A reply of any service has no place for a version that we know."
NO_METADATA = "The health service declares no inputs."
NO_TENSORS = "Fields have the types of the .proto file; there are no tensors."

FLOAT = {"x": TensorKeys(of=["a", "b"], dtype="float32")}


def _cases(protocol: str, **own: Any) -> list[Case]:
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
            {"x": value},
        )
        for dtype, (shape, value) in KINDS.items()
    ]


def _reply(score: float) -> dict[str, Any]:
    """What the service of scoring.proto answers."""
    rest = {"users": [], "by_flag": {}, "blob": ""}
    return {"score": score, "count": 2**53 + 1, "tier": "GOLD", "text": "linear", **rest}


SUBJECTS: Mapping[str, tuple[Subject, Callable[[], AbstractAsyncContextManager[Any]]]] = {
    one.name: (one, stand)
    for one, stand in [
        *(
            (
                Subject(
                    f"open_inference (gRPC, {'raw' if raw else 'typed'})",
                    opener("open_inference", Common(AB, model="linear"), tensors=FLOAT, raw=raw),
                    ROWS,
                    [{"score": score} for score in SCORES],
                    bad=("much", 1.0),
                    version="4",
                    dtypes=_cases("open_inference", raw=raw),
                    lacks={"wrong type": NO_TYPE},
                ),
                lambda: standing(speakers.open_inference, "wrong_id", "metadata"),
            )
            for raw in (False, True)
        ),
        (
            Subject(
                "tensorflow_serving (gRPC)",
                opener("tensorflow_serving", Common(AB, model="linear"), tensors=FLOAT),
                ROWS,
                [{"score": score} for score in SCORES],
                bad=("much", 1.0),
                version="4",
                dtypes=_cases("tensorflow_serving"),
                lacks={"wrong type": NO_TYPE, "wrong id": NO_ID},
            ),
            lambda: standing(speakers.tensorflow_serving, "metadata"),
        ),
        (
            Subject(
                "grpc",
                opener("grpc", Common(AB), method="scoring.Scorer/Score", proto=speakers.SCORING),
                ROWS,
                [_reply(score) for score in SCORES],
                bad=("much", 1.0),
                lacks={
                    "batch": ONE_ROW,
                    "wrong length": ONE_ROW,
                    "wrong type": NO_TYPE,
                    "wrong id": NO_ID,
                    "version": NO_VERSION,
                    "metadata": NO_METADATA,
                    "dtypes": NO_TENSORS,
                },
            ),
            lambda: standing(speakers.scoring),
        ),
    ]
}
