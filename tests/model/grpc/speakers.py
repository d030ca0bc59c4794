"""What servers of each gRPC protocol answer; written from the protocols' public definitions."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from model.grpc.stand import Fails
from pointsman.model.grpc_tensors import WireTensor, packed, typed, unpacked
from pointsman.model.open_inference_grpc import CONTENTS, PROTO, _outputs
from pointsman.model.proto_files import method_of
from pointsman.model.protos import messages
from pointsman.model.tensorflow_serving_grpc import PROTO as TFS
from pointsman.model.tensorflow_serving_grpc import _fill, _tensor

SCORING = Path(__file__).with_name("scoring.proto")


def _linear(tensor: WireTensor, fault: str) -> WireTensor:
    """2a + 3b + 1 for each row, and a row too many where that is the fault."""
    flat = list(tensor.values)
    scores = [2 * flat[i] + 3 * flat[i + 1] + 1 for i in range(0, len(flat), 2)]
    if fault == "wrong_length":
        scores.append(0.0)
    return WireTensor("score", "FP64", (len(scores),), scores)


def open_inference(method: str, request: bytes, fault: str) -> bytes:
    """A V2 server with the models `linear` and `echo`; it answers raw where it was asked raw."""
    known = messages("inference", PROTO)
    name = method.rpartition("/")[2]
    asked = known[f"{name}Request"].FromString(request)
    answer = known[f"{name}Response"]()
    if name == "ModelReady":
        answer.ready = fault != "not_ready"
    elif name == "ModelMetadata":
        answer.name, answer.platform = asked.name, "none"
        answer.versions.append("4")
        answer.inputs.add(name="x", datatype="FP32", shape=[-1, 2])
        answer.outputs.add(name="score", datatype="FP64", shape=[-1])
    else:
        _infer(asked, answer, fault)
    content: bytes = answer.SerializeToString()
    return content


def _infer(asked: Any, answer: Any, fault: str) -> None:
    answer.model_name, answer.model_version = asked.model_name, "4"
    answer.id = "another" if fault == "wrong_id" else asked.id
    raw = bool(asked.raw_input_contents)
    for n, one in enumerate(asked.inputs):
        if raw:
            tensor = unpacked(one.name, one.datatype, one.shape, asked.raw_input_contents[n])
        else:
            values = list(getattr(one.contents, CONTENTS[one.datatype]))
            tensor = WireTensor(one.name, one.datatype, tuple(one.shape), values)
        found = tensor if asked.model_name == "echo" else _linear(tensor, fault)
        into = answer.outputs.add(name=found.name, datatype=found.datatype, shape=found.shape)
        if raw:
            answer.raw_output_contents.append(packed(found))
        else:
            typed(found, getattr(into.contents, CONTENTS[found.datatype]))
    assert _outputs(answer)


def tensorflow_serving(method: str, request: bytes, fault: str) -> bytes:
    """A TensorFlow Serving with the models `linear` and `echo`."""
    known = messages("tensorflow.serving", TFS)
    name = method.rpartition("/")[2]
    answer = known["PredictResponse" if name == "Predict" else f"{name}Response"]()
    asked = known[f"{name}Request"].FromString(request)
    if name == "GetModelStatus":
        answer.model_version_status.add(version=4, state=20 if fault == "not_ready" else 30)
    elif name == "GetModelMetadata":
        answer.model_spec.version.value = 4
        signatures = known["SignatureDefMap"]()
        info = signatures.signature_def["serving_default"].inputs["x"]
        info.dtype = 1
        info.tensor_shape.dim.add(size=-1)
        info.tensor_shape.dim.add(size=2)
        answer.metadata["signature_def"].value = signatures.SerializeToString()
    else:
        answer.model_spec.version.value = 4
        for one, proto in asked.inputs.items():
            tensor = _tensor(one, proto)
            found = tensor if asked.model_spec.name == "echo" else _linear(tensor, fault)
            _fill(answer.outputs[found.name], found)
    content: bytes = answer.SerializeToString()
    return content


@cache
def _scorer() -> tuple[Any, Any]:
    return method_of(SCORING, "scoring.Scorer/Score", SCORING.parent)[1:]


def scoring(method: str, request: bytes, fault: str) -> bytes:
    """The service of scoring.proto, with the standard health service beside it."""
    if method == "/grpc.health.v1.Health/Check":
        return b"\x08\x02" if fault == "not_ready" else b"\x08\x01"
    if method != "/scoring.Scorer/Score":
        raise Fails("UNIMPLEMENTED", method)
    kind, reply = _scorer()
    asked = kind.FromString(request)
    score = 2 * asked.a + 3 * asked.b + 1
    content: bytes = reply(score=score, count=2**53 + 1, tier="GOLD", text="linear").SerializeToString()
    return content
