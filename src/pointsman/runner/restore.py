"""State read back from the changelogs when partitions come to a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from pointsman.bus.client import connect
from pointsman.bus.faults import fault
from pointsman.bus.read import Place, read_committed
from pointsman.runner.metrics import Metrics
from pointsman.state.base import Backing, is_change

__all__ = ["Restore", "identities", "limits"]

_ASK_SECONDS = 15.0


class Restore:
    """Fills the backings of some partitions from the end of what they hold to the end of the changelogs.

    Works in a thread of its own; the backings are nobody else's until `done`.

    Attributes:
        numbers: The partitions.
        records: How many records were read.
        foreign: How many of them are not of this program, and were left out.
        total: How many there are to read, offsets of markers included; 0 until it is known.
        began: When it began, on the monotonic clock.
        error: What stopped it.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        numbers: Sequence[int],
        opening: Mapping[Place, Callable[[], Backing]],
        metrics: Metrics,
    ) -> None:
        """Args:
        opening: Opens the backing of each changelog's partition.
        """
        self.numbers = tuple(numbers)
        self.backings: dict[Place, Backing] = {}
        self.records = self.foreign = 0
        self.total = 0
        self.began = time.monotonic()
        self.error: BaseException | None = None
        self._kafka = kafka
        self._opening = opening
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pointsman-restore", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended, with all or with an error."""
        return not self._thread.is_alive()

    @property
    def rate(self) -> float:
        """Records a second so far."""
        return self.records / max(time.monotonic() - self.began, 1e-3)

    def cancel(self) -> None:
        """The partitions went away: lets go of what was read, as soon as may be."""
        self._stop.set()
        if self.done:
            self._close()

    def _run(self) -> None:
        try:
            self._fill()
        except BaseException as error:  # raised by whoever looks
            self.error = error
        finally:
            if self._stop.is_set():
                self._close()

    def _close(self) -> None:
        for backing in self.backings.values():
            backing.close()

    def _fill(self) -> None:
        for place, make in self._opening.items():
            self.backings[place] = make()
        copies = {place: backing for place, backing in self.backings.items() if hasattr(backing, "follow")}
        ids = identities(self._kafka, {topic for topic, _ in copies}) if copies else {}
        for (topic, _), backing in copies.items():
            backing.follow(ids[topic])
        firsts, ends = limits(self._kafka, self._opening)
        begins = {place: self._begin(place, firsts[place], ends[place]) for place in ends}
        self.total = sum(max(0, ends[place] - begins[place]) for place in ends)
        for found in read_committed(self._kafka, begins, ends, self._stop.is_set):
            for place, messages in found.items():
                changes = [(key, m.value()) for m in messages if is_change(key := m.key())]
                self.backings[place].load(changes)
                self.records += len(messages)
                self.foreign += len(messages) - len(changes)
                self._metrics.count("pointsman_restored_records_total", len(messages))
        for place, end in ends.items():
            mark = getattr(self.backings[place], "mark", None)
            if mark is not None and not self._stop.is_set():
                mark(end)

    def _begin(self, place: Place, first: int, end: int) -> int:
        """Where reading begins: behind what the backing holds, if the changelog still is the one it knew."""
        backing: Any = self.backings[place]
        known: int | None = getattr(backing, "offset", None)
        if known is None:
            return first
        if first <= known <= end:
            return known
        backing.reset()
        return first


def identities(kafka: Mapping[str, Any], topics: Collection[str]) -> dict[str, str]:
    """The id of each topic; one that was deleted and made anew has another.

    Raises:
        EnvironmentFault: The broker does not tell.
    """
    from confluent_kafka import KafkaException, TopicCollection

    admin = connect(kafka)  # whose answers do not come once it is let go of
    asked = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_ASK_SECONDS)
    try:
        return {topic: str(future.result().topic_id) for topic, future in asked.items()}
    except KafkaException as error:
        raise fault(error.args[0], kafka, "cannot find the topics of the state") from error


def limits(
    kafka: Mapping[str, Any], places: Sequence[Place] | Mapping[Place, Any], *, stable: bool = False
) -> tuple[dict[Place, int], dict[Place, int]]:
    """Where partitions begin and end.

    Args:
        stable: Ends before the first record of an open transaction, and not behind the last record.

    Raises:
        EnvironmentFault: The broker does not tell.
    """
    from confluent_kafka import IsolationLevel, KafkaException
    from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

    admin = connect(kafka)
    level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
    found = []
    try:
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call]  # theirs
            request = {TopicPartition(*place): spec for place in places}
            reply = admin.list_offsets(request, isolation_level=level, request_timeout=_ASK_SECONDS)
            found.append({(p.topic, p.partition): future.result().offset for p, future in reply.items()})
    except KafkaException as error:
        raise fault(error.args[0], kafka, "cannot find where state ends") from error
    return found[0], found[1]
