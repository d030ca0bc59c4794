"""What metadata fields ask for once a batch: functions of people, and models in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pointsman.base.errors import Finding, Misfit
from pointsman.model.base import Model
from pointsman.model.pool import Pool
from pointsman.model.python import PythonModel
from pointsman.spec.document import Document

__all__ = ["asked_models", "field_functions", "open_fields"]


def asked_models(document: Document) -> frozenset[str]:
    """The models that metadata fields ask."""
    return frozenset(spec.config.model for spec in document.enrich if spec.enricher == "model")


def open_fields(document: Document) -> tuple[dict[str, Model], dict[str, float], list[Finding]]:
    """The functions of fields as models of a pool, their time-outs, and what is wrong with them."""
    opened: dict[str, Model] = {}
    timeouts: dict[str, float] = {}
    findings: list[Finding] = []
    for spec in document.enrich:
        if spec.enricher != "python":
            continue
        try:
            opened[_own(spec.field)] = PythonModel.load(
                spec.config.python, document.folder, spec.config.timeout
            )
        except Misfit as misfit:
            place = document.where(("enrich", spec.field, *misfit.path))
            findings.append(place.finding(misfit.code, f"enrich '{spec.field}': {misfit}", misfit.hint))
        timeouts[_own(spec.field)] = spec.config.timeout
    return opened, timeouts, findings


def field_functions(document: Document, pool: Pool) -> Mapping[str, Callable[[list[Any]], Any]]:
    """For each field, the function from rows to replies; a ModelError stands where there is no reply."""
    names = {spec.field: _own(spec.field) for spec in document.enrich if spec.enricher == "python"}
    names |= {spec.field: spec.config.model for spec in document.enrich if spec.enricher == "model"}
    return {field: partial(_ask, pool, name) for field, name in names.items()}


def _own(field: str) -> str:
    """The pool's name of a field's function; no model's name has a colon."""
    return f"enrich:{field}"


def _ask(pool: Pool, name: str, rows: list[Any]) -> Any:
    ticket = pool.submit(name, rows)
    while not ticket.done:
        pool.wait([ticket], 1.0)
    return ticket.replies
