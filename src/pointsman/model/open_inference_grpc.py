"""The Open Inference Protocol (V2) over gRPC: tensors to a model and back, and what it says of itself.

References:
    Open Inference Protocol, `specification/protocol/inference_grpc.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.errors import InvalidReply, ModelRefused
from pointsman.model.grpc_channel import Channel
from pointsman.model.grpc_tensors import WireTensor, elements, packed, text_of, typed, unpacked
from pointsman.model.protos import Message, messages, parsed
from pointsman.model.remote import UNDECLARED, Health

__all__ = ["Inferred", "OpenInferenceGrpc"]

_SERVICE: Final = "/inference.GRPCInferenceService/"

PROTO: Final = """
message InferParameter {
  oneof parameter_choice { bool bool_param = 1; int64 int64_param = 2; string string_param = 3; }
}
message InferTensorContents {
  repeated bool bool_contents = 1;
  repeated int32 int_contents = 2;
  repeated int64 int64_contents = 3;
  repeated uint32 uint_contents = 4;
  repeated uint64 uint64_contents = 5;
  repeated float fp32_contents = 6;
  repeated double fp64_contents = 7;
  repeated bytes bytes_contents = 8;
}
message ModelInferRequest {
  message InferInputTensor {
    string name = 1;
    string datatype = 2;
    repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4;
    InferTensorContents contents = 5;
  }
  message InferRequestedOutputTensor { string name = 1; map<string, InferParameter> parameters = 2; }
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferInputTensor inputs = 5;
  repeated InferRequestedOutputTensor outputs = 6;
  repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  message InferOutputTensor {
    string name = 1;
    string datatype = 2;
    repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4;
    InferTensorContents contents = 5;
  }
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferOutputTensor outputs = 5;
  repeated bytes raw_output_contents = 6;
}
message ModelReadyRequest { string name = 1; string version = 2; }
message ModelReadyResponse { bool ready = 1; }
message ModelMetadataRequest { string name = 1; string version = 2; }
message ModelMetadataResponse {
  message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string name = 1;
  repeated string versions = 2;
  string platform = 3;
  repeated TensorMetadata inputs = 4;
  repeated TensorMetadata outputs = 5;
}
"""

CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The typed field of each datatype; FP16 has none and travels raw."""


@dataclass(frozen=True, slots=True)
class Inferred:
    """An answer.

    Attributes:
        model_version: As the server says it; None where it does not.
        outputs: The output tensors, in the server's order.
    """

    model_version: str | None
    outputs: tuple[WireTensor, ...]


