"""TensorFlow Serving over REST: rows or columns to a model and back, and what it says of itself.

References:
    TensorFlow Serving, "RESTful API", https://www.tensorflow.org/tfx/serving/api_rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pointsman.model.endpoint import Endpoint
from pointsman.model.jsonrows import columns, instances, member, one_each
from pointsman.model.mapping import Fed
from pointsman.model.remote import UNDECLARED, Ask, Health
from pointsman.model.rest import body_of, json_of, post, quoted, readiness

__all__ = ["TensorFlowServingRest"]


class TensorFlowServingRest:
    """One model of a TensorFlow Serving server, reached by REST."""

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        model: str,
        version: str | None,
        label: str | None,
        signature: str | None,
        column: bool,
    ) -> None:
        """Args:
        endpoint: Whose connections are used.
        name: The model's name in the document, for messages.
        model: Its name at the server.
        version: The version asked for; None for the newest, or what `label` says.
        label: The version's label, such as `stable`.
        signature: The signature; None for `serving_default`.
        column: Whether each tensor is sent as a whole instead of row by row.
        """
        self._endpoint = endpoint
        self._name = name
        self._model = f"/v1/models/{quoted(model)}"
        self._path = self._model
        if version is not None:
            self._path += f"/versions/{quoted(version)}"
        elif label is not None:
            self._path += f"/labels/{quoted(label)}"
        self._signature = signature
        self._column = column

    async def predict(self, fed: Fed, ask: Ask, take: Sequence[str]) -> Sequence[Any]:
        """One request; a reply for each row: its outputs by name, or its only output alone.

        Args:
            fed: The rows that fit.
            ask: What the attempt is told.
            take: The outputs that are kept; all where empty.

        Raises:
            ModelError: It failed; the class says how.
        """
        names = [named.feed.name for named in fed.tensors]
        request: dict[str, Any] = {}
        if self._signature is not None:
            request["signature_name"] = self._signature
        if self._column:
            found = columns(fed)
            request["inputs"] = found[0] if len(names) == 1 else dict(zip(names, found, strict=True))
        else:
            request["instances"] = instances(fed, "value" if len(names) == 1 else "map")
        answer = json_of(await post(self._endpoint, f"{self._path}:predict", body_of(request), ask))
        if any(named.feed.axis is None for named in fed.tensors):
            return [member(answer, "outputs")]  # no batch axis: all of it is the one row's
        replies = self._rows(answer, len(fed.places))
        if take:
            replies = [
                {name: member(reply, name) for name in take} if isinstance(reply, dict) else reply
                for reply in replies
            ]
        return replies

    def _rows(self, answer: Any, n: int) -> Sequence[Any]:
        if not self._column:
            return one_each(self._name, "predictions", member(answer, "predictions"), n)
        outputs = member(answer, "outputs")
        if not isinstance(outputs, dict):
            return one_each(self._name, "outputs", outputs, n)
        lists = [one_each(self._name, str(name), values, n) for name, values in outputs.items()]
        return [dict(zip(outputs, row, strict=True)) for row in zip(*lists, strict=True)]

    async def health(self, timeout: float) -> Health:
        """Asks for the model's status, and where a version is available, for its metadata.

        Raises:
            ModelError: It could not be asked.
        """
        why, said = await readiness(self._endpoint, self._path, timeout)
        if why:
            return Health(False, why=why)
        states = said.get("model_version_status") if isinstance(said, dict) else None
        versions = [one for one in states if isinstance(one, dict)] if isinstance(states, list) else []
        ready = [str(one.get("version")) for one in versions if one.get("state") == "AVAILABLE"]
        if not ready:
            found = ", ".join(f"version {one.get('version')} is {one.get('state')}" for one in versions)
            return Health(False, why=found or "the server has no version of it")
        version = max(ready, key=lambda text: (len(text), text))
        why, said = await readiness(self._endpoint, f"{self._path}/metadata", timeout)
        if why or not isinstance(said, dict):
            return Health(True, version, note=UNDECLARED)
        spec = said.get("model_spec")
        if isinstance(spec, dict) and spec.get("version"):
            version = str(spec["version"])
        return self._declared(version, said)

    def _declared(self, version: str, said: Mapping[str, Any]) -> Health:
        """What the signature declares."""
        try:
            signatures = said["metadata"]["signature_def"]["signature_def"]
            wanted = self._signature or "serving_default"
            if wanted not in signatures:
                why = f"no signature '{wanted}'; the model has: {', '.join(sorted(signatures)) or 'none'}"
                return Health(False, version, why=why)
            one = signatures[wanted]
            return Health(True, version, _infos(one["inputs"]), _infos(one["outputs"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            return Health(True, version, note=UNDECLARED)


def _infos(infos: Mapping[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape by name, as a signature declares them."""
    return {
        name: (str(info["dtype"]), tuple(int(dim["size"]) for dim in info["tensor_shape"].get("dim", ())))
        for name, info in infos.items()
    }
