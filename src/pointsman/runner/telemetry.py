"""What the guards of remote models have counted, as metrics: taken over once per report, never per event."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from pointsman.base.signals import BATCH_BOUNDS
from pointsman.model.job import Numbers
from pointsman.runner.metrics import Metrics

__all__ = ["Counted", "take_over"]


class Counted(Protocol):
    """Who calls remote models: `model.caller.Caller`, or a fake.

    Attributes:
        names: The models it calls.
    """

    names: Sequence[str]

    def numbers(self, model: str) -> Numbers:
        """What the guard of a model has counted since it was made."""

    def load(self, model: str) -> int:
        """Events under way for `model`."""


def take_over(caller: Counted, metrics: Metrics, opened: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Sets the metrics of each model to what its guard has counted; may be called again and again.

    Args:
        caller: Who has the guards.
        metrics: What is set.
        opened: The models by name: one that reads its replies by itself has counted those that came `late`,
            and why others were `discarded`.
    """
    for model in caller.names:
        found = caller.numbers(model)
        for how, attempts in found.attempts.items():
            metrics.set("pointsman_model_attempts_total", attempts, model, how)
        totals = {
            "pointsman_model_retries_total": found.retries,
            "pointsman_model_splits_total": found.splits,
            "pointsman_model_not_asked_total": found.refused,
            "pointsman_model_expired_total": found.expired,
            "pointsman_model_late_replies_total": found.late + getattr(opened.get(model), "late", 0),
            "pointsman_model_breaker_opened_total": found.opened,
            "pointsman_model_breaker_state": found.breaker,
            "pointsman_model_queued_requests": found.queued,
            "pointsman_model_open_requests": found.under_way,
            "pointsman_model_waiting_events": caller.load(model),
        }
        for name, value in totals.items():
            metrics.set(name, value, model)
        metrics.fill("pointsman_model_batch_events", _cells(found.sizes), model)
        for (topic, why), replies in getattr(opened.get(model), "discarded", {}).items():
            metrics.set("pointsman_replies_discarded_total", replies, topic, why)


def _cells(sizes: Mapping[int, int]) -> list[float]:
    """A histogram's cells of requests by how many events each carried."""
    cells = [0.0] * (len(BATCH_BOUNDS) + 2)
    for size, requests in sizes.items():
        cells[bisect_left(BATCH_BOUNDS, size)] += requests
        cells[-1] += size * requests
    return cells
