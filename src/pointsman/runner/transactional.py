"""A writer whose records, with the offsets they stand for, become visible together or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from pointsman.base.errors import EnvironmentFault
from pointsman.runner.writer import Writer

__all__ = ["FENCED", "TransactionalWriter", "timeout_of"]

FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)
"""What a producer hears once another one has its transactional id, or its transaction has timed out."""

_BROKEN: Final = FENCED | {KafkaError._STATE, KafkaError._FATAL, KafkaError._PURGE_QUEUE}
"""Why a record is not taken where the transaction cannot be committed any more."""

_PASSING: Final = FENCED | {
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._STATE,
    KafkaError._FATAL,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.INVALID_TXN_STATE,
    KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
}
"""Why a record was not delivered that the next transaction may deliver."""

_AGAIN_SECONDS = 0.1
_OLD_SECONDS = 1.0
_TIMEOUT_MS = 15_000


def timeout_of(kafka: Mapping[str, Any]) -> dict[str, Any]:
    """How long a transaction may stay open: the document's word, else 15 s; and a record's time within it."""
    most = int(kafka.get("transaction.timeout.ms", _TIMEOUT_MS))
    found = {"transaction.timeout.ms": most}
    if "message.timeout.ms" in kafka:
        found["message.timeout.ms"] = min(most, int(kafka["message.timeout.ms"]))
    return found


class TransactionalWriter(Writer):
    """The producer of a worker in `delivery: exactly_once`.

    `open`, `commit`, `abort` and `renew` block and may run in a thread beside the others, which are not
    called while they run.

    Attributes:
        broken: Whether the transaction can only be aborted.
    """

    def __init__(self, *given: Any) -> None:
        """Args: as those of a `Writer`; the properties name the transactional id."""
        super().__init__(*given)
        self.broken = False
        self._closed = threading.Event()

    @property
    def timeout(self) -> float:
        """Seconds after which the broker aborts an open transaction."""
        return int(self._config["transaction.timeout.ms"]) / 1000

    @property
    def name(self) -> str:
        """The transactional id."""
        return str(self._config["transactional.id"])

    def open(self) -> None:
        """Shuts out whoever had the transactional id before, and ends their transaction.

        Raises:
            KafkaException: The cluster does not allow it.
        """
        self._again(lambda: self._producer.init_transactions(_TIMEOUT_MS / 1000))

    def begin(self) -> None:
        """Begins a transaction."""
        self._producer.begin_transaction()

    def flush(self, seconds: float) -> bool:
        """Waits until all is acknowledged or given up; returns False where that takes longer."""
        try:
            return self._producer.flush(seconds) == 0
        except (KafkaException, SystemError):
            # What is fatal to the client is raised from among its callbacks; the next call tells what.
            return not len(self._producer)

    def commit(self, offsets: Sequence[TopicPartition], group: Any) -> None:
        """Has everything acknowledged, and commits it together with `offsets`.

        All is in the log before the offsets are sent: a new owner of a partition may wait for the transaction
        from then on, and must know how much there is to wait for.

        Args:
            group: The consumer group's metadata; a member that the group has gone on without is refused.

        Raises:
            KafkaException: It is not committed, or nobody knows; `recover` comes next.
        """
        while not self.flush(1.0) and not self._closed.is_set():
            pass
        self._again(lambda: self._producer.send_offsets_to_transaction(list(offsets), group))
        self._again(self._producer.commit_transaction)
        self.bytes = 0

    def recover(self, error: KafkaError | None, pause: float) -> None:
        """Aborts the transaction after `error`, or, where that is past it, begins anew with another client.

        Args:
            error: None: the producer took no more of the transaction.
            pause: Seconds to wait first.

        Raises:
            KafkaException: The cluster does not allow it.
        """
        self._closed.wait(pause)
        if error is None or (not error.fatal() and error.code() not in FENCED):
            with suppress(KafkaException):  # past it
                self.abort()
                return
        self.renew()

    def abort(self) -> None:
        """Aborts the transaction."""
        self._again(self._producer.abort_transaction)
        self.bytes, self.broken = 0, False

    def renew(self) -> None:
        """A new client with the same transactional id; what the old one had under way is aborted.

        Raises:
            KafkaException: The cluster does not allow it.
        """
        with suppress(KafkaException, SystemError):
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        self._producer = Producer({**self._config, "on_delivery": self._reported})
        self.open()
        self.bytes, self.broken = 0, False

    def undelivered(self) -> EnvironmentFault | None:
        """Why a record was not delivered, where trying again cannot help; asked once a transaction failed."""
        failure, self._failure = self._failure, None
        if failure is None or failure[0].code() in _PASSING or failure[0].txn_requires_abort():
            return None
        return self._fault(*failure)

    def purge(self) -> None:
        """Forgets what was not sent yet; aborting the transaction comes next.

        It waits for nothing, so that the client calls nobody back: what is fatal to it, as after a
        transaction has timed out, would be raised here, amid a rebalance. The next commit tells it.
        """
        with suppress(KafkaException, SystemError):
            self._producer.purge(in_queue=True, in_flight=False, blocking=False)

    def end(self) -> None:
        """Has whatever blocks in another thread give up; `close` comes next."""
        self._closed.set()

    def close(self) -> None:
        """Aborts what is not committed, and goes."""
        with suppress(KafkaException, SystemError):  # none is open, or the cluster is away: it times out
            self._producer.abort_transaction(_OLD_SECONDS)
        with suppress(SystemError):  # as above
            super().close()

    def _again(self, call: Callable[[], Any]) -> None:
        """Calls until it is done or trying again cannot help."""
        while True:
            try:
                call()
                return
            except SystemError:  # as in `flush`
                if self._closed.wait(_AGAIN_SECONDS):
                    raise
            except KafkaException as error:
                if not error.args[0].retriable() or self._closed.wait(_AGAIN_SECONDS):
                    raise

    def _check(self) -> None:
        """What was not delivered aborts the transaction, which tells."""

    def _fault(self, error: KafkaError, topic: str) -> EnvironmentFault:
        if error.code() in _BROKEN or error.txn_requires_abort():
            self.broken = True
        return super()._fault(error, topic)
