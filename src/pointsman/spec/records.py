"""The JSON Schemas of the records that are written; their closed lists are those of `base.reasons`."""

from __future__ import annotations

from typing import Any

from pointsman.base.reasons import DEAD_LETTER_REASONS, DECISION_REASONS, FAILURE_CLASSES, STATUSES
from pointsman.spec.schema import DRAFT

__all__ = ["dead_letter_schema", "decision_schema", "request_schema", "result_schema"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MS: Schema = {"type": "integer", "description": "Milliseconds since 1970."}
_BYTES: Schema = {
    "description": "Text; bytes that are not UTF-8 as base64; null where there are none.",
    "anyOf": [
        {"type": ["string", "null"]},
        {
            "type": "object",
            "properties": {"base64": {"type": "string", "contentEncoding": "base64"}},
            "required": ["base64"],
            "additionalProperties": False,
        },
    ],
}
_POLICY: Schema = {"type": "string", "pattern": "^[0-9]+@[0-9a-f]{8}$"}
_PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}


def _map(description: str, properties: Schema, required: list[str]) -> Schema:
    """A map whose readers must expect further members from later versions."""
    return {"description": description, "type": "object", "properties": properties, "required": required}


def _list_of_words(words: Any, description: str) -> Schema:
    return {"enum": list(words), "description": description}


_ATTEMPT = _map(
    "One attempt to reach a model.",
    {
        "model": _TEXT,
        "status": _list_of_words(("ok", "failed", "dispatched"), "How the attempt ended."),
        "class": _list_of_words(FAILURE_CLASSES, "The class of the failure."),
        "latency_ms": {"type": "number", "minimum": 0},
    },
    ["model", "status"],
)

_SOURCE = {
    "topic": _TEXT,
    "partition": {"type": "integer", "minimum": 0},
    "offset": {"type": "integer", "minimum": 0},
}


_EVENT: Schema = {
    "description": "The event as it came, byte for byte; with write.event or write.redact, what they leave.",
    "type": "object",
}
_METADATA: Schema = {"description": "What enrichers added.", "type": "object"}


def _head(what: str) -> Schema:
    """What decisions and requests begin with; `what` is which of them."""
    return {
        "v": {"const": 1, "description": f"The version of the {what}'s form."},
        "id": {**_TEXT, "description": "The event's id, or topic-partition-offset."},
        "time": {**_MS, "description": "When the event happened, in milliseconds since 1970."},
        "decided_at": {**_MS, "description": "When it was decided, in milliseconds since 1970."},
        "source": _map(
            "Where the event was read.",
            {**_SOURCE, "key": {**_BYTES, "description": "The source record's Kafka key."}},
            ["topic", "partition", "offset", "key"],
        ),
    }


def decision_schema() -> Schema:
    """The schema of a decision record, version 1."""
    return {
        "$schema": DRAFT,
        "title": "Pointsman decision record",
        **_map(
            "One event: what it was, which model was chosen and why, and what the model answered.",
            {
                **_head("record"),
                "event": _EVENT,
                "metadata": _METADATA,
                "decision": _decision(),
                "result": _result(),
            },
            ["v", "id", "time", "decided_at", "source", "event", "metadata", "decision", "result"],
        ),
    }


def result_schema() -> Schema:
    """The schema of a record of `write.results`, version 1."""
    head, choice = _head("record"), _decision()["properties"]
    named = ("route", "model", "policy")
    return {
        "$schema": DRAFT,
        "title": "Pointsman result",
        **_map(
            "What came of one event, without the event. Its Kafka key is that of the decision.",
            {
                **{name: head[name] for name in ("v", "id", "time")},
                "decision": _map("The choice.", {name: choice[name] for name in named}, [*named]),
                "result": _result(),
            },
            ["v", "id", "time", "decision", "result"],
        ),
    }


def request_schema() -> Schema:
    """The schema of a request, which a router writes to `<p>.requests.<model>`, version 1."""
    return {
        "$schema": DRAFT,
        "title": "Pointsman request",
        **_map(
            "One event that was decided and waits for a model: what a worker needs to call it and to write "
            "the decision. Its Kafka key is that of the decision.",
            {
                **_head("request"),
                "event": {
                    "description": "The whole event as it came, byte for byte; write.event and write.redact "
                    "hold for decisions and dead letters.",
                    "type": "object",
                },
                "metadata": _METADATA,
                "decision": _decision(),
                "key": {
                    **_BYTES,
                    "description": "The decision record's Kafka key: the value of the document's source.key.",
                },
                "deadline": {
                    "type": ["integer", "null"],
                    "description": "When an answer is of no more use, in ms since 1970; null is never.",
                },
                "plan": {
                    "type": "array",
                    "items": _TEXT,
                    "minItems": 1,
                    "description": "The models to ask in turn; the first is the topic's. A constant behind "
                    "them is the policy version's.",
                },
                "policy": {**_POLICY, "description": "The policy version whose models and outputs hold."},
                "origin": _origin(),
            },
            [
                *("v", "id", "time", "decided_at", "source", "event", "metadata", "decision"),
                *("key", "deadline", "plan", "policy", "origin"),
            ],
        ),
    }


