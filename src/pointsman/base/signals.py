"""Every metric that this package counts: name, unit, meaning; log lines are in `log_lines`.

Components emit neither; the runner counts at the door of each role, once per batch, and says what becomes of
the process.
Metric names read `pointsman_<noun>_<unit>[_total]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["BATCH_BOUNDS", "LATENCY_BOUNDS", "METRICS", "Metric"]

LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of a latency histogram's buckets, seconds."""

BATCH_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the buckets of a histogram of how many events share a request."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        kind: A counter only grows; a gauge is what is so now; a histogram counts by `bounds`.
        unit: What one of it is.
        labels: The names of its labels, in order.
        bounds: Upper bounds of a histogram's buckets.
        worst: Whether the figure of several workers is the largest of theirs, and not the sum.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = LATENCY_BOUNDS
    worst: bool = False


def _metrics(*found: Metric) -> dict[str, Metric]:
    return {m.name: m for m in found}


METRICS: Final = _metrics(
    Metric("pointsman_events_total", "counter", "events", "Events decided, repeats included."),
    Metric("pointsman_event_bytes_total", "counter", "bytes", "Bytes of the values of events decided."),
    Metric("pointsman_batches_total", "counter", "batches", "Batches of events decided."),
    Metric("pointsman_decisions_total", "counter", "records", "Decision records handed to Kafka."),
    Metric(
        "pointsman_decision_bytes_total", "counter", "bytes", "Bytes of the decision records handed to Kafka."
    ),
    Metric(
        "pointsman_requests_total",
        "counter",
        "records",
        "Requests that a router handed to Kafka, by the first model of their plan.",
        ("model",),
    ),
    Metric(
        "pointsman_hops_total",
        "counter",
        "records",
        "Events sent on by another key, through a topic of their own, by the field they go on to.",
        ("field",),
    ),
    Metric(
        "pointsman_dead_letters_total",
        "counter",
        "records",
        "Events handed to dead letters, by reason.",
        ("reason",),
    ),
    Metric(
        "pointsman_skipped_total", "counter", "events", "Events no route matched, where unmatched is skip."
    ),
    Metric("pointsman_route_events_total", "counter", "events", "Events a route took.", ("route",)),
    Metric(
        "pointsman_model_results_total",
        "counter",
        "events",
        "Results by the model chosen and their status.",
        ("model", "status"),
    ),
    Metric(
        "pointsman_model_failures_total",
        "counter",
        "events",
        "Events a model did not answer, by failure class.",
        ("model", "class"),
    ),
    Metric(
        "pointsman_model_call_seconds",
        "histogram",
        "seconds",
        "How long calls of a model took; one call carries many events.",
        ("model",),
    ),
    Metric(
        "pointsman_model_attempts_total",
        "counter",
        "requests",
        "Requests to a remote model by how they ended: ok or a failure class.",
        ("model", "class"),
    ),
    Metric(
        "pointsman_model_retries_total",
        "counter",
        "requests",
        "Requests that repeat one that failed.",
        ("model",),
    ),
    Metric(
        "pointsman_model_splits_total",
        "counter",
        "requests",
        "Requests that were cut in two to find the event at fault.",
        ("model",),
    ),
    Metric(
        "pointsman_model_not_asked_total",
        "counter",
        "events",
        "Events a model was not asked about because its breaker was open.",
        ("model",),
    ),
    Metric(
        "pointsman_model_expired_total",
        "counter",
        "events",
        "Events whose deadline passed before the model had answered.",
        ("model",),
    ),
    Metric(
        "pointsman_model_late_replies_total",
        "counter",
        "events",
        "Events whose reply came after they were given up; it was not used.",
        ("model",),
    ),
    Metric(
        "pointsman_replies_discarded_total",
        "counter",
        "records",
        "Records in a topic of replies that were not used. `late`: their request was given up, or answered "
        "before; `foreign`: of another worker that reads the topic; `unmarked`: without correlation id.",
        ("topic", "why"),
    ),
    Metric(
        "pointsman_model_breaker_opened_total",
        "counter",
        "times",
        "How often the breaker of a model has opened.",
        ("model",),
    ),
    Metric(
        "pointsman_model_batch_events",
        "histogram",
        "events",
        "How many events a request to a remote model carried.",
        ("model",),
        BATCH_BOUNDS,
    ),
    Metric(
        "pointsman_evaluation_errors_total",
        "counter",
        "events",
        "Expressions that had no value for an event, by where they stand.",
        ("where",),
    ),
    Metric(
        "pointsman_late_events_total",
        "counter",
        "events",
        "Events older than what a window still takes, by field; they are not counted in it.",
        ("field",),
    ),
    Metric(
        "pointsman_defaulted_total",
        "counter",
        "events",
        "Events whose id, key or time was absent, null or erred, and is the record's own.",
        ("what",),
    ),
    Metric("pointsman_commits_total", "counter", "commits", "Commits of offsets that succeeded."),
    Metric(
        "pointsman_transactions_total",
        "counter",
        "transactions",
        "Transactions by how they ended: committed or aborted.",
        ("result",),
    ),
    Metric(
        "pointsman_transaction_seconds",
        "histogram",
        "seconds",
        "How long a transaction was open, from its first record until it was committed.",
    ),
    Metric("pointsman_state_records_total", "counter", "records", "Changes of state handed to changelogs."),
    Metric("pointsman_state_bytes_total", "counter", "bytes", "Bytes of those changes."),
    Metric(
        "pointsman_state_entries",
        "gauge",
        "records",
        "Records of a store in the worker's partitions; on disk an estimate.",
        ("store",),
    ),
    Metric(
        "pointsman_state_held_bytes",
        "gauge",
        "bytes",
        "Bytes of those records, keys included; on disk an estimate.",
        ("store",),
    ),
    Metric(
        "pointsman_restored_records_total",
        "counter",
        "records",
        "Records read from changelogs when partitions came.",
    ),
    Metric(
        "pointsman_restore_seconds",
        "histogram",
        "seconds",
        "How long partitions that came waited for their state.",
    ),
    Metric(
        "pointsman_restoring_records",
        "gauge",
        "records",
        "Records that are still to be read from changelogs.",
    ),
    Metric("pointsman_restoring_partitions", "gauge", "partitions", "Partitions that wait for their state."),
    Metric(
        "pointsman_commit_failures_total",
        "counter",
        "commits",
        "Commits of offsets that failed and are tried again.",
    ),
    Metric(
        "pointsman_discarded_total",
        "counter",
        "events",
        "Events left to the next owner when a partition moved.",
    ),
    Metric(
        "pointsman_pauses_total", "counter", "pauses", "Times consuming paused because limits were reached."
    ),
    Metric("pointsman_worker_restarts_total", "counter", "restarts", "Workers started again after a crash."),
    Metric(
        "pointsman_lag_events",
        "gauge",
        "events",
        "Events in the log that were not taken yet.",
        ("topic", "partition"),
    ),
    Metric(
        "pointsman_delay_seconds",
        "gauge",
        "seconds",
        "Age of the newest event of the last batch when it was taken.",
        worst=True,
    ),
    Metric(
        "pointsman_model_breaker_state",
        "gauge",
        "state",
        "The breaker of a model: 0 closed, 1 half-open, 2 open; the worst of all workers.",
        ("model",),
        worst=True,
    ),
    Metric(
        "pointsman_model_queued_requests",
        "gauge",
        "requests",
        "Requests to a remote model that wait for capacity.",
        ("model",),
    ),
    Metric(
        "pointsman_model_open_requests",
        "gauge",
        "requests",
        "Requests to a remote model under way.",
        ("model",),
    ),
    Metric(
        "pointsman_model_waiting_events",
        "gauge",
        "events",
        "Events handed to a remote model and not answered yet.",
        ("model",),
    ),
    Metric("pointsman_table_rows", "gauge", "rows", "Rows of a table in memory.", ("table",), worst=True),
    Metric(
        "pointsman_table_records_total",
        "counter",
        "records",
        "Records of its topic that a table took, by every worker for itself.",
        ("table",),
    ),
    Metric(
        "pointsman_table_unusable_total",
        "counter",
        "records",
        "Records of a table's topic that are no rows.",
        ("table",),
    ),
    Metric(
        "pointsman_table_asked_total",
        "counter",
        "keys",
        "Keys that a table's Python function was asked for.",
        ("table",),
    ),
    Metric(
        "pointsman_table_failures_total",
        "counter",
        "keys",
        "Keys that a table's Python function gave nothing usable for: timeout, raised, invalid or busy.",
        ("table", "why"),
    ),
    Metric("pointsman_in_flight_events", "gauge", "events", "Events taken and not finished."),
    Metric("pointsman_in_flight_bytes", "gauge", "bytes", "Bytes of events taken and not finished."),
    Metric("pointsman_partitions", "gauge", "partitions", "Partitions assigned."),
    Metric(
        "pointsman_overloaded_workers",
        "gauge",
        "workers",
        "Workers for which more events wait in the log than limits.max_lag wants.",
    ),
    Metric(
        "pointsman_held_partitions",
        "gauge",
        "partitions",
        "Partitions of requests that wait for a policy version which the dispatcher does not have.",
    ),
    Metric("pointsman_workers", "gauge", "workers", "Workers that run."),
)
