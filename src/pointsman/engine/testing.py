"""One case of a test document against what the engine did: a part is wanted, each difference has a path."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ABSENT", "Mismatch", "differences", "outcome"]


class _Absent:
    """What stands where nothing is."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()

_TOLERANCE = 1e-6
"""Relative difference at which two numbers agree: a model's 32-bit 0.83 is the 0.83 that a person writes."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One place where the outcome is not what the case wants.

    Attributes:
        path: Where, such as `result.output.score`.
        wanted: What the case says.
        got: What there was, or ABSENT.
    """

    path: str
    wanted: Any
    got: Any


def outcome(record: Mapping[str, Any] | None, dead_letter: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a case's `want` is compared with: the record and shorter names for what is asked most.

    Args:
        record: The decision record, or None where none was written.
        dead_letter: `reason` and `message` of the dead letter, or None.
    """
    found: dict[str, Any] = dict(record or {})
    decision, result = found.get("decision", {}), found.get("result", {})
    for name in ("route", "strategy", "model", "propensity", "reason", "errors"):
        found[name] = decision.get(name)
    found["status"] = result.get("status")
    found["dead_letter"] = dict(dead_letter) if dead_letter else None
    return found


def differences(wanted: Any, got: Any, path: str = "") -> Iterator[Mismatch]:
    """Where `got` lacks what is wanted.

    A map is matched key by key and may hold more; a list has the same length; a text matches the `reason` of
    a dead letter and any part of the text of an error; numbers agree within one in a million.
    """
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        for name, value in wanted.items():
            yield from differences(value, got.get(name, ABSENT), f"{path}.{name}" if path else str(name))
        return
    if path == "dead_letter" and isinstance(wanted, str) and isinstance(got, Mapping):
        yield from differences(wanted, got.get("reason"), path)
        return
    if path.endswith("errors") and isinstance(wanted, Sequence) and not isinstance(wanted, str):
        yield from _errors(wanted, got or (), path)
        return
    if _is_list(wanted) and _is_list(got) and len(wanted) == len(got):
        for i, value in enumerate(wanted):
            yield from differences(value, got[i], f"{path}[{i}]")
        return
    if not _equal(wanted, got):
        yield Mismatch(path, wanted, got)


def _errors(wanted: Sequence[Any], got: Any, path: str) -> Iterator[Mismatch]:
    """Each wanted error is among those that happened; the others do not matter."""
    for i, value in enumerate(wanted):
        if not any(_is_error(value, error) for error in got):
            yield Mismatch(f"{path}[{i}]", value, got or ABSENT)


def _is_error(wanted: Any, error: Any) -> bool:
    if isinstance(wanted, str):
        texts = error.values() if isinstance(error, Mapping) else (error,)
        return any(isinstance(text, str) and wanted in text for text in texts)
    return not list(differences(wanted, error))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, (int, float)) and isinstance(got, (int, float)):
        return wanted == got or math.isclose(wanted, got, rel_tol=_TOLERANCE)
    return type(wanted) is type(got) and bool(wanted == got)
