"""Decides events and writes requests, `run --role route` for all models; who answers are dispatchers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any, Protocol

from pointsman.base.clock import Clock
from pointsman.base.records import Batch
from pointsman.engine.decide import Call, Decided, identify
from pointsman.engine.policy import Lane
from pointsman.runner.host import TRACE, Host
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.runner.plans import asked, picked
from pointsman.runner.requests import Requests
from pointsman.spec.document import Document

__all__ = ["Asks", "Router"]


class Asks(Protocol):
    """Where requests go."""

    def ask(
        self,
        model: str,
        keys: Sequence[Key],
        values: Sequence[bytes],
        partitions: Sequence[int],
        headers: Sequence[Any] | None,
    ) -> Sequence[int]:
        """Writes requests to the topic of a model; returns the places of those larger than it takes."""


class Router(Host):
    """Decides, and hands over what needs a model that is not called here."""

    asks: Asks
    """Where requests go."""
    _requests: Requests
    _away: frozenset[str]

    @classmethod
    def onto(
        cls,
        asks: Asks,
        document: Document,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        away: Collection[str] | None = None,
    ) -> Router:
        """A router of `document` that writes its requests to `asks`, and opens only what it calls itself.

        Args:
            away: The models whose events are handed over; None: all of them.

        Raises:
            SpecError: A table or Python condition does not fit what the document says.
        """
        if away is None:
            away = document.models
        here = {stop for model in picked(document) if model not in away for stop in asked(document, model)}
        router = cls.open(document, metrics, clock, answering=here, away=away)
        router._away = frozenset(away)
        router.asks = asks
        router._requests = Requests(document.policy, verbatim=router.policy.decoder.verbatim)
        return router

    def decide(self, batch: Batch) -> Decided:
        """Everything that can be said of a batch; what is left of it to do is in the requests, written."""
        decided = super().decide(batch)
        gone: dict[str, list[Call]] = {}
        for call in decided.calls:
            if call.model in self._away:
                gone.setdefault(call.model, []).append(call)
        for model, calls in gone.items():
            # A model's events may be several calls, by deadline or who stands in; requests keep their order.
            events = [
                (index, head, kept.lane)
                for call in calls
                for index, head, kept in zip(call.indices, call.heads, call.kept, strict=True)
            ]
            events.sort(key=itemgetter(0))
            self._hand_over(decided, model, events)
        decided.calls = [call for call in decided.calls if call.model not in self._away]
        return decided

    def _hand_over(self, decided: Decided, model: str, events: Sequence[tuple[int, bytes, Lane]]) -> None:
        """Writes requests of events: each its place in the batch, its record up to the result, its lane."""
        batch, make = decided.batch, self._requests.make
        came = [batch.headers[index] for index, *_ in events]
        values = [
            make(decided, index, head, lane, headers)
            for (index, head, lane), headers in zip(events, came, strict=True)
        ]
        keys = [decided.keys[index] for index, *_ in events]
        if self.tracing is not None:
            traces = list(map(self.tracing.hand_over, values, came))
        else:
            traces = [[header for header in headers or () if header[0] in TRACE] for headers in came]
        partitions = [batch.partitions[index] for index, *_ in events]
        refused = self.asks.ask(model, keys, values, partitions, traces if any(traces) else None)
        for place in refused:
            said = f"the request has {len(values[place]):,} bytes, more than its topic takes"
            index, head, _ = events[place]
            decided.bury(index, identify(head + b"0}"), "unwritable", f"{said}: raise max.message.bytes")
