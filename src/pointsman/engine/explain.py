"""One event step by step: what was decoded and added, why this route, what the model said, the record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pointsman.base.errors import EvalError, InvalidInput, ModelError, RecordError
from pointsman.base.keys import key_text
from pointsman.base.records import Batch, Headers
from pointsman.cel.program import Program, describe
from pointsman.cel.values import MISSING, Mistyped, Timestamp, to_json
from pointsman.engine.decide import Call, Decided, decide
from pointsman.engine.finish import finish
from pointsman.engine.policy import Policy, RoutePlan
from pointsman.engine.support import (
    Errors,
    bool_of,
    headers_of,
    record_time,
    text_key,
    time_of,
    unpacked,
    verdict,
)
from pointsman.enrich.base import Binds, Remembers, Tables, optional_of
from pointsman.state.base import State, Store

__all__ = ["Ask", "Explanation", "event_time", "explain"]

Ask = Callable[[Call], tuple[Sequence[Any], float]]
"""Has a model answer a call: the replies to `call.ready()` and the milliseconds it took."""


@dataclass(slots=True)
class Explanation:
    """Everything that led to one record, as plain values.

    Attributes:
        fields: `name`, `value`, declared `type`, and `problem`: `missing`, `mistyped` or None.
        metadata: `name` and `value` or `error`, in order.
        routes: `name`, `line`, `condition`, `outcome` (`true`, `false`, `error`, `not reached`) and
            `steps`: each part of the condition as `text` with its `value` or `error`, and the values of the
            `names` in it.
        choice: The record's `decision`, or None where no route was taken.
        calls: What the model was given and answered.
        record: The decision record as `run` writes it, or None.
        dead_letter: `reason` and `message`, or None.
        state: What each window holds of the event's key once the event is counted: `field`, `key`, and what
            the store shows.
    """

    id: str | None = None
    key: str | None = None
    time: int | None = None
    fields: list[dict[str, Any]] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    routes: list[dict[str, Any]] = field(default_factory=list)
    choice: dict[str, Any] | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    record: dict[str, Any] | None = None
    dead_letter: dict[str, str] | None = None
    state: list[dict[str, Any]] = field(default_factory=list)


def explain(
    policy: Policy,
    batch: Batch,
    tables: Tables,
    ask: Ask,
    declared: Mapping[str, str],
    state: State | None = None,
) -> Explanation:
    """Decides the one event of `batch` as `run` does and tells why.

    Args:
        policy: The version in force.
        batch: One record.
        tables: The rows of every table.
        ask: Has the chosen model answer.
        declared: The declared types of the event's fields.
        state: The stores of the event's partition, which the event changes; needed where the policy has any.
    """
    told, seen = Explanation(), _Seen()
    decided = decide(batch, tables, policy, state, watch=seen)
    calls = list(decided.calls)
    while calls:
        call = calls.pop(0)
        replies, latency_ms = ask(call)
        calls += finish(decided, call, replies, latency_ms)
        told.calls.append(_call(call, call.spread(replies)[0]))
    _outcome(told, decided)
    try:
        raw, headers = unpacked(policy.decoder, batch.record(0))
        if raw is None:
            return told
        event = policy.decoder.decode_whole(raw)
    except RecordError:
        return told
    names: dict[str, Any] = {"event": _declared(policy, raw, event)}
    _fields(told, names["event"], declared)
    _source_names(told, batch, headers, names)
    names |= {table: tables.get(table, {}) for table in policy.tables}
    if state is not None:
        _state(told, policy, state.of(batch.topics[0], batch.partitions[0]), names, seen)
    _metadata(told, policy, tables, names, seen)
    _routes(told, policy, names)
    return told


def _declared(policy: Policy, raw: bytes, event: dict[str, Any]) -> dict[str, Any]:
    """The event with the used fields as the decoder converts and marks them."""
    struct = policy.decoder.decode(raw)
    used = {name: getattr(struct, attribute) for name, attribute in policy.decoder.attributes.items()}
    return {**event, **{name: value for name, value in used.items() if value is not MISSING}}


def _outcome(told: Explanation, decided: Decided) -> None:
    if decided.dead:
        letter = decided.dead[0][1]
        told.dead_letter = {"reason": letter.reason, "message": letter.message}
        told.id = letter.id
    value = decided.values[0]
    if value is not None:
        told.record = json.loads(value, parse_float=_number)
        told.choice = told.record["decision"]
        told.id, told.time = told.record["id"], told.record["time"]
    key = decided.keys[0]
    told.key = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else key


def _number(text: str) -> float | str:
    """A number of the event; one that no float holds stays the text that it is."""
    number = float(text)
    return number if math.isfinite(number) else text


def _call(call: Call, reply: Any) -> dict[str, Any]:
    row, plan = call.rows[0], call.plan
    told: dict[str, Any] = {"model": plan.name, "version": plan.version, "status": "ok"}
    if not isinstance(row, InvalidInput):
        names = [name for name, _ in plan.inputs or ()]
        told["inputs"] = _plain(dict(zip(names, row, strict=True)) if plan.inputs is not None else row)
    if isinstance(reply, ModelError):
        return told | {"status": "failed", "error": f"{reply.failure}: {reply}"}
    return told | {"reply": _plain(reply)}


def _fields(told: Explanation, event: Mapping[str, Any], declared: Mapping[str, str]) -> None:
    for name in [*declared, *(name for name in event if name not in declared)]:
        value = event.get(name, MISSING)
        problem = "missing" if value is MISSING else "mistyped" if isinstance(value, Mistyped) else None
        shown = None if value is MISSING else _plain(value)
        told.fields.append({"name": name, "value": shown, "type": declared.get(name), "problem": problem})


def _source_names(told: Explanation, batch: Batch, headers: Headers | None, names: dict[str, Any]) -> None:
    """The names that come with the record rather than with the event."""
    when = told.time
    if when is None:
        when = batch.timestamps[0] if batch.timestamps[0] >= 0 else batch.now_ms
        told.time = when
    names |= {
        "headers": headers_of(headers),
        "key": text_key(batch.keys[0]),
        "topic": batch.topics[0],
        "now": Timestamp(when * 1_000_000),
        "metadata": {},
    }


def event_time(policy: Policy, batch: Batch) -> int:
    """The time of the one event of `batch`, in milliseconds since 1970; the record's where it has none."""
    try:
        raw, headers = unpacked(policy.decoder, batch.record(0))
    except RecordError:
        return record_time(batch, 0, None)
    if policy.time is not None and raw is not None:
        names = {"headers": headers_of(headers), "key": text_key(batch.keys[0]), "topic": batch.topics[0]}
        try:
            names["event"] = _declared(policy, raw, policy.decoder.decode_whole(raw))
            return time_of(policy.time.evaluate(names))
        except (EvalError, RecordError):
            pass
    return record_time(batch, 0, headers)