def _origin() -> Schema:
    """What else is known of the source record, so that a dead letter has it as it came."""
    return _map(
        "What else the source record had; expressions may read it, and a dead letter is made of it.",
        {
            "timestamp": {"type": "integer", "description": "Its timestamp, ms since 1970; -1 is none."},
            "headers": {
                "type": "array",
                "items": {"type": "array", "prefixItems": [_TEXT, _BYTES], "minItems": 2, "maxItems": 2},
                "description": "Its headers as they came: name and value.",
            },
            "value": {**_BYTES, "description": "Its value, where that is not `event` to the byte."},
        },
        ["timestamp"],
    )


def _decision() -> Schema:
    error = _map("An expression without value.", {"at": _TEXT, "error": _TEXT}, ["at", "error"])
    reasons = "; ".join(f"{word}: {meaning}" for word, meaning in DECISION_REASONS.items())
    return _map(
        "The choice.",
        {
            "route": {**_TEXT, "description": "The route that took the event."},
            "strategy": {**_TEXT, "description": "How it picks a model."},
            "model": {**_TEXT, "description": "The model it picked."},
            "propensity": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1,
                "description": "The probability with which this policy picks this model for this event.",
            },
            "reason": _list_of_words(DECISION_REASONS, f"Why the route was taken. {reasons}."),
            "policy": {
                **_POLICY,
                "description": "The policy version: revision and the first digits of the content hash.",
            },
            "unit": {**_TEXT, "description": "What sticks to the picked model."},
            "candidates": {
                "type": "object",
                "additionalProperties": _PROBABILITY,
                "description": "The probability of each model the strategy could pick.",
            },
            "errors": {
                "type": "array",
                "maxItems": 5,
                "items": error,
                "description": "The first five expressions that had no value.",
            },
            "errors_total": {"type": "integer", "minimum": 1, "description": "How many had none."},
        },
        ["route", "strategy", "model", "propensity", "reason", "policy"],
    )


def _result() -> Schema:
    statuses = "; ".join(f"{word}: {meaning}" for word, meaning in STATUSES.items())
    return _map(
        "What came of it.",
        {
            "status": _list_of_words(STATUSES, f"How it ended. {statuses}."),
            "model": {
                **_TEXT,
                "description": "The model that answered, or was asked last; `constant` where a constant did.",
            },
            "output": {"description": "Its answer: the named outputs, or the whole reply."},
            "model_version": {**_TEXT, "description": "The version of the model."},
            "latency_ms": {
                "type": "number",
                "minimum": 0,
                "description": "How long the call took that this event was part of.",
            },
            "attempts": {
                "type": "array",
                "items": _ATTEMPT,
                "description": "What was tried, in order, where it was not one success.",
            },
            "cost": {"type": "number", "minimum": 0, "description": "What the answer cost."},
        },
        ["status", "model"],
    )


def dead_letter_schema() -> Schema:
    """The schema of a dead letter as a line of JSON; `$defs/headers` is what it carries as a Kafka record."""
    reasons = "; ".join(f"{word}: {meaning}" for word, meaning in DEAD_LETTER_REASONS.items())
    source = _map(
        "Where the event was read.",
        {**_SOURCE, "timestamp": _MS},
        ["topic", "partition", "offset"],
    )
    attempts = {"type": "array", "items": _ATTEMPT}
    return {
        "$schema": DRAFT,
        "title": "Pointsman dead letter",
        **_map(
            "One record that could not be used, as `run --events` writes it. In Kafka, value and key are the "
            "record's own bytes and the rest is in headers: see $defs/headers.",
            {
                "id": {**_TEXT, "description": "The event's id, or topic-partition-offset."},
                "reason": _list_of_words(DEAD_LETTER_REASONS, f"Why it is dead. {reasons}."),
                "message": {**_TEXT, "description": "What was wrong, in a sentence."},
                "source": source,
                "key": {**_BYTES, "description": "The record's key as it came."},
                "value": {**_BYTES, "description": "The record's value as it came."},
                "headers": {
                    "type": "array",
                    "items": {"type": "array", "prefixItems": [_TEXT, _BYTES], "minItems": 2, "maxItems": 2},
                    "description": "The record's headers as they came: name and value.",
                },
                "attempts": {**attempts, "description": "What was tried with which model."},
            },
            ["id", "reason", "message", "source", "key", "value"],
        ),
        "$defs": {"headers": _letter_headers(source, attempts)},
    }


def _letter_headers(source: Schema, attempts: Schema) -> Schema:
    words = "|".join(DEAD_LETTER_REASONS)
    return _map(
        "The headers that a dead letter adds to those of the record, each as UTF-8 text.",
        {
            "pointsman-id": {**_TEXT, "description": "The event's id; a redriven event keeps it."},
            "pointsman-reason": {
                "type": "string",
                "pattern": f"^(?:{words}): ",
                "description": "The reason's word and a sentence.",
            },
            "pointsman-source": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": source,
                "description": "Where the event was read, as JSON.",
            },
            "pointsman-attempts": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": attempts,
                "description": "What was tried with which model, as JSON.",
            },
        },
        ["pointsman-id", "pointsman-reason", "pointsman-source", "pointsman-attempts"],
    )
