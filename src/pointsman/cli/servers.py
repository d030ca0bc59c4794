"""The models of a document, opened and asked: what `check --live` and `models` know of servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pointsman.base.errors import Finding, Misfit, MissingExtra, ModelError, ModelTimeout
from pointsman.model.dtypes import dtype_of
from pointsman.model.opening import open_model
from pointsman.model.remote import Health, RemoteModel
from pointsman.runner.remotes import Remotes, is_remote
from pointsman.spec.read import nearest

if TYPE_CHECKING:
    from pointsman.spec.document import Document, ModelSpec

__all__ = [
    "Answer",
    "Servers",
    "address_of",
    "ask_local",
    "differences",
    "is_remote",
    "unbatched",
    "uncompared",
]

_ADDRESS = re.compile(r"([a-z]+://(?:\[[0-9A-Fa-f:.]+\]|[^/?#@:\[\]]+)(?::[0-9]+)?)(?:[/?#].*)?")
"""Scheme, host and port, with whatever stands behind them; nobody's name before them."""

Answer = Health | ModelError | Misfit | MissingExtra
"""What is known of a model: what its server says, why that cannot be asked, or why it cannot be opened."""


def address_of(document: Document, spec: ModelSpec) -> str:
    """Where a model is, without what could be a secret: scheme, host and port, or the file's name."""
    value = getattr(spec.config, spec.protocol, "")
    if isinstance(value, Path):
        try:
            return value.relative_to(document.folder).as_posix()
        except ValueError:
            return value.name
    text = str(value)
    if found := _ADDRESS.fullmatch(text):
        return found[1]
    return "not an address" if "://" in text or "@" in text else text


class Servers(Remotes):
    """The remote models of a document, opened and asked how they are."""

    async def ask(self, seconds: float) -> dict[str, Answer]:
        """What is known of each remote model; one that does not answer within `seconds` has timed out."""
        names = list(self.opened)
        answers = await asyncio.gather(*(_health(self.opened[name].health(), seconds) for name in names))
        return {**self.broken, **dict(zip(names, answers, strict=True))}


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
    silent: set[tuple[str, int, int]] = set()
    for name, model in servers.opened.items():
        answer = answers[name]
        if isinstance(answer, ModelError) and answer.failure in _SILENT:
            finding = _unreachable(document, name, answer)
            at = finding.file, finding.line, finding.column
            if at not in silent:
                silent.add(at)
                found.append(finding)
        elif isinstance(answer, ModelError):
            found.append(_not_ready(document, name, str(answer)))
        elif isinstance(answer, Health) and not answer.ready:
            found.append(_not_ready(document, name, answer.why))
        elif isinstance(answer, Health):
            found += _inputs(document, name, model, answer)
            found += _version(document, name, answer)
    return found


def uncompared(answers: dict[str, Answer]) -> dict[str, str]:
    """What is known of each model that is ready and whose inputs nobody declares."""
    return {
        name: answer.note or "its server declares no inputs"
        for name, answer in answers.items()
        if isinstance(answer, Health) and answer.ready and not answer.inputs
    }


def unbatched(document: Document, servers: Servers) -> list[Finding]:
    """Where `batch` is written for a model that is asked event by event whatever it says."""
    found = []
    common = document.where(("defaults", "batch"))
    for name, model in servers.opened.items():
        place, spec = document.where(("models", name, "batch")), document.models[name]
        if spec.common.batch is None or model.batches or place == common:
            continue
        message = f"'batch' has no effect on model '{name}': one request of '{spec.protocol}' is one event"
        other = getattr(model, "to_batch", "")
        hint = f"write {other}, or remove it" if other else "remove it; requests go out side by side"
        found.append(place.finding("W228", f"{message}{' here' if other else ''}", hint, "warning"))
    return found


_SILENT = ("timeout", "refused")
"""The classes of a failure that say more of the server than of the model."""


def _unreachable(document: Document, name: str, error: ModelError) -> Finding:
    spec = document.models[name]
    at = ("endpoints", spec.endpoint) if spec.endpoint else ("models", name)
    hint = "start it, or correct the address"
    if error.failure == "refused" and spec.endpoint:
        hint = "start it, or correct the address, auth or tls"
    place = document.where((*at, spec.protocol))
    return place.finding("E501", f"{address_of(document, spec)} cannot be asked: {error}", hint)


def _not_ready(document: Document, name: str, why: str) -> Finding:
    spec = document.models[name]
    own = "endpoint" if spec.endpoint else spec.protocol
    place = document.where(("models", name, own if spec.common.model is None else "model"))
    message = f"model '{name}' is not ready at {address_of(document, spec)}{f': {why}' if why else ''}"
    return place.finding("E502", message, "load it there, or correct model and version")


def _inputs(document: Document, name: str, model: RemoteModel, answer: Health) -> list[Finding]:
    feeds: Any = getattr(model, "feeds", None)
    if feeds is None or not answer.inputs:
        return []
    declared = {one: (dtype_of(dtype), shape) for one, (dtype, shape) in answer.inputs.items()}
    known = ", ".join(f"{one} ({dtype} {_shape(shape)})" for one, (dtype, shape) in declared.items())
    tensors = getattr(document.models[name].config, "tensors", None) or {}
    found = []
    mismatches = {mismatch.field: mismatch for mismatch in reversed(feeds.compare(declared))}
    meant = {}
    for field in [field for field in mismatches if field not in declared]:
        if near := nearest(field, [other for other in declared if other in mismatches]):
            meant[field] = near
            mismatches.pop(near)  # it is missing because it is misspelt
    for field, mismatch in reversed(mismatches.items()):
        hint = f"did you mean '{meant[field]}'?" if field in meant else f"the server's inputs: {known}"
        place = document.where(("models", name, "tensors" if field in tensors else "inputs", field))
        found.append(place.finding("E503", str(mismatch), hint))
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
