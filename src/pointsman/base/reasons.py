"""The closed lists of words that stand in records: why a decision was made, why a letter is dead."""

from __future__ import annotations

from typing import Final

__all__ = ["DEAD_LETTER_REASONS", "DECISION_REASONS", "FAILURE_CLASSES", "STATUSES"]

DECISION_REASONS: Final = {
    "rule": "the route's condition was true",
    "default": "the route has no condition",
    "on_error": "the route's condition erred and its on_error is match",
    "overload": "more events than limits.max_lag waited in the log, so its model answers whatever was picked",
}

DEAD_LETTER_REASONS: Final = {
    "undecodable": "the value is not what source.format says",
    "schema": "the schema that the value names is not in the Schema Registry, or does not fit source.fields",
    "empty": "the record has no value (a tombstone)",
    "too_large": "the value is larger than limits.bytes",
    "unmatched": "no route's condition was true and unmatched is dead_letter",
    "rule_error": "a route's condition erred and its on_error is dead_letter",
    "model_failed": "the chosen model did not answer; a decision with the same id says failed",
    "expired": "the deadline passed before a model answered; a decision with the same id says expired",
    "internal": "deciding it raised where nothing may; a fault of Pointsman worth a report",
    "unwritable": "the decision record could not be written: it is larger than its topic allows",
}

STATUSES: Final = {
    "ok": "the chosen model answered",
    "fallback": "another model, or a constant, answered in place of the chosen one",
    "duplicate": "source.dedupe saw the event before, so no model was called",
    "dispatched": "the event was handed to a model that does not reply",
    "expired": "the deadline passed and there is no constant to fall back to; a dead letter keeps the event",
    "failed": "no model answered; a dead letter with the same id keeps the event",
}

FAILURE_CLASSES: Final = ("timeout", "refused", "overloaded", "invalid_input", "invalid_reply", "internal")
