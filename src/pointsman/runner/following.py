"""Follows the topics that tables are made of: read to their end at first, then as records come.

A consumer of its own, in a thread of its own and in no group: its partitions are named to it, and nothing is
committed. It reads committed records only. What it reads is decoded in that thread, and applied while nobody
looks at the rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pointsman.base.clock import Clock
from pointsman.base.errors import EnvironmentFault, PointsmanError
from pointsman.bus.faults import fault, will_not_pass
from pointsman.runner.logs import Say
from pointsman.state.topic_table import Record

__all__ = ["Followed", "Follower"]

_BATCH = 2000
_POLL_SECONDS = 0.2
_PROGRESS_SECONDS = 2.0
_GROWN_SECONDS = 30.0
_REQUEST_SECONDS = 15.0

Place = tuple[str, int]


class Followed(Protocol):
    """A table that is made of a topic's records.

    Attributes:
        rows: The rows by name.
        records: How many records were applied.
        unusable: How many could not be used.
    """

    name: str
    topic: str
    records: int
    unusable: int

    def since(self, now_ms: int) -> int | None:
        """The timestamp from which records matter; None: all do."""

    def prepare(self, records: Sequence[Record]) -> Any:
        """Decodes records of one partition and touches no row."""

    def apply(self, prepared: Any) -> None:
        """Changes the rows; StateError where there are too many."""

    def drop(self, partition: int) -> None:
        """Forgets the rows of a partition."""

    def notes(self) -> list[str]:
        """What people should be told since the last call."""


@dataclass(slots=True)
class _Part:
    """A partition that is read.

    Attributes:
        end: Where it ended when reading began.
        reached: Whether all before that was applied.
    """

    tables: list[Followed]
    end: int
    reached: bool = False


class Follower:
    """Keeps the rows of tables as their topics say: whole topics, or some partitions of them.

    Attributes:
        failure: Why it has ended without being asked; None while it goes on.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        tables: Sequence[Followed],
        quiet: Callable[[], AbstractContextManager[Any]],
        clock: Clock,
        say: Say,
        *,
        whole: bool,
    ) -> None:
        """Args:
        config: Properties of the consumer.
        tables: Those to be kept.
        quiet: Within it nobody looks at the rows.
        whole: Whether all partitions are read, those that are added later too; else those of `own`.
        """
        self.failure: PointsmanError | None = None
        self._config = {**config, "enable.partition.eof": True, "isolation.level": "read_committed"}
        self._tables = tables
        self._whole = whole
        self._quiet = quiet
        self._clock = clock
        self._say = say
        self._changed = threading.Condition()
        self._parts: dict[Place, _Part] = {}
        self._wanted: set[int] = set()
        self._closed = False
        self._begun = False
        self._thread = threading.Thread(target=self._run, name="pointsman-follow", daemon=True)

    # From the worker's thread.

    def start(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Begins; whole topics are read to their end as of now before it returns.

        Args:
            stopping: Asked now and then; once true, it returns early.

        Raises:
            EnvironmentFault: Kafka does not allow it.
            StateError: A table would be too large.
        """
        began = self._clock.monotonic()
        self._thread.start()
        self._wait(lambda: self._begun, stopping)
        if self._whole:
            self._until_reached(stopping, began)

    def own(self, partitions: Collection[int], stopping: Callable[[], bool] = lambda: False) -> None:
        """Reads these partitions and no others; those that are new to their end before it returns."""
        with self._changed:
            new = set(partitions) - self._wanted
            self._wanted = set(partitions)
        if new:
            self._until_reached(stopping, self._clock.monotonic())

    def close(self) -> None:
        """Ends it."""
        with self._changed:
            self._closed = True
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _until_reached(self, stopping: Callable[[], bool], began: float) -> None:
        """Waits until all that is read is applied, saying how far it is."""
        first = sum(table.records for table in self._tables)
        said = [began]

        def done() -> bool:
            now = self._clock.monotonic()
            if now - said[0] >= _PROGRESS_SECONDS:
                said[0] = now
                self._tell("table_reading", first, now - began)
            return not self._unsettled and all(part.reached for part in self._parts.values())

        self._wait(done, stopping)
        self._tell("table_read", first, self._clock.monotonic() - began)

    def _tell(self, name: str, first: int, seconds: float) -> None:
        records = sum(table.records for table in self._tables) - first
        self._say(
            name,
            tables=[table.name for table in self._tables],
            records=records,
            rate=round(records / max(seconds, 1e-3)),
            seconds=round(seconds, 3),
        )

    def _wait(self, done: Callable[[], bool], stopping: Callable[[], bool]) -> None:
        with self._changed:
            while not done() and not stopping() and self.failure is None:
                self._changed.wait(0.1)
        if self.failure is not None:
            raise self.failure

    # In the thread.

    @property
    def _doing(self) -> str:
        """What does not succeed, for whoever sees only that a broker is asked."""
        names = ", ".join(f"'{table.name}'" for table in self._tables)
        return f"cannot read the table{'s' if ',' in names else ''} {names}, made of a topic"

    @property
    def _unsettled(self) -> bool:
        """Whether other partitions are wanted than are read."""
        return not self._whole and self._wanted != {number for _, number in self._parts}

    def _run(self) -> None:
        try:
            consumer: Any = Consumer(self._config)
        except KafkaException as error:
            self._fail(fault(error.args[0], self._config, self._doing))
            return
        try:
            if self._whole:
                self._grow(consumer)
            with self._changed:
                self._begun = True
                self._changed.notify_all()
            looked = self._clock.monotonic()
            while not self._closed:
                if self._unsettled:
                    self._settle(consumer)
                if self._whole and self._clock.monotonic() - looked >= _GROWN_SECONDS:
                    looked = self._clock.monotonic()
                    self._grow(consumer)
                self._turn(consumer)
        except KafkaException as error:
            self._fail(fault(error.args[0], self._config, self._doing))
        except PointsmanError as error:
            self._fail(error)
        except Exception as error:  # a thread that ends in silence would leave rows as they were
            self._fail(EnvironmentFault(f"tables cannot be followed: {type(error).__name__}: {error}"))
        finally:
            consumer.close()

    def _fail(self, error: PointsmanError) -> None:
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def _turn(self, consumer: Any) -> None:
        """Applies what is there; waits a moment where there is nothing."""
        first = consumer.poll(_POLL_SECONDS)
        if first is None:
            return
        runs: dict[Place, list[Record]] = {}
        for message in [first, *consumer.consume(_BATCH - 1, 0)]:
            error = message.error()
            if error is None:
                place = (message.topic(), message.partition())
                runs.setdefault(place, []).append(
                    Record(place[1], message.offset(), message.key(), message.value(), message.timestamp()[1])
                )
            elif error.code() == KafkaError._PARTITION_EOF:
                runs.setdefault((message.topic(), message.partition()), [])
                self._mark(runs, (message.topic(), message.partition()))
            elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
                raise EnvironmentFault(
                    f"the topic {message.topic()} of a table does not exist any more: create it again, or "
                    "correct the document"
                )
            elif will_not_pass(error) or error.fatal():
                raise fault(error, self._config, self._doing, message.topic() or "")
        for place, records in runs.items():
            self._apply(place, records)

    def _mark(self, runs: dict[Place, list[Record]], place: Place) -> None:
        """Applies what came of a partition before its end, and notes that this was reached."""
        self._apply(place, runs.pop(place))
        part = self._parts.get(place)
        if part is not None and not part.reached:
            with self._changed:
                part.reached = True
                self._changed.notify_all()

    def _apply(self, place: Place, records: list[Record]) -> None:
        part = self._parts.get(place)
        if part is None or not records:
            return
        for table in part.tables:
            prepared = table.prepare(records)
            with self._quiet():
                table.apply(prepared)
            for note in table.notes():
                self._say("table_note", table=table.name, problem=note)
        if not part.reached and records[-1].offset + 1 >= part.end:
            with self._changed:
                part.reached = True
                self._changed.notify_all()

    # Which partitions.

    def _grow(self, consumer: Any) -> None:
        """Begins to read those partitions of the topics that are not read yet."""
        new: dict[Place, list[Followed]] = {}
        for table in self._tables:
            for number in self._partitions(consumer, table.topic):
                if (table.topic, number) not in self._parts:
                    new.setdefault((table.topic, number), []).append(table)
        self._begin(consumer, new)

    def _settle(self, consumer: Any) -> None:
        """Begins to read what is wanted, and lets go of what is not any more."""
        with self._changed:
            wanted = set(self._wanted)
        gone = {place: part for place, part in self._parts.items() if place[1] not in wanted}
        if gone:
            consumer.incremental_unassign([TopicPartition(*place) for place in gone])
            with self._quiet():
                for (_, number), part in gone.items():
                    for table in part.tables:
                        table.drop(number)
            with self._changed:
                for place in gone:
                    del self._parts[place]
        new: dict[Place, list[Followed]] = {}
        for table in self._tables:
            for number in wanted:
                if (table.topic, number) not in self._parts:
                    new.setdefault((table.topic, number), []).append(table)
        self._begin(consumer, new)

    def _partitions(self, consumer: Any, topic: str) -> list[int]:
        found = consumer.list_topics(topic, timeout=_REQUEST_SECONDS).topics[topic]
        if found.error is not None and found.error.name() == "UNKNOWN_TOPIC_OR_PART":
            table = next(table.name for table in self._tables if table.topic == topic)
            raise EnvironmentFault(
                f"there is no topic {topic}, which the table '{table}' reads: 'pointsman topics --create' "
                "creates it"
            )
        if found.error is not None:
            raise fault(found.error, self._config, f"cannot read the topic {topic} of a table", topic)
        return sorted(found.partitions)

    def _begin(self, consumer: Any, new: Mapping[Place, list[Followed]]) -> None:
        """Reads these partitions from now on, each from where its tables need it."""
        if not new:
            return
        ends, starts = {}, {}
        now = self._clock.now_ms()
        for place, tables in new.items():
            first, ends[place] = consumer.get_watermark_offsets(
                TopicPartition(*place), timeout=_REQUEST_SECONDS
            )
            since = [table.since(now) for table in tables]
            moments = [moment for moment in since if moment is not None]
            starts[place] = first
            if len(moments) == len(since):
                asked = [TopicPartition(*place, min(moments))]
                offset = consumer.offsets_for_times(asked, timeout=_REQUEST_SECONDS)[0].offset
                starts[place] = ends[place] if offset < 0 else offset
        with self._changed:
            for place, tables in new.items():
                self._parts[place] = _Part(tables, ends[place], starts[place] >= ends[place])
            self._changed.notify_all()
        consumer.incremental_assign([TopicPartition(*place, offset) for place, offset in starts.items()])
