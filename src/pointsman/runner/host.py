"""A document at work: its models opened, its tables read, its policy built and its pool of model threads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.errors import Finding, InvalidInput, ModelOverloaded, SpecError
from pointsman.base.records import Batch, Headers
from pointsman.engine.build import build
from pointsman.engine.decide import Call, Decided, decide, identify
from pointsman.engine.finish import finish
from pointsman.engine.policy import Policy
from pointsman.model.desk import Desk
from pointsman.model.opening import open_models
from pointsman.model.pool import Pool, Ticket
from pointsman.model.ticket import RemoteTicket
from pointsman.runner.conditions import open_conditions
from pointsman.runner.fields import asked_models, field_functions, open_fields
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.runner.remotes import Remotes, is_remote
from pointsman.runner.stages import Stages
from pointsman.runner.tables import Tables
from pointsman.runner.telemetry import take_over
from pointsman.runner.tracing import Tracing
from pointsman.spec.document import Document
from pointsman.state.base import State

if TYPE_CHECKING:
    from pointsman.model.caller import Caller
    from pointsman.model.remote import RemoteModel

__all__ = ["Host"]

TRACE = ("traceparent", "tracestate")


class Host:
    """What decides and calls models for one worker, and counts it.

    Attributes:
        document: What is at work.
        policy: The version in force.
        metrics: What is counted.
        overload: Whether the model of `limits.max_lag` answers, whatever is picked.
        tracing: Makes spans of decisions; None where nobody asked.
        state: What is remembered of each partition; needed where the policy has stores.
        drains: Whether what changed in it is gathered batch by batch; else whoever has the state does so.
        after: Shown each batch once it is decided.
        stages: The parts of the policy, where events go on by another key; each batch is then of one part.
            None: every batch goes all the way.
    """

    def __init__(
        self,
        document: Document,
        policy: Policy,
        tables: Tables,
        pool: Pool,
        metrics: Metrics,
        desk: Desk,
        clock: Clock,
        caller: Caller | None = None,
        opened: Mapping[str, RemoteModel] = MappingProxyType({}),
    ) -> None:
        self.document = document
        self.policy = policy
        self.metrics = metrics
        self._pool = pool
        self._desk = desk
        self._clock = clock
        self._caller = caller
        self._opened = opened
        self._remote = frozenset(name for name, spec in document.models.items() if is_remote(spec))
        self._tables = tables
        self.overload = False
        self.tracing: Tracing | None = None
        self.state: State | None = None
        self.drains = True
        self.after: Callable[[Decided], None] = lambda _: None
        self.stages: Stages | None = None

    @classmethod
    def open(
        cls,
        document: Document,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        *,
        answering: Collection[str] | None = None,
        away: Collection[str] = (),
    ) -> Self:
        """Opens the models, reads the tables, loads the Python conditions and builds the policy.

        Args:
            answering: The models to open, where only some are called here.
            away: Models that routes pick and others answer: see `build`.

        Raises:
            SpecError: Some do not fit what the document says; it carries a finding for each.
            MissingExtra: A package that the document needs is not installed.
        """
        findings: list[Finding] = []
        clock = clock or SystemClock()
        tables = Tables(document, clock)
        findings += tables.findings
        conditions = open_conditions(document, findings)
        fields, spans, found = open_fields(document)
        findings += found
        if findings:
            raise SpecError(findings)
        called = document
        if answering is not None:
            called = replace(
                document, models={n: document.models[n] for n in {*answering, *asked_models(document)}}
            )
        models = open_models(called, document.folder)
        remotes = Remotes(called)
        remotes.open()
        if remotes.findings:
            raise SpecError(remotes.findings)
        for missing in remotes.broken.values():
            raise missing
        versions = {name: model.version for name, model in models.items()}
        versions |= {name: model.version for name, model in remotes.opened.items()}
        timeouts = {name: spec.common.timeout for name, spec in document.models.items()}
        limits = document.limits
        desk = Desk(clock.monotonic)
        pool = Pool({**models, **fields}, {**timeouts, **spans}, limits.in_flight, clock, limits.bytes, desk)
        functions = field_functions(document, pool)
        policy = build(document, versions, conditions, functions, away=away)
        tables.serve(policy)
        caller = None
        if remotes.opened:
            from pointsman.model.caller import Caller  # with it comes asyncio, which only these need

            closing = [endpoint.close for endpoint in remotes.endpoints.values()]
            caller = Caller(remotes.opened, remotes.terms(), limits.in_flight, desk=desk, closing=closing)
        return cls(document, policy, tables, pool, metrics or Metrics(), desk, clock, caller, remotes.opened)

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The rows of every table as they stand now."""
        return self._tables.rows

    def decide(self, batch: Batch) -> Decided:
        """Everything that can be said of a batch before models answer.

        Raises:
            EnvironmentFault: The batch needs a schema that cannot be had now; none of it is decided.
        """
        policy, new = self.policy, len(batch)
        if self.stages is not None:
            new = len(batch) if self.stages.begins(batch.topics[0]) else 0
            batch, policy = self.stages.open(batch)
        if policy.decoder.prepare is not None:
            policy.decoder.prepare(batch.values)
        with self._tables.batch(batch) as rows:
            decided = decide(batch, rows, policy, self.state, overload=self.overload, drain=self.drains)
        self.after(decided)
        count = self.metrics.count
        count("pointsman_batches_total")
        count("pointsman_events_total", new)
        for route, events in decided.routes.items():
            count("pointsman_route_events_total", events, route)
        for (model, status), events in decided.statuses.items():
            count("pointsman_model_results_total", events, model, status)
        decided.statuses.clear()
        if decided.skipped:
            count("pointsman_skipped_total", decided.skipped)
        if decided.errors:
            for where, events in decided.errors.items():
                count("pointsman_evaluation_errors_total", events, where)
        if decided.late:
            for field, events in decided.late.items():
                count("pointsman_late_events_total", events, field)
        if decided.defaulted:
            for what, events in decided.defaulted.items():
                count("pointsman_defaulted_total", events, what)
        return decided

    def remote(self, model: str) -> bool:
        """Whether a model is called over a wire, each request by itself."""
        return model in self._remote

    def submit(self, calls: Sequence[Call], size: int, deadline: float = inf) -> Ticket:
        """Hands the rows of these calls, all of one model in this process, to it as one.

        Args:
            size: Bytes of their events.
            deadline: The moment by which the last of them must be answered.
        """
        model = calls[0].model
        rows = calls[0].ready() if len(calls) == 1 else [row for call in calls for row in call.ready()]
        return self._pool.submit(model, rows, size, deadline) if rows else _done(model)

    def send(self, decided: Decided, call: Call, size: int) -> list[tuple[Call, Ticket]]:
        """Hands a call to its remote model; each part of it comes back by itself."""
        assert self._caller is not None
        places = [n for n, row in enumerate(call.rows) if row.__class__ is not InvalidInput]
        sent: list[tuple[Call, Ticket]] = []
        if len(places) < len(call.rows):
            unfit = call.part(sorted(set(range(len(call.rows))).difference(places)))
            sent.append((unfit, _done(call.model)))
            call = call.part(places)
        if call.rows:
            ids = [identify(head + b"0}") for head in call.heads]
            traces = [trace_of(decided.batch.headers[index]) for index in call.indices]
            if self.tracing is not None:
                came = [decided.batch.headers[index] for index in call.indices]
                traces = list(map(self.tracing.context, came, ids, traces))
            deadline = decided.due(call)
            parts = self._caller.submit(
                call.model, call.ready(), ids, None if deadline == inf else deadline, traces, size
            )
            sent += [(call.part(part.places), part.ticket) for part in parts]
        return sent

    def ask(self, decided: Decided, calls: Sequence[Call]) -> list[tuple[Call, Ticket]]:
        """Hands calls to their models and waits until all are done; for those who have the time."""
        asked: list[tuple[Call, Ticket]] = []
        for call in calls:
            if self.remote(call.model):
                asked += self.send(decided, call, 0)
            else:
                asked.append((call, self.submit((call,), 0, decided.due(call))))
        while any(not ticket.done for _, ticket in asked):
            self.wait([ticket for _, ticket in asked], 1.0)
        return asked

    def refuse(self, call: Call, why: str) -> Ticket:
        """The ticket of a call that its model is not given: every row is overloaded."""
        ticket = _done(call.model)
        ticket.replies = [ModelOverloaded(why)] * len(call.ready())
        return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> None:
        """Returns once all tickets are done, or after `seconds`."""
        self._desk.wait(tickets, seconds)

    def serve(self, seconds: float) -> None:
        """Returns once some ticket is done, or after `seconds`."""
        self._desk.serve(seconds)

    def finish(self, decided: Decided, call: Call, ticket: Ticket, part: slice = slice(None)) -> list[Call]:
        """Completes the records of a call that is done; its replies are `part` of those of `ticket`.

        Returns:
            Calls to those who stand in, with the events that are not finished yet.
        """
        attempts = ticket.attempts_of if isinstance(ticket, RemoteTicket) else None
        expired = call.deadline is not None and self._clock.monotonic() >= decided.due(call)
        replies = ticket.replies[part]
        follow = finish(decided, call, replies, ticket.latency_ms, attempts, expired=expired)
        count = self.metrics.count
        if ticket.began is not None and not part.start:  # it was asked; once for all that went together
            self.metrics.observe("pointsman_model_call_seconds", ticket.latency_ms / 1000, call.model)
        for (model, status), events in decided.statuses.items():
            if events:
                count("pointsman_model_results_total", events, model, status)
        for (model, failure), events in decided.failures.items():
            count("pointsman_model_failures_total", events, model, failure)
        decided.statuses.clear()
        decided.failures.clear()
        return follow

    def count_requests(self) -> None:
        """Takes what tables and guards of remote models have counted into the metrics; before a report."""
        self._tables.count(self.metrics)
        if self._caller is not None:
            take_over(self._caller, self.metrics, self._opened)

    def refresh_tables(self, say: Say | None = None) -> None:
        """Reads tables again whose files changed; a batch sees each table wholly old or wholly new."""
        self._tables.refresh(say)

    def follow_tables(
        self, say: Say, stopping: Callable[[], bool] = lambda: False, *, everything: bool = False
    ) -> None:
        """Reads the topics of tables to their end, and follows them beside what else goes on.

        Args:
            stopping: Asked now and then; once true, it returns early.
            everything: Whether tables of scope partition are read whole too, for one who has no partitions.

        Raises:
            EnvironmentFault: Kafka does not answer or allow it.
            StateError: A table would be too large.
        """
        self._tables.follow(say, stopping, everything=everything)

    def keep_tables_fresh(self, say: Say) -> None:
        """Looks at the tables' files once a second from now on, beside what else goes on."""
        self._tables.watch(say)

    def own(self, partitions: Collection[int]) -> None:
        """These are the source's partitions that the worker has now: tables of `scope: partition` follow."""
        self._tables.own(partitions)

    def close(self) -> None:
        """Lets go of the models and tables."""
        self._tables.close()
        self._pool.close()
        if self._caller is not None:
            self._caller.close()


def trace_of(headers: Headers | None) -> Mapping[str, str]:
    """The W3C trace context that a record brings, to be forwarded."""
    found = {}
    for name, value in headers or ():
        if name in TRACE and value is not None and value.isascii():
            found[name] = value.decode()
    return found


def _done(model: str) -> Ticket:
    """The ticket of a call without a row that could be sent."""
    ticket = Ticket(model, ())
    ticket.done = True
    return ticket