class OpenInferenceGrpc:
    """One model of a V2 server, reached by gRPC."""

    def __init__(self, channel: Channel, model: str, version: str = "", *, raw: bool = False) -> None:
        """Args:
        channel: The endpoint's.
        model: The model's name at the server.
        version: The version asked for; empty for the server's choice.
        raw: Whether tensors are sent as raw content; both kinds are understood in answers.
        """
        self._channel = channel
        self._model = model
        self._version = version
        self._raw = raw
        self._known = messages("inference", PROTO)

    async def infer(
        self,
        inputs: Sequence[WireTensor],
        *,
        id: str,  # noqa: A002  # the protocol's word
        timeout: float,
        trace: Mapping[str, str],
        outputs: Sequence[str] = (),
        parameters: Mapping[str, bool | int | str] | None = None,
    ) -> Inferred:
        """One request.

        Args:
            inputs: The tensors.
            id: The request's id, which a server returns.
            timeout: Seconds.
            trace: Metadata to forward.
            outputs: The outputs that are wanted; all where empty.
            parameters: Of the request.

        Raises:
            ModelError: It failed; the class says how.
        """
        request = self._known["ModelInferRequest"](model_name=self._model, model_version=self._version, id=id)
        self._fill(request, inputs)
        for name in outputs:
            request.outputs.add(name=name)
        for name, value in (parameters or {}).items():
            _parameter(request.parameters[name], value)
        content = request.SerializeToString()
        answer = await self._call("ModelInfer", content, timeout, trace, "ModelInferResponse")
        if answer.id and answer.id != id:
            raise InvalidReply(f"the reply is for the request '{answer.id[:80]}', not '{id}'")
        return Inferred(answer.model_version or None, _outputs(answer))

    def _fill(self, request: Message, inputs: Sequence[WireTensor]) -> None:
        """Adds the tensors: all typed, or all raw, which the protocol does not let us mix."""
        raw = self._raw or any(tensor.datatype not in CONTENTS for tensor in inputs)
        for tensor in inputs:
            into = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            if raw:
                request.raw_input_contents.append(packed(tensor))
            else:
                typed(tensor, getattr(into.contents, CONTENTS[tensor.datatype]))

    async def health(self, timeout: float) -> Health:
        """Asks ModelReady, and where it is, ModelMetadata.

        Raises:
            ModelError: It could not be asked.
        """
        named = {"name": self._model, "version": self._version}
        content = self._known["ModelReadyRequest"](**named).SerializeToString()
        try:
            ready = await self._call("ModelReady", content, timeout, {}, "ModelReadyResponse")
        except ModelRefused as error:
            if "NOT_FOUND" not in str(error):
                raise
            return Health(False, why=f"the server has no model '{self._model}'")
        if not ready.ready:
            return Health(False, why=f"the server says that '{self._model}' is not ready")
        content = self._known["ModelMetadataRequest"](**named).SerializeToString()
        try:
            said = await self._call("ModelMetadata", content, timeout, {}, "ModelMetadataResponse")
        except ModelRefused:  # optional in practice: servers leave it unimplemented
            return Health(True, self._version or None, note=UNDECLARED)
        version = self._version or (said.versions[-1] if said.versions else None)
        inputs, outputs = _declared(said.inputs), _declared(said.outputs)
        return Health(True, version, inputs, outputs, note="" if inputs else UNDECLARED)

    async def _call(
        self, method: str, content: bytes, timeout: float, trace: Mapping[str, str], reply: str
    ) -> Message:
        answer = await self._channel.unary(_SERVICE + method, content, timeout, trace)
        return parsed(self._known[reply], answer)


def _parameter(into: Message, value: bool | int | str) -> None:
    field = (
        "bool_param"
        if value.__class__ is bool
        else "string_param"
        if isinstance(value, str)
        else "int64_param"
    )
    setattr(into, field, value)


def _outputs(answer: Message) -> tuple[WireTensor, ...]:
    """The output tensors, from raw or typed contents."""
    raw = answer.raw_output_contents
    if raw and len(raw) != len(answer.outputs):
        raise InvalidReply(f"the reply has {len(raw)} raw contents for {len(answer.outputs)} outputs")
    if raw:
        return tuple(
            unpacked(out.name, out.datatype, out.shape, content)
            for out, content in zip(answer.outputs, raw, strict=True)
        )
    return tuple(_typed_output(out) for out in answer.outputs)


def _typed_output(out: Message) -> WireTensor:
    field = CONTENTS.get(out.datatype)
    if field is None:
        raise InvalidReply(f"output '{out.name}' is of the datatype {out.datatype[:20]}, which is not known")
    values: list[Any] = list(getattr(out.contents, field))
    shape = tuple(out.shape)
    if len(values) != elements(out.name, shape):
        raise InvalidReply(f"output '{out.name}' has {len(values)} elements for the shape {list(shape)}")
    if out.datatype == "BYTES":
        values = [text_of(out.name, value) for value in values]
    return WireTensor(out.name, out.datatype, shape, values)


def _declared(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]] | None:
    """Dtype and shape by name; None where the server declares nothing."""
    return {tensor.name: (tensor.datatype, tuple(tensor.shape)) for tensor in tensors} or None
