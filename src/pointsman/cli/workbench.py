"""A document with its tables and models, to look at one event at a time: what `explain` and `test` use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.errors import (
    EnvironmentFault,
    Misfit,
    MissingExtra,
    PointsmanError,
    SpecError,
)
from pointsman.base.records import Batch
from pointsman.bus.client import connect
from pointsman.cli.screen import warn
from pointsman.engine.build import build
from pointsman.engine.decide import Call, decide, identify
from pointsman.engine.explain import Explanation, explain
from pointsman.engine.policy import Policy
from pointsman.engine.testing import Tried, batch_of, picking, try_case
from pointsman.model.base import Model
from pointsman.model.caller import Caller
from pointsman.model.opening import open_model
from pointsman.model.pool import Pool
from pointsman.runner.conditions import finding_of, open_conditions
from pointsman.runner.fields import asked_models, field_functions, open_fields
from pointsman.runner.logs import quiet
from pointsman.runner.remotes import Remotes, is_remote
from pointsman.runner.tables import Tables
from pointsman.spec.document import Document
from pointsman.state.memory import Stores
from pointsman.strategy.base import Strategy

if TYPE_CHECKING:
    from pointsman.spec.cases import Case

__all__ = ["Workbench"]

_CONNECT_SECONDS = 5.0


class Workbench:
    """Explains events of a document and tries its cases.

    A model that cannot be opened is a fault only when an event needs it: a case may have put a stub in its
    place.
    """

    def __init__(self, document: Document, clock: Clock | None = None) -> None:
        """Opens what can be opened.

        Events are JSON as people write it, also where those of the source name a schema of a registry.

        Raises:
            SpecError: A table or a Python condition does not fit the document.
        """
        if document.source.registry is not None:
            document = replace(document, source=replace(document.source, format="json", registry=None))
        self._document = document
        self._clock = clock or SystemClock()
        self._broken: dict[str, PointsmanError] = {}
        self._models: dict[str, Model] = {}
        self._pools: dict[str, Pool] = {}
        self._tables = Tables(document, self._clock)
        self._topics_read = False
        self._conditions: dict[str, Any] = {}
        self._policies: dict[str | None, Policy] = {}
        self._state: Stores | None = None
        self._remotes = Remotes(document)
        self._caller: Caller | None = None
        self._open()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools.values():
            pool.close()
        if self._caller is not None:
            self._caller.close()
        self._tables.close()

    def explain(self, batch: Batch) -> Explanation:
        """Tells why the one event of `batch` goes where it goes; what it changes, the next one sees.

        Raises:
            SpecError, MissingExtra: The model that it goes to cannot be opened.
        """
        policy = self._policy(None)
        self._read_topics()
        with self._tables.batch(batch) as rows:
            return explain(policy, batch, rows, self._ask, self._declared, self._remembered(policy))

    def count(self, batch: Batch) -> None:
        """Lets what is remembered see the event of `batch`, with no model asked."""
        policy = self._policy(None)
        if policy.stores:
            self._read_topics()
            with self._tables.batch(batch) as rows:
                decide(batch, rows, policy, self._remembered(policy))

    def _remembered(self, policy: Policy) -> Stores:
        """What earlier events have left."""
        if self._state is None:
            self._state = Stores(policy.stores)
        return self._state

    def try_case(self, case: Case) -> Tried:
        """Runs one case of the document's tests; raises as `explain` does."""
        batch = batch_of(case, self._document.source.topics[0], self._clock.now_ms())
        policy = self._policy(case.choose)
        with self._tables.batch(batch, given=case.tables) as rows:
            return try_case(case, policy, rows, self._ask, self._declared, batch)

    @property
    def _declared(self) -> Mapping[str, str]:
        return self._document.source.fields or {}

    def _open(self) -> None:
        document, findings = self._document, list(self._tables.findings)
        self._conditions = open_conditions(document, findings)
        fields, spans, found = open_fields(document)
        findings += found
        if findings:
            raise SpecError(findings)
        self._remotes.open()
        for name, broken in self._remotes.broken.items():
            self._broken[name] = (
                SpecError([finding_of(document, ("models", name), broken)])
                if isinstance(broken, Misfit)
                else broken
            )
        for name, spec in document.models.items():
            if is_remote(spec):
                continue
            try:
                self._models[name] = open_model(name, spec, document.folder)
            except Misfit as misfit:
                self._broken[name] = SpecError([finding_of(document, ("models", name), misfit)])
            except MissingExtra as missing:
                self._broken[name] = missing
        asked = {name: model for name, model in self._models.items() if name in asked_models(document)}
        spans |= {name: document.models[name].common.timeout for name in asked}
        self._pools[""] = Pool({**fields, **asked}, spans, document.limits.in_flight, self._clock)

    def _read_topics(self) -> None:
        """Reads the topics of tables as they are now; without a broker the rows are those of no record."""
        if self._topics_read or not self._tables.topics:
            return
        self._topics_read = True
        try:
            connect(self._document.kafka, seconds=_CONNECT_SECONDS)
            self._tables.follow(quiet, everything=True)
        except EnvironmentFault as fault:
            warn(f"tables made of {', '.join(sorted(self._tables.topics))} have no rows: {fault}")

    def _policy(self, choose: str | None) -> Policy:
        """The document compiled, with the pick of every strategy that can pick `choose` fixed to it."""
        if choose not in self._policies:
            versions = {name: model.version for name, model in self._models.items()}
            wrap = picking(choose) if choose else _as_it_is
            for name in asked_models(self._document) & self._broken.keys():
                raise self._broken[name]
            functions = field_functions(self._document, self._pools[""])
            self._policies[choose] = build(self._document, versions, self._conditions, functions, wrap)
            self._tables.serve(self._policies[choose])
        return self._policies[choose]

    def _ask(self, call: Call) -> tuple[Sequence[Any], float]:
        if call.model in self._broken:
            raise self._broken[call.model]
        if call.model in self._remotes.opened:
            return self._ask_remote(call)
        if call.model not in self._pools:
            timeout = self._document.models[call.model].common.timeout
            model = {call.model: self._models[call.model]}
            self._pools[call.model] = Pool(model, {call.model: timeout}, len(call.rows), self._clock)
        if not call.ready():
            return [], 0.0
        ticket = self._pools[call.model].submit(call.model, call.ready())
        while not ticket.done:
            self._pools[call.model].wait([ticket], 1.0)
        return ticket.replies, ticket.latency_ms

    def _ask_remote(self, call: Call) -> tuple[Sequence[Any], float]:
        if self._caller is None:
            closing = [endpoint.close for endpoint in self._remotes.endpoints.values()]
            limit = self._document.limits.in_flight
            self._caller = Caller(self._remotes.opened, self._remotes.terms(), limit, closing=closing)
        ids = [identify(head + b"0}") for head in call.heads]
        tickets = [
            part.ticket for part in self._caller.submit(call.model, call.ready(), ids[: len(call.ready())])
        ]
        while not all(ticket.done for ticket in tickets):
            self._caller.wait(tickets, 1.0)
        replies = [reply for ticket in tickets for reply in ticket.replies]
        return replies, max((ticket.latency_ms for ticket in tickets), default=0.0)


def _as_it_is(strategy: Strategy) -> Strategy:
    return strategy
