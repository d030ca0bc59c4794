"""The Python conditions of a document, loaded; and where a misfit of the document stands."""

from __future__ import annotations

from typing import Any

from pointsman.base.errors import Finding, Misfit
from pointsman.model.condition import load_condition
from pointsman.spec.document import Document

__all__ = ["finding_of", "open_conditions"]


def open_conditions(document: Document, findings: list[Finding]) -> dict[str, Any]:
    """The conditions by their name in the document; adds a finding for each that cannot be loaded."""
    found: dict[str, Any] = {}
    for number, route in enumerate(document.routes):
        if route.python is not None:
            try:
                found[route.python] = load_condition(route.python, document.folder)
            except Misfit as misfit:
                findings.append(finding_of(document, ("routes", number, "when"), misfit))
    return found


def finding_of(document: Document, path: tuple[str | int, ...], misfit: Misfit) -> Finding:
    """What does not fit at `path`, such as `("tables", "customers")`, as a finding."""
    place = document.where((*path, *misfit.path))
    return place.finding(misfit.code, f"{path[0]} '{path[1]}': {misfit}", misfit.hint)
