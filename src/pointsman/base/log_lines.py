"""Every log line that a run writes: what it is called, what it is for, what fields it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["LOGS", "Log"]


@dataclass(frozen=True, slots=True)
class Log:
    """One kind of log line.

    Attributes:
        fields: The names of the values it carries, in order.
    """

    name: str
    level: Literal["info", "warning", "error"]
    meaning: str
    fields: tuple[str, ...] = ()


def _logs(*found: Log) -> dict[str, Log]:
    return {log.name: log for log in found}


LOGS: Final = _logs(
    Log("started", "info", "A run began.", ("pipeline", "policy", "role", "topics", "group", "workers")),
    Log(
        "progress",
        "info",
        "What happened since the last such line.",
        ("events", "rate", "decisions", "dead_letters", "failures", "lag", "in_flight"),
    ),
    Log("waiting", "info", "The run cannot begin yet.", ("why",)),
    Log("partitions_assigned", "info", "Partitions came to a worker.", ("partitions", "worker")),
    Log(
        "partitions_revoked",
        "info",
        "Partitions go to another worker.",
        ("partitions", "discarded", "worker"),
    ),
    Log(
        "partitions_lost",
        "warning",
        "Partitions were taken away; nothing was published.",
        ("partitions", "discarded", "worker"),
    ),
    Log(
        "paused",
        "warning",
        "Consuming paused: limits.in_flight or limits.bytes is reached.",
        ("in_flight", "bytes", "worker"),
    ),
    Log("resumed", "info", "Consuming goes on.", ("in_flight", "bytes", "worker")),
    Log(
        "overloaded",
        "warning",
        "More events wait in the log than limits.max_lag wants; `then` says what is done about it.",
        ("lag", "limit", "then", "worker"),
    ),
    Log("caught_up", "info", "Fewer events wait than half of limits.max_lag.", ("lag", "limit", "worker")),
    Log(
        "policy_missing",
        "warning",
        "Requests wait for a policy version that this dispatcher does not have; others go on.",
        ("wanted", "policy", "partitions", "worker"),
    ),
    Log(
        "policy_taken",
        "info",
        "The document was replaced by the version that requests wait for.",
        ("policy", "worker"),
    ),
    Log("table_reloaded", "info", "A table's file changed and was read again.", ("table", "rows", "worker")),
    Log(
        "table_note",
        "warning",
        "Something of a table cannot be used: a file, a record, what a function gave.",
        ("table", "problem", "worker"),
    ),
    Log(
        "table_reading",
        "info",
        "Topics of tables are read, and no event is decided before their end.",
        ("tables", "records", "rate", "seconds", "worker"),
    ),
    Log(
        "table_read",
        "info",
        "Topics of tables were read to their end; from now on they are followed.",
        ("tables", "records", "rate", "seconds", "worker"),
    ),
    Log(
        "broker_trouble",
        "warning",
        "The Kafka client reports a fault that it tries to get over.",
        ("problem", "worker"),
    ),
    Log(
        "delivery_waits",
        "warning",
        "Records written are not acknowledged yet; consuming waits.",
        ("records", "worker"),
    ),
    Log(
        "transaction_failed",
        "warning",
        "A transaction is aborted; its events are decided again.",
        ("problem", "transactional_id", "worker"),
    ),
    Log(
        "went_back",
        "info",
        "Consuming goes on at the committed offsets, after a transaction was aborted.",
        ("partitions", "discarded", "worker"),
    ),
    Log(
        "state_begins",
        "warning",
        "There was no state of these definitions: what they remember begins now, with nothing.",
        ("topics", "worker"),
    ),
    Log(
        "transaction_hangs",
        "warning",
        "A transaction has long been open in changelogs and holds all up: the broker may have forgotten it.",
        ("partitions", "do", "worker"),
    ),
    Log(
        "state_restoring",
        "info",
        "Partitions wait for their state, which is read from the changelogs.",
        ("partitions", "records", "total", "rate", "worker"),
    ),
    Log(
        "state_restored",
        "info",
        "The state of partitions is there.",
        ("partitions", "records", "rate", "seconds", "worker"),
    ),
    Log(
        "state_stays",
        "warning",
        "The run begins elsewhere with the state as it is: events taken again are counted again.",
        ("topics",),
    ),
    Log(
        "state_foreign",
        "warning",
        "Records in the changelogs are not of this program, and were left out.",
        ("topics", "records", "worker"),
    ),
    Log("commit_failed", "warning", "Offsets could not be committed; tried again.", ("problem", "worker")),
    Log(
        "worker_crashed",
        "error",
        "A worker ended without being asked and is started again.",
        ("worker", "exit", "again_in"),
    ),
    Log("worker_ended", "info", "A worker ended as asked.", ("worker",)),
    Log("engine_note", "warning", "The stream engine warns of something.", ("source", "problem", "worker")),
    Log("engine_failed", "error", "Tasks ended with an error; `again`?", ("problem", "again", "worker")),
    Log("engine_started", "info", "A cluster of the stream engine is up.", ("address", "folder")),
    Log("engine_resumes", "info", "The stream engine begins with what it kept.", ("path",)),
    Log("engine_job", "info", "The job inside the stream engine has another status.", ("job", "status")),
    Log("engine_saved", "info", "The stream engine kept all it knows; a new start goes on there.", ("path",)),
    Log("draining", "info", "The run ends: what was taken is finished and committed.", ("why",)),
    Log("metrics_served", "info", "Metrics and health can be read.", ("address",)),
    Log("ended", "info", "The run is over.", ("events", "decisions", "dead_letters", "seconds")),
)