class _Seen:
    """What a batch of one event saw: its metadata, where some of it can not be computed again."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.errors: dict[str, str] = {}

    def __call__(self, _: int, metadata: dict[str, Any], errors: Errors | None) -> None:
        self.metadata = metadata
        self.errors = {} if errors is None else {told["at"]: told["error"] for told in errors.first}


def _state(
    told: Explanation, policy: Policy, stores: Mapping[str, Store], names: dict[str, Any], seen: _Seen
) -> None:
    for name, enricher in policy.enrichers:
        if not isinstance(enricher, Remembers) or not enricher.inputs:
            continue
        try:
            key = key_text(enricher.inputs[0].evaluate({**names, "metadata": seen.metadata}))
        except EvalError:
            continue
        shown = None if key is None else stores[name].show(key, told.time)
        if shown is not None:
            told.state.append({"field": name, "key": key, **shown})


def _metadata(told: Explanation, policy: Policy, tables: Tables, names: dict[str, Any], seen: _Seen) -> None:
    for name, enricher in policy.enrichers:
        if not isinstance(enricher, Binds) or optional_of(enricher):
            if name in seen.metadata:
                names["metadata"] = {**names["metadata"], name: seen.metadata[name]}
                told.metadata.append({"name": name, "value": _plain(seen.metadata[name])})
            else:
                why = seen.errors.get(f"enrich.{name}", "nothing to tell of yet")
                told.metadata.append({"name": name, "value": None, "error": why})
            continue
        try:
            values = [program.evaluate(names) for program in enricher.inputs]
            bound = enricher.bind(tables)
            value = values[0] if bound is None else bound(*values)
        except Exception as error:
            if enricher.default is MISSING:
                told.metadata.append({"name": name, "value": None, "error": describe(error)})
                continue
            value = enricher.default
        names["metadata"] = {**names["metadata"], name: value}
        told.metadata.append({"name": name, "value": _plain(value)})


def _routes(told: Explanation, policy: Policy, names: dict[str, Any]) -> None:
    taken = False
    for route in policy.routes:
        shown: dict[str, Any] = {
            "name": route.name,
            "line": route.line,
            "condition": _text(route),
            "steps": [],
        }
        if taken:
            shown["outcome"] = "not reached"
        else:
            shown["outcome"], shown["steps"] = _tried(route, names, told)
            taken = shown["outcome"] == "true" or (shown["outcome"] == "error" and route.on_error != "next")
        told.routes.append(shown)


def _tried(route: RoutePlan, names: dict[str, Any], told: Explanation) -> tuple[str, list[dict[str, Any]]]:
    try:
        if route.python is not None:
            event = {"id": told.id, "time": told.time, "key": told.key, "event": names["event"]}
            answer = verdict(route.python([{**event, "metadata": names["metadata"]}]))
            return str(answer).lower(), []
        if route.when is None:
            return "true", []
        return str(bool_of(route.when.evaluate(names))).lower(), _steps(route.when, names)
    except Exception as error:
        steps = [] if route.when is None else _steps(route.when, names)
        return "error", [*steps, {"text": _text(route), "error": describe(error)}]


def _steps(program: Program, names: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"text": step.text, **({"error": step.error} if step.error else {"value": _plain(step.value)})}
        | {"names": {path: _plain(value) for path, value in step.names.items() if value is not MISSING}}
        for step in program.trace(names)
    ]


def _text(route: RoutePlan) -> str:
    if route.when is not None:
        return route.when.shown()
    return "" if route.python is None else "a Python condition"


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=to_json))
