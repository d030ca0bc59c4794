"""One case of a test document against what the engine did: a part is wanted, each difference has a path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from pointsman.base import errors
from pointsman.base.errors import ModelError
from pointsman.base.records import Batch
from pointsman.engine.decide import Call
from pointsman.engine.explain import Ask, Explanation, event_time, explain
from pointsman.engine.policy import Policy, encode
from pointsman.enrich.base import Tables
from pointsman.state.memory import Stores
from pointsman.state.window_seed import seed
from pointsman.strategy.base import Choice, Strategy

if TYPE_CHECKING:
    from pointsman.spec.cases import Case

__all__ = ["ABSENT", "Mismatch", "Tried", "batch_of", "differences", "outcome", "picking", "try_case"]


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


@dataclass(frozen=True, slots=True)
class Tried:
    """One case and what came of it.

    Attributes:
        told: The event's explanation: why it went where it went.
        mismatches: Where that is not what the case wants; none where it passed.
    """

    case: Case
    told: Explanation
    mismatches: tuple[Mismatch, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as wanted."""
        return not self.mismatches


def try_case(
    case: Case, policy: Policy, tables: Tables, ask: Ask, declared: Mapping[str, str], batch: Batch
) -> Tried:
    """Runs one case through the engine.

    Args:
        case: What stands in for models and tables, and what is wanted.
        policy: The document's, its strategies' picks fixed where the case says so.
        tables: The document's own; the case's replace those of the same name.
        ask: Answers for a model that has no stub.
        declared: The declared types of the event's fields.
        batch: The case's event, as `batch_of` makes it.
    """
    state = Stores(policy.stores)
    when = event_time(policy, batch) if case.state else 0
    for field, keys in case.state.items():
        store: Any = state.of(batch.topics[0], batch.partitions[0])[field]
        for key, value in keys.items():
            seed(store, key, value, when)
    told = explain(policy, batch, {**tables, **case.tables}, _stubbed(case, ask), declared, state)
    found = differences(case.want, outcome(told.record, told.dead_letter))
    return Tried(case, told, tuple(found))


class Picked:
    """A strategy whose pick a case has fixed; records name the strategy and the pick's real propensity."""

    def __init__(self, strategy: Strategy, model: str) -> None:
        """Args:
        strategy: One that has `model` among its models.
        """
        shares = {name: float(share) for name, share in strategy.shares().items()}
        self.name = strategy.name
        self.sticky = strategy.sticky
        self.models = strategy.models
        self._strategy = strategy
        self._choice = Choice(model, shares[model], shares if len(shares) > 1 else None)

    def choose(self, unit: str) -> Choice:  # noqa: ARG002  the role's signature
        """The fixed pick."""
        return self._choice

    def shares(self) -> Mapping[str, Fraction]:
        """The strategy's own."""
        return self._strategy.shares()


def picking(model: str) -> Callable[[Strategy], Strategy]:
    """Fixes the pick of every strategy that can pick `model` to it."""

    def wrap(strategy: Strategy) -> Strategy:
        # Its name belongs to the instance, where the role has it on the class.
        return cast(Strategy, Picked(strategy, model)) if model in strategy.models else strategy

    return wrap


def batch_of(case: Case, topic: str, now_ms: int) -> Batch:
    """The case's event as the one record of a poll; a text is the value as it stands, anything else JSON.

    Args:
        topic: What its topic is said to be.
        now_ms: What the time is said to be where the case does not say.
    """
    value = case.event.encode() if isinstance(case.event, str) else encode(case.event)
    time = now_ms if case.time is None else case.time
    key = None if case.key is None else case.key.encode()
    headers = [(name, text.encode()) for name, text in case.headers]
    return Batch([value], [key], [topic], [0], [0], [time], [headers or None], time)


def _stubbed(case: Case, ask: Ask) -> Ask:
    def answer(call: Call) -> tuple[Sequence[Any], float]:
        stub = case.models.get(call.model)
        if stub is None:
            return ask(call)
        if stub.fails is None:
            return [stub.reply] * len(call.ready()), 0.0
        return [_FAILURES[stub.fails]("the case says so") for _ in call.ready()], 0.0

    return answer


_FAILURES: dict[str, type[ModelError]] = {
    found.failure: found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, ModelError) and found is not ModelError
}


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
