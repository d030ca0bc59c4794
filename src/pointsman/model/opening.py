"""Opens every model of a document, and gathers what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pointsman.base.errors import Finding, Misfit, SpecError
from pointsman.model.base import CommonKeys, Model, models

__all__ = ["Models", "Named", "Placed", "open_models"]


class Placed(Protocol):
    """Where something stands in a document, as `spec.place.Place`."""

    def finding(self, code: str, message: str, hint: str = "") -> Finding:
        """A finding about what stands there."""


class Named(Protocol):
    """A model as the document declares it, as `spec.document.ModelSpec`."""

    @property
    def protocol(self) -> str:
        """The registered name of its protocol."""

    @property
    def config(self) -> Any:
        """That protocol's own config."""

    @property
    def common(self) -> CommonKeys:
        """The keys every model has."""


class Models(Protocol):
    """A document that declares models, as `spec.document.Document`."""

    @property
    def models(self) -> Mapping[str, Any]:
        """The declared models by name, each a `Named`."""

    def where(self, path: Sequence[str | int]) -> Placed:
        """Where a key of the document stands."""


def open_models(doc: Models, folder: Path) -> dict[str, Model]:
    """Every model of the document, opened, by name.

    Raises:
        SpecError: Some do not fit what the document says; it carries a finding for each.
        MissingExtra: A protocol's package is not installed.
    """
    opened: dict[str, Model] = {}
    findings: list[Finding] = []
    try:
        for name, spec in doc.models.items():
            if hasattr(models.get(spec.protocol), "request"):  # a remote one; it is opened with its endpoint
                continue
            try:
                opened[name] = open_model(name, spec, folder)
            except Misfit as misfit:
                place = doc.where(("models", name, *misfit.path))
                findings.append(place.finding(misfit.code, f"model '{name}': {misfit}", misfit.hint))
        if findings:
            raise SpecError(findings)
    except BaseException:
        for model in opened.values():
            model.close()
        raise
    return opened


def open_model(name: str, spec: Named, folder: Path) -> Model:
    """One model, opened.

    Raises:
        Misfit: It does not fit what the document says.
        MissingExtra: Its protocol's package is not installed.
    """
    cls: Any = models.get(spec.protocol)
    model: Model = cls.open(name, spec.config, spec.common, folder)
    return model
