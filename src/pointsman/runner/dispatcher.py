"""`run --role dispatch`: reads requests, asks the models of each plan, and writes the decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pointsman.base.clock import Clock
from pointsman.base.errors import EnvironmentFault, ModelTimeout
from pointsman.base.records import Batch, DeadLetter, Headers, SourceRecord
from pointsman.cel.program import describe
from pointsman.cel.values import Timestamp
from pointsman.engine.decide import Call, Decided, Kept
from pointsman.engine.finish import row_of
from pointsman.engine.policy import Groups, Lane, Lanes, RoutePlan
from pointsman.engine.project import Project, projector
from pointsman.engine.support import headers_of, text_key, unpacked
from pointsman.runner.host import TRACE, Host
from pointsman.runner.metrics import Metrics
from pointsman.runner.plans import asked
from pointsman.runner.requests import Request, restorer
from pointsman.spec.document import Document
from pointsman.strategy.base import Choice

__all__ = ["Dispatcher"]


@dataclass(slots=True)
class _Requested(Batch):
    """Requests as the events they are about; topics, partitions and offsets are those of the requests.

    Attributes:
        sources: Each event's record as it came; None for what is no request.
    """

    sources: list[SourceRecord | None] = field(default_factory=list)

    def record(self, index: int) -> SourceRecord:
        """Record `index` as it came to the router."""
        return self.sources[index] or Batch.record(self, index)


class Dispatcher(Host):
    """Calls models for events that a router has decided; the plans it runs begin with one model."""

    _model: str
    _groups: Groups
    _routes: dict[str, RoutePlan]
    _lanes: dict[tuple[str, str], Lane]
    _restore: Callable[[dict[str, Any]], dict[str, Any]]
    _project: Project | None

    @classmethod
    def of(
        cls, model: str, document: Document, metrics: Metrics | None = None, clock: Clock | None = None
    ) -> Dispatcher:
        """The dispatcher of `model`; it opens that model and those that stand in for it.

        Raises:
            SpecError: Some do not fit what the document says.
            MissingExtra: A package that they need is not installed.
        """
        made = cls.open(document, metrics, clock, answering=asked(document, model))
        policy, write = made.policy, document.write
        made._model = model
        made._groups = Groups(policy.routes, policy.models)
        made._routes = {route.name: route for route in policy.routes}
        made._lanes = {}
        made._restore = restorer(document)
        made._project = projector(write.event, write.redact, policy.decoder)
        return made

    def decide(self, batch: Batch) -> Decided:
        """The calls that a batch of requests asks for; what is too late is finished, and asks nobody."""
        headers: list[Headers | None] = [None] * len(batch)
        found = _Requested(
            values=list(batch.values),
            keys=list(batch.keys),
            topics=batch.topics,
            partitions=batch.partitions,
            offsets=batch.offsets,
            timestamps=batch.timestamps,
            headers=headers,
            now_ms=batch.now_ms,
            polled=batch.polled,
            sources=[None] * len(batch),
        )
        decided = Decided(found, self.policy)
        calls: dict[tuple[str, int | None, bool], Call] = {}
        for index, value in enumerate(batch.values):
            try:
                request = Request.read(value or b"")
                self._open(decided, found, index, request, calls)
                headers[index] = _with_trace(request.record.headers, batch.headers[index])
            except EnvironmentFault:  # the request is right, and waits until it can be read
                raise
            except Exception as error:  # whatever stands in the topic, the others go on
                self._refuse_request(decided, batch, index, error)
        self.metrics.count("pointsman_batches_total")
        self.metrics.count("pointsman_events_total", len(batch))
        for call in calls.values():
            if call.deadline is not None and call.deadline <= 0:
                self._expire(decided, call)
            else:
                decided.calls.append(call)
        return decided

    def _open(
        self,
        decided: Decided,
        found: _Requested,
        index: int,
        request: Request,
        calls: dict[tuple[str, int | None, bool], Call],
    ) -> None:
        """Puts the event of a request on the call of its model."""
        record, lane = request.record, self._lane(request)
        plan, keeps = lane.model, lane.group.keeps
        names = self._names(request)
        head = request.head(self._project)
        row = row_of(plan, names, head, request.key)
        known = (plan.name, request.deadline, keeps)
        call = calls.get(known)
        if call is None:
            left = None if request.deadline is None else (request.deadline - found.now_ms) / 1000
            call = calls[known] = Call(plan, left)
        found.sources[index], found.values[index], found.keys[index] = record, record.value, record.key
        decided.keys[index] = request.key
        call.indices.append(index)
        call.rows.append(row)
        call.heads.append(head)
        if keeps:
            call.kept.append(Kept(lane, names))

    def _lane(self, request: Request) -> Lane:
        """The request's route and choice, as its policy has them."""
        known = (request.route, request.model)
        if known not in self._lanes:
            if request.model != self._model:
                raise ValueError(f"its model is {request.model}, and this is the topic of {self._model}")
            lanes = Lanes(self._routes[request.route], "rule", self._groups, self.policy.version)
            self._lanes[known] = lanes.add(Choice(request.model, 1.0))
        return self._lanes[known]

    def _names(self, request: Request) -> dict[str, Any]:
        """What expressions see of the event."""
        record, decoder = request.record, self.policy.decoder
        value, headers = unpacked(decoder, record)
        if decoder.prepare is not None:
            decoder.prepare([value])
        return {
            **self.tables,
            "event": decoder.decode_whole(value or b""),
            "metadata": self._restore(request.metadata),
            "headers": headers_of(headers),
            "key": text_key(record.key),
            "topic": record.topic,
            "now": Timestamp(request.time * 1_000_000),
        }

    def _expire(self, decided: Decided, call: Call) -> None:
        ticket = self.refuse(call, "")
        ticket.replies = [ModelTimeout("the deadline passed before it was asked")] * len(call.ready())
        self.finish(decided, call, ticket)

    def _refuse_request(self, decided: Decided, batch: Batch, index: int, error: Exception) -> None:
        """What cannot be read as a request is a dead letter; with `redact`, without its value."""
        record, hides = batch.record(index), self.policy.hide is not None
        if hides:
            record = replace(record, value=None)
        place = f"{record.topic}-{record.partition}-{record.offset}"
        said = f"not a request of {self.policy.version}: {describe(error)}"
        decided.dead.append((index, DeadLetter(record, place, "undecodable", said, (), hides)))


def _with_trace(own: Headers | None, request: Headers | None) -> Headers | None:
    """An event's headers with the trace context that its request brings: that of the router's span."""
    brought = [header for header in request or () if header[0] in TRACE]
    return [*brought, *(header for header in own or () if header[0] not in TRACE)] if brought else own
