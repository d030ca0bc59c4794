"""The Kafka REST protocol as the conformance suite takes it, and where it is tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from model.faults import faulty
from model.kafka.proxy import Proxy
from model.rest.subjects import AB, NO_ID, ROWS, Common, opener
from pointsman.model.base import DISPATCHED
from pointsman.model.testing import Subject

__all__ = ["ROWS", "SUBJECTS"]

ONE_ROW = "A request carries one row."
NO_ANSWER = "Nobody answers: there is no version, no metadata and no tensor."
LACKS = {"wrong id": NO_ID, "version": NO_ANSWER, "metadata": NO_ANSWER, "dtypes": NO_ANSWER}

SUBJECTS: Mapping[str, tuple[Subject, Callable[[], AbstractAsyncContextManager[Any]]]] = {
    api: (
        Subject(
            f"kafka_rest ({api})",
            opener("kafka_rest", Common(AB), topic="requests", api=api),
            ROWS,
            [DISPATCHED] * 3,
            bad=("\ud800", 1.0),
            lacks=LACKS if api == "v2" else {**LACKS, "batch": ONE_ROW, "wrong length": ONE_ROW},
        ),
        lambda: faulty(Proxy().speaker),
    )
    for api in ("v2", "v3")
}
