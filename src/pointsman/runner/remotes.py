"""The remote models of a document, opened without touching the network, and their terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pointsman.base.errors import Finding, Misfit, MissingExtra
from pointsman.model.base import models
from pointsman.model.endpoint import Endpoint
from pointsman.model.gate import Gate, Terms, gate_of, terms_of
from pointsman.model.remote import RemoteModel
from pointsman.spec.components import remote
from pointsman.spec.document import Document, ModelSpec

__all__ = ["Remotes", "is_remote"]


def is_remote(spec: ModelSpec) -> bool:
    """Whether a model is reached over a wire."""
    return remote(models.get(spec.protocol))


@dataclass(slots=True)
class Remotes:
    """The remote models of a document and the endpoints they share.

    Attributes:
        opened: Those that could be opened, by name.
        broken: Why the others could not.
        findings: The same as findings, endpoints' first.
        endpoints: By name.
    """

    document: Document
    opened: dict[str, RemoteModel] = field(default_factory=dict)
    broken: dict[str, Misfit | MissingExtra] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def open(self) -> None:
        """Opens every endpoint and every remote model."""
        for name, spec in self.document.endpoints.items():
            try:
                self.endpoints[name] = Endpoint(name, spec.address, spec.config)
            except Misfit as misfit:
                place = self.document.where(("endpoints", name, *(misfit.path or (spec.protocol,))))
                message = f"endpoint '{name}': {misfit}"
                self.findings.append(place.finding(misfit.code, message, misfit.hint))
                served = self.document.models.values()
                self.broken |= {model.name: misfit for model in served if model.endpoint == name}
        for model in self.document.models.values():
            if is_remote(model) and model.name not in self.broken:
                self._open(model.name, model)

    def terms(self) -> dict[str, Terms]:
        """On which terms each opened model is called; an endpoint's gate is shared by its models."""
        gates: dict[str, Gate] = {
            name: gate_of(spec.config) for name, spec in self.document.endpoints.items()
        }
        found = {}
        for name in self.opened:
            spec = self.document.models[name]
            found[name] = terms_of(spec.common, gates.get(spec.endpoint or ""))
        return found

    async def close(self) -> None:
        """Closes what was opened; in the loop that used it."""
        for model in self.opened.values():
            await model.close()
        for endpoint in self.endpoints.values():
            await endpoint.close()

    def _open(self, name: str, spec: ModelSpec) -> None:
        cls: Any = models.get(spec.protocol)
        endpoint = self.endpoints.get(spec.endpoint or "")
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
