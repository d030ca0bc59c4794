"""The Kafka client's properties: what a profile sets, what a document may say, what guarantees rest on."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final, Literal

from pointsman.base.errors import Misfit, PointsmanError
from pointsman.bus.faults import describe, fault, telling, will_not_pass

__all__ = [
    "LOGGER",
    "MAX_RECORD_BYTES",
    "OWNED",
    "Profile",
    "Role",
    "client_config",
    "connect",
    "try_properties",
]

Profile = Literal["throughput", "latency"]
Role = Literal["consumer", "producer", "admin"]

MAX_RECORD_BYTES: Final = 16 << 20
"""The largest record that is handed to a broker; the topics we make take it."""

LOGGER: Final = logging.getLogger("pointsman.kafka")
"""Where librdkafka's own log goes; silent until somebody adds a handler."""
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False

_CONNECTION: Final[dict[str, Any]] = {
    "bootstrap.servers": "localhost:9092",
    "client.id": "pointsman",
    "socket.nagle.disable": True,
    "reconnect.backoff.max.ms": 2000,
    "topic.metadata.refresh.interval.ms": 10_000,  # how soon a new partition is seen
}

_CONSUMER: Final[dict[str, Any]] = {
    "auto.offset.reset": "earliest",
    "heartbeat.interval.ms": 1000,  # how soon a member hears of a rebalance
    "session.timeout.ms": 10_000,  # how long a killed worker's partitions wait
    "queued.max.messages.kbytes": 16_384,  # larger queues leave the processor's caches
    "fetch.queue.backoff.ms": 10,
}

_PRODUCER: Final[dict[str, Any]] = {
    "compression.type": "lz4",
    "message.max.bytes": MAX_RECORD_BYTES,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 262_144,
}

_PROFILES: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("throughput", "producer"): {"linger.ms": 20},
    ("latency", "producer"): {"linger.ms": 0},
    ("latency", "consumer"): {"fetch.wait.max.ms": 20, "fetch.queue.backoff.ms": 1},
}

OWNED: Final[dict[Role, dict[str, tuple[Any, str]]]] = {
    "consumer": {
        "enable.auto.commit": (False, "offsets are committed once what was decided is written"),
        "enable.auto.offset.store": (False, "offsets are committed once what was decided is written"),
        "partition.assignment.strategy": ("cooperative-sticky", "partitions move one by one"),
        "group.protocol": ("classic", "partitions move one by one"),
        "enable.partition.eof": (False, "run --until-idle sets it"),
        "isolation.level": ("read_committed", "what an aborted transaction wrote is no event"),
    },
    "producer": {
        "enable.idempotence": (True, "a record is not lost, repeated or reordered by a retry"),
        "acks": ("all", "a record is not lost with a broker"),
        "partitioner": ("murmur2_random", "records lie where Java clients look for them"),
        "delivery.report.only.error": (True, "a report for each record costs more than deciding it"),
    },
    "admin": {},
}
"""Properties that a document may not set, by role: the value and what rests on it."""

_NAMED: Final = "transactional.id"
"""It is `<pipeline>-<instance>-<worker>`; with another one a worker that hangs could not be shut out."""


def client_config(
    kafka: Mapping[str, Any], profile: str, role: Role, *, pipeline: str = "pointsman"
) -> dict[str, Any]:
    """Returns the properties of one client.

    Args:
        kafka: The document's `kafka:`; its properties win over the profile's.
        profile: `throughput` or `latency`.
        role: Which client it is for.
        pipeline: The name of the group where `kafka` names none.

    Raises:
        Misfit: If `kafka` sets a property that a guarantee rests on.
    """
    for owner in OWNED.values():
        for name, (value, why) in owner.items():
            if name in kafka and _text(kafka[name]) != _text(value):
                raise Misfit(
                    "E445",
                    f"the Kafka property '{name}' is Pointsman's own: {why}",
                    f"remove it; it is always {_text(value)}",
                    ("kafka", name),
                )
    if _NAMED in kafka:
        raise Misfit(
            "E445",
            f"the Kafka property '{_NAMED}' is Pointsman's own: it shuts out a worker that hangs",
            "remove it; name the deployment with 'pointsman run --instance'",
            ("kafka", _NAMED),
        )
    defaults = {"consumer": _CONSUMER, "producer": _PRODUCER, "admin": {}}[role]
    group = {"group.id": pipeline} if role == "consumer" else {}
    own = {name: value for name, (value, _) in OWNED[role].items()}
    # With `debug` people want to read the client's own log: on standard error, where librdkafka writes it.
    log = {} if kafka.get("debug") else {"logger": LOGGER}
    return {
        **_CONNECTION,
        **defaults,
        **_PROFILES.get((profile, role), {}),
        **group,
        **kafka,
        **own,
        **log,
    }


def connect(kafka: Mapping[str, Any], *, seconds: float = 10.0) -> Any:
    """Returns an AdminClient once a broker has answered it.

    Args:
        kafka: The document's `kafka:`.
        seconds: How long to try while nobody answers; a refused login or certificate ends it at once.

    Raises:
        EnvironmentFault: If nobody answers in time, or refuses.
        Misfit: If a property of `kafka` does not exist or has a wrong value.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    reports: list[KafkaError] = []
    config = {**client_config(kafka, "throughput", "admin"), "error_cb": reports.append}
    admin = opened(AdminClient, config)
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            admin.list_topics(timeout=max(0.1, min(left, 1.0)))
        except KafkaException as error:
            admin.poll(0)
            cause = telling([error.args[0], *reports])
            if will_not_pass(cause) or time.monotonic() >= deadline:
                raise fault(cause, kafka, "cannot connect") from error
            time.sleep(0.1)
        else:
            return admin


def opened(kind: Any, config: Mapping[str, Any]) -> Any:
    """Returns a client of `kind` with `config`.

    Raises:
        Misfit: If a property does not exist or has a wrong value.
    """
    from confluent_kafka import KafkaException

    try:
        return kind(dict(config))
    except KafkaException as error:
        raise _bad_property(error.args[0].str(), config) from error
    except (TypeError, ValueError) as error:
        raise _bad_property(str(error), config) from error


def try_properties(kafka: Mapping[str, Any], profile: str) -> None:
    """Makes clients with the document's properties and no broker's address: nothing is connected to.

    Raises:
        Misfit: If a property does not exist, has a wrong value, names a file that cannot be read, or is one
            that a guarantee rests on.
    """
    from confluent_kafka import Consumer, Producer

    opened(Producer, {**client_config(kafka, profile, "producer"), "bootstrap.servers": ""})
    opened(Consumer, {**client_config(kafka, profile, "consumer"), "bootstrap.servers": ""}).close()


def _bad_property(said: str, config: Mapping[str, Any]) -> PointsmanError:
    name = next((name for name in config if f'"{name}"' in said or f"'{name}'" in said), "")
    path = ("kafka", name) if name else ("kafka",)
    hint = "its properties are listed in librdkafka's CONFIGURATION.md"
    return Misfit("E445", f"the Kafka client refuses its properties: {describe(said)}", hint, path)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
