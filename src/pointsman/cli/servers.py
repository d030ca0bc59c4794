"""The models of a document, opened and asked: what `check --live` and `models` know of servers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pointsman.base.errors import Finding, Misfit, MissingExtra, ModelError, ModelTimeout
from pointsman.model.base import models
from pointsman.model.endpoint import Endpoint
from pointsman.model.opening import open_model
from pointsman.model.remote import Health, RemoteModel
from pointsman.spec.components import remote

if TYPE_CHECKING:
    from pointsman.spec.document import Document, ModelSpec

__all__ = ["Answer", "Servers", "address_of", "ask_local", "differences", "is_remote"]

Answer = Health | ModelError | Misfit | MissingExtra
"""What is known of a model: what its server says, why that cannot be asked, or why it cannot be opened."""


def is_remote(spec: ModelSpec) -> bool:
    """Whether a model is reached over a wire."""
    return remote(models.get(spec.protocol))


def address_of(document: Document, spec: ModelSpec) -> str:
    """Where a model is, without what could be a secret: scheme, host and port, or the file's name."""
    value = getattr(spec.config, spec.protocol, "")
    if isinstance(value, Path):
        try:
            return value.relative_to(document.folder).as_posix()
        except ValueError:
            return value.name
    parts = urlsplit(str(value))
    if not parts.netloc:
        return str(value)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(slots=True)
class Servers:
    """The remote models of a document, opened without touching the network.

    Attributes:
        opened: Those that could be, by name.
        broken: Why the others could not.
        findings: The same as findings, endpoints' first.
    """

    document: Document
    opened: dict[str, RemoteModel] = field(default_factory=dict)
    broken: dict[str, Misfit | MissingExtra] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def open(self) -> None:
        """Opens every endpoint and every remote model."""
        for name, spec in self.document.endpoints.items():
            try:
                self._endpoints[name] = Endpoint(name, spec.address, spec.config)
            except Misfit as misfit:
                place = self.document.where(("endpoints", name, *(misfit.path or (spec.protocol,))))
                message = f"endpoint '{name}': {misfit}"
                self.findings.append(place.finding(misfit.code, message, misfit.hint))
                served = self.document.models.values()
                self.broken |= {model.name: misfit for model in served if model.endpoint == name}
        for model in self.document.models.values():
            if is_remote(model) and model.name not in self.broken:
                self._open(model.name, model)

    def _open(self, name: str, spec: ModelSpec) -> None:
        cls: Any = models.get(spec.protocol)
        endpoint = self._endpoints.get(spec.endpoint or "")
        try:
            opened = cls.open(name, spec.config, spec.common, self.document.folder, endpoint)
        except Misfit as misfit:
            place = self.document.where(("models", name, *misfit.path))
            self.findings.append(place.finding(misfit.code, f"model '{name}': {misfit}", misfit.hint))
            self.broken[name] = misfit
        except MissingExtra as missing:
            self.broken[name] = missing
        else:
            if hasattr(opened, "connect"):
                opened.connect(self.document.kafka)
            self.opened[name] = opened

    async def ask(self, seconds: float) -> dict[str, Answer]:
        """What is known of each remote model; one that does not answer within `seconds` has timed out."""
        names = list(self.opened)
        answers = await asyncio.gather(*(_health(self.opened[name].health(), seconds) for name in names))
        return {**self.broken, **dict(zip(names, answers, strict=True))}

    async def close(self) -> None:
        """Closes what was opened; in the loop that asked."""
        for model in self.opened.values():
            await model.close()
        for endpoint in self._endpoints.values():
            await endpoint.close()


async def _health(asked: Coroutine[Any, Any, Health], seconds: float) -> Health | ModelError:
    try:
        return await asyncio.wait_for(asked, seconds)
    except ModelError as error:
        return error
    except TimeoutError:
        return ModelTimeout(f"no answer within {seconds:g} s")


def ask_local(document: Document, name: str) -> Answer:
    """What is known of a model in this process: whether it can be opened, and its version."""
    try:
        opened = open_model(name, document.models[name], document.folder)
    except (Misfit, MissingExtra) as broken:
        return broken
    try:
        return Health(True, opened.version)
    finally:
        opened.close()


def differences(document: Document, servers: Servers, answers: dict[str, Answer]) -> list[Finding]:
    """What servers say against what the document says, each where it is mended; one finding for a server."""
    found: list[Finding] = []
    for name, model in servers.opened.items():
        spec, answer = document.models[name], answers[name]
        at = ("endpoints", spec.endpoint) if spec.endpoint else ("models", name)
        address = address_of(document, spec)
        if isinstance(answer, ModelError):
            place = document.where((*at, spec.protocol))
            message = f"{address} cannot be asked: {answer}"
            hint = "start it, or correct the address"
            if answer.failure == "refused" and spec.endpoint:
                hint = "start it, or correct the address, auth or tls"
            found.append(place.finding("E501", message, hint))
        elif isinstance(answer, Health) and not answer.ready:
            own = "endpoint" if spec.endpoint else spec.protocol
            path = ("models", name, own if spec.common.model is None else "model")
            why = f": {answer.why}" if answer.why else ""
            message = f"model '{name}' is not ready at {address}{why}"
            found.append(
                document.where(path).finding("E502", message, "load it there, or correct model and version")
            )
        elif isinstance(answer, Health):
            found += _inputs(document, name, model, answer)
            found += _version(document, name, answer)
    return list(dict.fromkeys(found))


def _inputs(document: Document, name: str, model: RemoteModel, answer: Health) -> list[Finding]:
    feeds: Any = getattr(model, "feeds", None)
    if feeds is None or answer.inputs is None:
        return []
    known = ", ".join(f"{one} ({dtype} {_shape(shape)})" for one, (dtype, shape) in answer.inputs.items())
    tensors = getattr(document.models[name].config, "tensors", None) or {}
    found = []
    for mismatch in feeds.compare(answer.inputs):
        section = "tensors" if mismatch.field in tensors else "inputs"
        place = document.where(("models", name, section, mismatch.field))
        found.append(place.finding("E503", str(mismatch), f"the server's inputs: {known}"))
    return found


def _version(document: Document, name: str, answer: Health) -> Sequence[Finding]:
    said = document.models[name].common.version
    if said is None or answer.version is None or said == answer.version:
        return ()
    place = document.where(("models", name, "version"))
    message = f"model '{name}': the server serves version {answer.version}, the document says {said}"
    return (place.finding("W504", message, "correct version, or leave it out", "warning"),)


def _shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"
