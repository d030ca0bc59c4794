"""TensorFlow Serving's PredictionService and ModelService over gRPC, without TensorFlow.

References:
    tensorflow/serving, `tensorflow_serving/apis/{predict,model,get_model_status,get_model_metadata}.proto`;
    tensorflow/tensorflow, `tensorflow/core/framework/{tensor,types}.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.errors import InvalidInput, InvalidReply, ModelInternal, ModelRefused
from pointsman.model.grpc_channel import Channel
from pointsman.model.grpc_tensors import WireTensor, elements, packed, text_of, typed, unpacked
from pointsman.model.protos import Message, messages, parsed
from pointsman.model.remote import UNDECLARED, Health

__all__ = ["Predicted", "TensorFlowServingGrpc"]

PROTO: Final = """
message Int64Value { int64 value = 1; }
message ModelSpec {
  string name = 1;
  oneof version_choice { Int64Value version = 2; string version_label = 4; }
  string signature_name = 3;
}
message TensorShapeProto {
  message Dim { int64 size = 1; string name = 2; }
  repeated Dim dim = 2;
  bool unknown_rank = 3;
}
message TensorProto {
  int32 dtype = 1;
  TensorShapeProto tensor_shape = 2;
  int32 version_number = 3;
  bytes tensor_content = 4;
  repeated int32 half_val = 13;
  repeated float float_val = 5;
  repeated double double_val = 6;
  repeated int32 int_val = 7;
  repeated bytes string_val = 8;
  repeated int64 int64_val = 10;
  repeated bool bool_val = 11;
  repeated uint32 uint32_val = 16;
  repeated uint64 uint64_val = 17;
}
message PredictRequest {
  ModelSpec model_spec = 1;
  map<string, TensorProto> inputs = 2;
  repeated string output_filter = 3;
}
message PredictResponse { map<string, TensorProto> outputs = 1; ModelSpec model_spec = 2; }
message StatusProto { int32 error_code = 1; string error_message = 2; }
message GetModelStatusRequest { ModelSpec model_spec = 1; }
message GetModelStatusResponse {
  message ModelVersionStatus { int64 version = 1; int32 state = 2; StatusProto status = 3; }
  repeated ModelVersionStatus model_version_status = 1;
}
message Any { string type_url = 1; bytes value = 2; }
message GetModelMetadataRequest { ModelSpec model_spec = 1; repeated string metadata_field = 2; }
message GetModelMetadataResponse { ModelSpec model_spec = 1; map<string, Any> metadata = 2; }
message TensorInfo { string name = 1; int32 dtype = 2; TensorShapeProto tensor_shape = 3; }
message SignatureDef {
  map<string, TensorInfo> inputs = 1;
  map<string, TensorInfo> outputs = 2;
  string method_name = 3;
}
message SignatureDefMap { map<string, SignatureDef> signature_def = 1; }
"""

_DTYPES: Final = {
    "FP32": (1, "float_val"),
    "FP64": (2, "double_val"),
    "INT32": (3, "int_val"),
    "UINT8": (4, "int_val"),
    "INT16": (5, "int_val"),
    "INT8": (6, "int_val"),
    "BYTES": (7, "string_val"),
    "INT64": (9, "int64_val"),
    "BOOL": (10, "bool_val"),
    "UINT16": (17, "int_val"),
    "FP16": (19, "half_val"),
    "UINT32": (22, "uint32_val"),
    "UINT64": (23, "uint64_val"),
}
"""The number of each datatype (`DT_FLOAT` is 1) and its typed field."""

_NAMES: Final = {number: (name, field) for name, (number, field) in _DTYPES.items()}

_STATES: Final = {0: "unknown", 10: "starting", 20: "loading", 30: "available", 40: "unloading", 50: "ended"}
_AVAILABLE: Final = 30


@dataclass(frozen=True, slots=True)
class Predicted:
    """An answer.

    Attributes:
        model_version: The version that answered; None where the server does not say.
        outputs: The output tensors, sorted by name.
    """

    model_version: str | None
    outputs: tuple[WireTensor, ...]


class TensorFlowServingGrpc:
    """One model of a TensorFlow Serving server, reached by gRPC."""

    def __init__(
        self,
        channel: Channel,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
    ) -> None:
        """Args:
        channel: The endpoint's.
        model: The model's name at the server.
        version: The version asked for; None for the newest, or what `label` says.
        label: The version's label, such as `stable`.
        signature: The signature; None for `serving_default`.
        """
        self._channel = channel
        self._known = messages("tensorflow.serving", PROTO)
        self._model = model
        self._signature = signature or "serving_default"
        chosen: dict[str, Any] = {}
        if version is not None:
            chosen["version"] = self._known["Int64Value"](value=version)
        elif label is not None:
            chosen["version_label"] = label
        self._spec = self._known["ModelSpec"](name=model, **chosen)
        self._called = self._known["ModelSpec"](name=model, signature_name=signature or "", **chosen)

    async def predict(
        self,
        inputs: Sequence[WireTensor],
        *,
        timeout: float,
        trace: Mapping[str, str],
        outputs: Sequence[str] = (),
    ) -> Predicted:
        """One Predict.

        Args:
            inputs: The tensors.
            timeout: Seconds.
            trace: Metadata to forward.
            outputs: The outputs that are wanted; all where empty.

        Raises:
            ModelError: It failed; the class says how.
        """
        request = self._known["PredictRequest"](model_spec=self._called, output_filter=outputs)
        for tensor in inputs:
            _fill(request.inputs[tensor.name], tensor)
        answer = await self._call("Prediction", "Predict", request, timeout, trace)
        version = answer.model_spec.version.value if answer.model_spec.HasField("version") else None
        found = tuple(_tensor(name, answer.outputs[name]) for name in sorted(answer.outputs))
        return Predicted(None if version is None else str(version), found)

    async def health(self, timeout: float) -> Health:
        """Asks GetModelStatus, and GetModelMetadata where a version is available.

        Raises:
            ModelError: It could not be asked.
        """
        request = self._known["GetModelStatusRequest"](model_spec=self._spec)
        try:
            said = await self._call("Model", "GetModelStatus", request, timeout, {})
        except ModelRefused as error:
            if "NOT_FOUND" in str(error):
                return Health(False, why=f"the server has no model '{self._model}'")
            if "UNIMPLEMENTED" not in str(error):
                raise
            return await self._declared(timeout, None)
        available = [s.version for s in said.model_version_status if s.state == _AVAILABLE]
        if not available:
            states = ", ".join(
                f"version {s.version} is {_STATES.get(s.state, s.state)}" for s in said.model_version_status
            )
            return Health(False, why=states or f"the server has no version of '{self._model}'")
        return await self._declared(timeout, str(max(available)))

    async def _declared(self, timeout: float, version: str | None) -> Health:
        """What the signature declares; a server may keep that to itself."""
        request = self._known["GetModelMetadataRequest"](
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        try:
            said = await self._call("Prediction", "GetModelMetadata", request, timeout, {})
        except (ModelRefused, ModelInternal) as error:
            if version is None and "UNIMPLEMENTED" not in str(error):
                raise
            return Health(True, version, note=UNDECLARED)
        if said.model_spec.HasField("version"):
            version = str(said.model_spec.version.value)
        signatures = parsed(
            self._known["SignatureDefMap"], said.metadata["signature_def"].value
        ).signature_def
        if self._signature not in signatures:
            known = ", ".join(sorted(signatures)) or "none"
            return Health(False, version, why=f"no signature '{self._signature}'; the model has: {known}")
        signature = signatures[self._signature]
        return Health(True, version, _infos(signature.inputs), _infos(signature.outputs))

    async def _call(
        self, service: str, method: str, request: Message, timeout: float, trace: Mapping[str, str]
    ) -> Message:
        name = f"/tensorflow.serving.{service}Service/{method}"
        answer = await self._channel.unary(name, request.SerializeToString(), timeout, trace)
        kind = "PredictResponse" if method == "Predict" else f"{method}Response"
        return parsed(self._known[kind], answer)


def _fill(into: Message, tensor: WireTensor) -> None:
    """One tensor as a TensorProto: in typed fields, except half floats."""
    known = _DTYPES.get(tensor.datatype)
    if known is None:
        raise InvalidInput(f"input '{tensor.name}' is of the datatype {tensor.datatype}, which is not known")
    into.dtype, field = known
    for size in tensor.shape:
        into.tensor_shape.dim.add(size=size)
    if tensor.datatype == "FP16":
        into.tensor_content = packed(tensor)
    else:
        typed(tensor, getattr(into, field))


def _tensor(name: str, proto: Message) -> WireTensor:
    """A TensorProto as a tensor, from raw or typed content; one typed element stands for all."""
    if proto.dtype not in _NAMES:
        raise InvalidReply(f"output '{name}' is of the dtype {proto.dtype}, which is not known")
    datatype, field = _NAMES[proto.dtype]
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    size = elements(name, shape)
    if proto.tensor_content and datatype != "BYTES":
        return unpacked(name, datatype, shape, proto.tensor_content)
    values: list[Any] = list(getattr(proto, field))
    if datatype == "FP16":
        halves = b"".join((bits & 0xFFFF).to_bytes(2, "little") for bits in values)
        values = list(unpacked(name, datatype, (len(values),), halves).values)
    if datatype == "BYTES":
        values = [text_of(name, value) for value in values]
    if len(values) == 1 and size > 1:
        values *= size
    if len(values) != math.prod(shape):
        raise InvalidReply(f"output '{name}' has {len(values)} elements for the shape {list(shape)}")
    return WireTensor(name, datatype, shape, values)


def _infos(infos: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape by name, as a signature declares them."""
    return {
        name: (
            _NAMES.get(info.dtype, (f"dtype {info.dtype}", ""))[0],
            tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in infos.items()
    }
