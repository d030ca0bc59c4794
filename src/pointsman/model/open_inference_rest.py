"""The Open Inference Protocol (V2) over REST: tensors to a model and back, and what it says of itself.

References:
    Open Inference Protocol, `specification/protocol/inference_rest.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pointsman.base.errors import InvalidReply
from pointsman.model.endpoint import Endpoint
from pointsman.model.grpc_tensors import FORMATS, WireTensor, elements
from pointsman.model.open_inference_grpc import Inferred
from pointsman.model.remote import UNDECLARED, Ask, Health
from pointsman.model.rest import body_of, json_of, post, quoted, readiness

__all__ = ["OpenInferenceRest"]

_NUMBERS: Final = frozenset((int, float))
_FLOATS: Final = frozenset(("FP16", "FP32", "FP64"))


class OpenInferenceRest:
    """One model of a V2 server, reached by REST."""

    def __init__(self, endpoint: Endpoint, model: str, version: str = "") -> None:
        """Args:
        endpoint: Whose connections are used.
        model: The model's name at the server.
        version: The version asked for; empty for the server's choice.
        """
        self._endpoint = endpoint
        self._path = f"/v2/models/{quoted(model)}" + (f"/versions/{quoted(version)}" if version else "")
        self._version = version

    async def infer(
        self,
        inputs: Sequence[WireTensor],
        *,
        id: str,  # noqa: A002  # the protocol's word
        ask: Ask,
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> Inferred:
        """One request.

        Args:
            inputs: The tensors.
            id: The request's id, which a server returns.
            ask: What the attempt is told.
            outputs: The outputs that are wanted; all where empty.
            parameters: Of the request.

        Raises:
            ModelError: It failed; the class says how.
        """
        tensors = [
            {"name": one.name, "shape": one.shape, "datatype": one.datatype, "data": one.values}
            for one in inputs
        ]
        request: dict[str, Any] = {"id": id, "inputs": tensors}
        if outputs:
            request["outputs"] = [{"name": name} for name in outputs]
        if parameters:
            request["parameters"] = parameters
        answer = json_of(await post(self._endpoint, self._path + "/infer", body_of(request), ask))
        if not isinstance(answer, dict) or not isinstance(answer.get("outputs"), list):
            raise InvalidReply("the reply has no list of 'outputs'")
        found = answer.get("id")
        if found and found != id:
            raise InvalidReply(f"the reply is for the request '{str(found)[:80]}', not '{id}'")
        version = answer.get("model_version")
        return Inferred(str(version) if version else None, tuple(_tensor(one) for one in answer["outputs"]))

    async def health(self, timeout: float) -> Health:
        """Asks whether the model is ready, and where it is, for its metadata.

        Raises:
            ModelError: It could not be asked.
        """
        why, said = await readiness(self._endpoint, self._path + "/ready", timeout)
        if not why and isinstance(said, dict) and said.get("ready") is False:
            why = "the server says that it is not ready"
        if why:
            return Health(False, why=why)
        why, said = await readiness(self._endpoint, self._path, timeout)
        if why or not isinstance(said, dict):  # metadata is optional in practice
            return Health(True, self._version or None, note=UNDECLARED)
        versions = said.get("versions") or []
        version = self._version or (str(versions[-1]) if isinstance(versions, list) and versions else None)
        inputs, outputs = _declared(said.get("inputs")), _declared(said.get("outputs"))
        return Health(True, version, inputs, outputs, note="" if inputs else UNDECLARED)


def _tensor(said: Any) -> WireTensor:
    """An output tensor, its elements in one list and of the type that it names."""
    try:
        name, datatype, data = str(said["name"]), said["datatype"], said["data"]
        shape = tuple(int(size) for size in said["shape"])
    except (TypeError, KeyError, ValueError, OverflowError):
        raise InvalidReply("an output has not all of name, datatype, shape and data") from None
    if not isinstance(datatype, str) or (datatype not in FORMATS and datatype != "BYTES"):
        raise InvalidReply(f"output '{name}' is of the datatype {str(datatype)[:20]}, which is not known")
    values = _flat(data) if isinstance(data, list) else [data]
    if len(values) != elements(name, shape):
        raise InvalidReply(f"output '{name}' has {len(values)} elements for the shape {list(shape)}")
    return WireTensor(name, datatype, shape, _typed(name, datatype, values))


def _flat(data: list[Any]) -> list[Any]:
    """The elements of a list of lists of any depth."""
    while list in map(type, data):
        data = [one for part in data for one in (part if part.__class__ is list else [part])]
    return data


def _typed(name: str, datatype: str, values: list[Any]) -> list[Any]:
    """The elements as the datatype's; JSON does not tell 1 from 1.0, and writes NaN as null."""
    kinds = set(map(type, values))
    if datatype in _FLOATS:
        if kinds <= {float}:
            return values
        if kinds <= {float, int, type(None)}:
            return [None if value is None else float(value) for value in values]
    elif datatype == "BYTES":
        if kinds <= {str}:
            return values
    elif datatype == "BOOL":
        if kinds <= {bool}:
            return values
        if kinds <= {bool, int} and {0, 1}.issuperset(values):
            return [bool(value) for value in values]
    elif kinds <= {int}:
        return values
    elif kinds <= _NUMBERS and all(value == int(value) for value in values):
        return [int(value) for value in values]
    raise InvalidReply(f"output '{name}' is {datatype}, and not all of its elements are")


def _declared(said: Any) -> dict[str, tuple[str, tuple[int, ...]]] | None:
    """Dtype and shape by name; None where the server declares nothing that can be read."""
    try:
        found = {
            str(one["name"]): (str(one["datatype"]), tuple(int(size) for size in one["shape"]))
            for one in said or ()
        }
    except (TypeError, KeyError, ValueError):
        return None
    return found or None
