"""What a host cannot run of a document: `check --on HOST` says it, and so does a run before it begins."""

from __future__ import annotations

import re
from typing import Final

from pointsman.base.errors import Finding, Misfit, SpecError
from pointsman.runner.start import group_of
from pointsman.runner.streams_properties import java_properties
from pointsman.spec.document import Document

__all__ = ["FLINK", "KAFKA_STREAMS", "NATIVE", "require", "unfit"]

NATIVE: Final = "native"
KAFKA_STREAMS: Final = "kafka-streams"
FLINK: Final = "flink"

_NAMES: Final = {KAFKA_STREAMS: "Kafka Streams", FLINK: "Flink"}

_APPLICATION = re.compile(r"[a-zA-Z0-9._-]{1,150}")
"""Names of Kafka Streams' applications: topics are named after them."""


def unfit(document: Document, host: str) -> list[Finding]:
    """Why a host cannot run a document as the native runner does; empty where it can.

    Args:
        host: NATIVE, KAFKA_STREAMS or FLINK.
    """
    if host == NATIVE:
        return []
    found = []
    try:
        java_properties(document.kafka)
    except Misfit as misfit:
        place = document.where(misfit.path or ("kafka",))
        found.append(place.finding(misfit.code, str(misfit), misfit.hint))
    group = group_of(document)
    if host == KAFKA_STREAMS and _APPLICATION.fullmatch(group) is None:
        message = f"the group '{group}' cannot name an application of Kafka Streams"
        hint = "give it at most 150 letters, digits, '.', '_' and '-'"
        found.append(document.where(("kafka", "group.id")).finding("E446", message, hint))
    lag = document.limits.max_lag
    if lag is not None and lag.then is not None:
        message = f"{_NAMES[host]} does not know how much waits: '{lag.then}' would never answer for others"
        hint = "remove it, or run with --on native"
        found.append(document.where(("limits", "max_lag")).finding("E446", message, hint))
    return found


def require(document: Document, host: str) -> None:
    """Refuses a document that a host cannot run.

    Raises:
        SpecError: It carries the findings of `unfit`.
    """
    if found := unfit(document, host):
        raise SpecError(found)
