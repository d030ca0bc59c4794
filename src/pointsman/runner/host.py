"""A document at work: its models opened, its tables read, its policy built and its pool of model threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.errors import Finding, Misfit, SpecError
from pointsman.base.records import Batch
from pointsman.engine.build import build
from pointsman.engine.decide import Call, Decided, decide
from pointsman.engine.finish import finish
from pointsman.engine.policy import Policy
from pointsman.model.condition import load_condition
from pointsman.model.opening import open_models
from pointsman.model.pool import Pool, Ticket
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.spec.document import Document
from pointsman.state.tables import TableFile, load_table

__all__ = ["Host"]

T = TypeVar("T")

_REFRESH_SECONDS = 1.0


class Host:
    """What decides and calls models for one worker, and counts it.

    Attributes:
        document: What is at work.
        policy: The version in force.
        metrics: What is counted.
    """

    def __init__(
        self,
        document: Document,
        policy: Policy,
        tables: Mapping[str, TableFile],
        pool: Pool,
        metrics: Metrics,
    ) -> None:
        self.document = document
        self.policy = policy
        self.metrics = metrics
        self._pool = pool
        self._tables = tables
        self._rows: dict[str, Mapping[str, Any]] = {name: table.rows for name, table in tables.items()}
        self._closed = threading.Event()

    @classmethod
    def open(cls, document: Document, metrics: Metrics | None = None, clock: Clock | None = None) -> Host:
        """Opens the models, reads the tables, loads the Python conditions and builds the policy.

        Raises:
            SpecError: Some do not fit what the document says; it carries a finding for each.
            MissingExtra: A package that the document needs is not installed.
        """
        findings: list[Finding] = []
        tables: dict[str, TableFile] = {}
        conditions: dict[str, Any] = {}
        for name, table in document.tables.items():
            _gather(findings, document, ("tables", name), tables, name, partial(load_table, table, name))
        for number, route in enumerate(document.routes):
            if (python := route.python) is not None:
                load = partial(load_condition, python, document.folder)
                _gather(findings, document, ("routes", number, "when"), conditions, python, load)
        if findings:
            raise SpecError(findings)
        models = open_models(document, document.folder)
        policy = build(document, {name: model.version for name, model in models.items()}, conditions)
        timeouts = {name: spec.common.timeout for name, spec in document.models.items()}
        pool = Pool(
            models, timeouts, document.limits.in_flight, clock or SystemClock(), document.limits.bytes
        )
        return cls(document, policy, tables, pool, metrics or Metrics())

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The rows of every table as they stand now."""
        return self._rows

    def decide(self, batch: Batch) -> Decided:
        """Everything that can be said of a batch before models answer."""
        decided = decide(batch, self._rows, self.policy)
        count = self.metrics.count
        count("pointsman_batches_total")
        count("pointsman_events_total", len(batch))
        for route, events in decided.routes.items():
            count("pointsman_route_events_total", events, route)
        if decided.skipped:
            count("pointsman_skipped_total", decided.skipped)
        if decided.errors:
            for where, events in decided.errors.items():
                count("pointsman_evaluation_errors_total", events, where)
        if decided.defaulted:
            for what, events in decided.defaulted.items():
                count("pointsman_defaulted_total", events, what)
        return decided

    def submit(self, calls: Sequence[Call], size: int) -> Ticket:
        """Hands the rows of these calls, all of one model, to it as one; done at once if there are none."""
        model = calls[0].model
        rows = calls[0].ready() if len(calls) == 1 else [row for call in calls for row in call.ready()]
        if rows:
            return self._pool.submit(model, rows, size)
        ticket = Ticket(model, rows, size)
        ticket.done = True
        return ticket

    def wait(self, tickets: Sequence[Ticket], seconds: float) -> None:
        """Returns once all tickets are done, or after `seconds`."""
        self._pool.wait(tickets, seconds)

    def finish(self, decided: Decided, call: Call, ticket: Ticket, part: slice = slice(None)) -> None:
        """Completes the records of a call that is done; its replies are `part` of those of `ticket`."""
        finish(decided, call, ticket.replies[part], ticket.latency_ms)
        count = self.metrics.count
        if ticket.rows and not part.start:  # once for all calls that went together
            self.metrics.observe("pointsman_model_call_seconds", ticket.latency_ms / 1000, call.model)
        for (model, status), events in decided.statuses.items():
            if events:
                count("pointsman_model_results_total", events, model, status)
        for (model, failure), events in decided.failures.items():
            count("pointsman_model_failures_total", events, model, failure)
        decided.statuses.clear()
        decided.failures.clear()

    def refresh_tables(self, say: Say | None = None) -> None:
        """Reads tables again whose files changed; a batch sees each table wholly old or wholly new."""
        for name, table in self._tables.items():
            if table.refresh():
                self._rows = {**self._rows, name: table.rows}
                if say is not None:
                    say("table_reloaded", table=name, rows=len(table.rows))
            for note in table.notes():
                if say is not None:
                    say("table_note", table=name, problem=note)

    def keep_tables_fresh(self, say: Say) -> None:
        """Looks at the tables' files once a second from now on, beside what else goes on."""
        if self._tables:
            threading.Thread(target=self._watch, args=(say,), name="pointsman-tables", daemon=True).start()

    def close(self) -> None:
        """Lets go of the models."""
        self._closed.set()
        self._pool.close()

    def _watch(self, say: Say) -> None:
        while not self._closed.wait(_REFRESH_SECONDS):
            self.refresh_tables(say)


def _gather(
    findings: list[Finding],
    document: Document,
    path: tuple[str | int, ...],
    into: dict[str, T],
    name: str,
    load: Callable[[], T],
) -> None:
    """Keeps what `load` returns under `name`, or a finding at `path`."""
    try:
        into[name] = load()
    except Misfit as misfit:
        place = document.where((*path, *misfit.path))
        findings.append(place.finding(misfit.code, f"{path[0]} '{path[1]}': {misfit}", misfit.hint))
