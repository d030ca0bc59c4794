"""Effects and offsets in transactions, one after the other, committed beside the deciding.

    idle ── publish ──► open ── the interval is over ──► committing ──► idle, and what waited is published
                          └───────── something fails ────────┴──► aborted: the worker goes back

While a transaction is committed its producer takes no records: effects that come meanwhile wait for the next.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaException, TopicPartition

from pointsman.base.clock import Clock
from pointsman.base.errors import EnvironmentFault
from pointsman.bus.faults import describe, fault, will_not_pass
from pointsman.runner.changes import Changes
from pointsman.runner.hand import Hand
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.runner.slices import Effects
from pointsman.runner.transactional import FENCED, TransactionalWriter

__all__ = ["Membership", "State", "Transactions"]

Membership = Callable[[], Any]
"""The consumer group's metadata as of now; None while the worker is no member."""

_TWIN_SECONDS = 60.0
_MOST_ABORTS = 20
_BACK_OFF_SECONDS = 0.05
_LONGEST_BACK_OFF = 2.0


class State(Protocol):
    """Whom committed changes of state are told."""

    def apply(self, changes: Changes) -> None:
        """Changes were committed."""

    def measure(self) -> None:
        """Called in a thread before a commit, when all that was committed is applied."""

    def marked(self) -> None:
        """Called once that commit is applied, too."""


@dataclass(slots=True)
class _Requests:
    """Requests of a router that belong to the batch decided last."""

    model: str
    keys: Sequence[Key]
    values: Sequence[bytes]
    partitions: Sequence[int]
    headers: Sequence[Any] | None


@dataclass(slots=True)
class _Unit:
    effects: Effects
    requests: Sequence[_Requests]


class Transactions:
    """The transactions of one worker.

    Attributes:
        events: Events whose effects wait until the transaction under way is committed.
        bytes: Bytes of those effects.
        failed: Whether a transaction was aborted and the worker has to go back; see `resolve`.
    """

    def __init__(
        self,
        writer: TransactionalWriter,
        state: State | None,
        say: Say,
        metrics: Metrics,
        clock: Clock,
        kafka: Mapping[str, Any],
        *,
        interval: float,
    ) -> None:
        """Args:
        interval: Seconds between two commits.
        """
        self._writer = writer
        self._state = state
        self._say = say
        self._metrics = metrics
        self._clock = clock
        self._kafka = kafka
        self._interval = interval
        self._hand = Hand("pointsman-commit")
        self._asked: list[_Requests] = []
        self._units: list[_Unit] = []
        self._waiting: deque[_Unit] = deque()
        self._begun_at = 0.0
        self._opened = self._is_open = False
        self._fenced_at: list[float] = []
        self._aborts = 0
        self.events = 0
        self.bytes = 0
        self.failed = False
        self._hand.do(writer.open)

    @property
    def idle(self) -> bool:
        """Whether all that was published is committed."""
        return not (self._units or self._waiting or self._busy or self.failed)

    @property
    def _busy(self) -> bool:
        return self._hand.busy

    @property
    def due_at(self) -> float | None:
        """When there is something to do; None: nothing is under way."""
        if self._busy:
            return self._clock.monotonic() + _BACK_OFF_SECONDS / 10
        return self._begun_at + self._interval if self._is_open else None

    # What is published.

    def publish(self, effects: Effects) -> None:
        """Puts effects into the open transaction, or keeps them for the next one."""
        unit = _Unit(effects, self._asked)
        self._asked = []
        if self._busy or self._waiting or self.failed:
            self._waiting.append(unit)
            self.events += effects.events
            self.bytes += effects.size
        else:
            self._write(unit)

    def too_large(self, model: str, keys: Sequence[Key], values: Sequence[bytes]) -> list[int]:
        """The places of requests that are larger than their topic takes."""
        return self._writer.too_large(model, keys, values)

    def ask(
        self,
        model: str,
        keys: Sequence[Key],
        values: Sequence[bytes],
        partitions: Sequence[int],
        headers: Sequence[Any] | None,
    ) -> Sequence[int]:
        """Takes requests of the batch that is published next; returns the places of those too large."""
        self._asked.append(_Requests(model, keys, values, partitions, headers))
        return self._writer.too_large(model, keys, values)

    def wait(self, seconds: float) -> None:
        """Returns once what waits may go on, or after `seconds`."""
        if self._busy:
            self._hand.done(seconds)

    def _write(self, unit: _Unit) -> None:
        writer, effects = self._writer, unit.effects
        self._units.append(unit)
        try:
            if not self._is_open:
                writer.begin()
                self._is_open, self._begun_at = True, self._clock.monotonic()
            writer.keep(effects.changes)
            for asked in unit.requests:
                writer.ask(asked.model, asked.keys, asked.values, asked.partitions, asked.headers)
            letters = effects.letters
            onward = effects.onward
            if onward is not None and onward.moved is not None:
                refused = writer.send_on(onward.batch, onward.moved)
                letters = [*letters, *map(onward.unmovable, refused)]
            if effects.values:
                refused = writer.write(effects.keys, effects.values, effects.headers)
                if refused:
                    letters = [*letters, *map(effects.unwritable, refused)]
            if letters:
                writer.bury(letters)
        except KafkaException as error:
            self._fail(error)
        except EnvironmentFault as error:
            if not writer.broken:
                raise
            self._fail(error)

    # Committing.

    def turn(self, now: float, membership: Membership) -> None:
        """Takes over what the commit under way has come to, and begins the next one where it is due.

        Raises:
            EnvironmentFault: It cannot go on.
        """
        self._look()
        due = self._is_open and (now >= self._begun_at + self._interval or self._writer.bytes > _FLUSH_BYTES)
        if due and not self._busy and not self.failed:
            self._begin_commit(membership)

    def finish(self, seconds: float, membership: Membership, serve: Callable[[], None] | None = None) -> bool:
        """Commits all that was published; returns whether it is, after `seconds` at the latest.

        Args:
            serve: Called now and then while it waits.
        """
        end = self._clock.monotonic() + seconds
        while True:
            self._look()
            if self.idle or self.failed:
                return not self.failed
            left = end - self._clock.monotonic()
            if left <= 0:
                return False
            if not self._busy and not self._begin_commit(membership):
                return False
            self._hand.done(min(left, 0.1))
            if serve is not None:
                serve()

    def abort(self) -> None:
        """Aborts what is open and forgets what waits, as partitions of it went to another worker."""
        if self._is_open and not self._busy:
            self._hand.do(self._writer.abort)
            self._is_open = False
        self.failed = bool(self._busy or self._units or self._waiting)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way any more; after a failure the worker may then go back."""
        self._look()
        return not self._busy

    def sent(self) -> dict[tuple[str, int], int]:
        """The offsets of the transaction that failed, of partitions that are still the worker's."""
        return _ends(self._units)

    def resolve(self, *, committed: bool) -> Counter[str]:
        """The worker has gone back; returns how many events of each topic will be decided again.

        Args:
            committed: Whether the transaction that seemed to fail was committed after all.
        """
        self.failed = False
        if committed:
            self._committed()
        else:
            self._metrics.count("pointsman_transactions_total", 1, "aborted")
        again: Counter[str] = Counter()
        for unit in (*self._units, *self._waiting):
            again[unit.effects.ends[0][0].topic] += unit.effects.events
        self._units.clear()
        self._waiting.clear()
        self._asked.clear()
        self.events = self.bytes = 0
        return again

    def close(self) -> None:
        """Aborts what is open, and goes."""
        self._writer.end()
        self._hand.close(_CLOSE_SECONDS)
        self._writer.close()

    def _begin_commit(self, membership: Membership) -> bool:
        group = membership()
        if group is None or not self._is_open:  # the group is being joined; nothing is ours just now
            return False
        offsets = [TopicPartition(topic, number, end) for (topic, number), end in _ends(self._units).items()]
        if not offsets:  # all of it went to other workers
            self.abort()
            return True
        self._hand.do(lambda: self._commit(offsets, group))
        self._is_open = False
        return True

    def _commit(self, offsets: Sequence[TopicPartition], group: Any) -> None:
        """In a thread of its own."""
        if self._state is not None:
            self._state.measure()
        self._writer.commit(offsets, group)

    def _look(self) -> None:
        """Takes over what the job under way has come to."""
        if not self._busy or not self._hand.done():
            return
        error = self._hand.result()
        if error is not None:
            self._fail(error)
        elif not self._opened:
            self._opened = True
            self._go_on()
        elif self.failed:
            self._raise_undelivered()
        else:
            self._committed()
            self._go_on()

    def _committed(self) -> None:
        """The transaction under way is in the log."""
        now = self._clock.monotonic()
        self._metrics.count("pointsman_transactions_total", 1, "committed")
        self._metrics.count("pointsman_commits_total")
        self._metrics.observe("pointsman_transaction_seconds", now - self._begun_at)
        self._aborts = 0
        for unit in self._units:
            mine = {p.number for p, _ in unit.effects.ends if p.owned}
            for partition, end in unit.effects.ends:
                partition.committed = end
            if self._state is not None and unit.effects.changes:
                self._state.apply([change for change in unit.effects.changes if change[0] in mine])
        if self._state is not None:
            self._state.marked()
        self._units.clear()

    def _go_on(self) -> None:
        """Publishes what waited."""
        waiting, self._waiting = self._waiting, deque()
        self.events = self.bytes = 0
        while waiting and not self.failed:
            self._write(waiting.popleft())
        if waiting:
            self._waiting = waiting

    def _fail(self, error: BaseException) -> None:
        """A job, or a record of the open transaction, failed.

        Raises:
            EnvironmentFault: Trying again cannot help.
        """
        if not isinstance(error, (KafkaException, EnvironmentFault)):
            raise error
        # An EnvironmentFault: the producer takes no more of this transaction; aborting it tells why.
        said = error.args[0] if isinstance(error, KafkaException) else None
        name, now = self._writer.name, self._clock.monotonic()
        self._raise_undelivered()
        if said is not None:
            if not self._opened or will_not_pass(said):
                raise fault(said, self._kafka, f"cannot begin transactions as {name}", name) from error
            self._say("transaction_failed", problem=describe(said.str()), transactional_id=name)
            if said.code() in FENCED and now - self._begun_at < self._writer.timeout:
                self._fenced(name, now)
        self._aborts += 1
        if self._aborts > _MOST_ABORTS:
            problem = str(error) if said is None else describe(said.str())
            raise EnvironmentFault(f"{_MOST_ABORTS} transactions of {name} failed in a row: {problem}")
        self.failed, self._is_open = True, False
        pause = min(_BACK_OFF_SECONDS * 2 ** (self._aborts - 1), _LONGEST_BACK_OFF)
        writer = self._writer
        self._hand.do(lambda: writer.recover(said, pause))

    def _fenced(self, name: str, now: float) -> None:
        """Another producer has this one's name; the second time within a minute it is no accident."""
        self._fenced_at = [at for at in self._fenced_at if now - at < _TWIN_SECONDS] + [now]
        if len(self._fenced_at) > 1:
            raise EnvironmentFault(
                f"another run has the transactional id {name} and ends this one's transactions: give each "
                "run on this machine a name of its own with --instance. Nothing is lost"
            )

    def _raise_undelivered(self) -> None:
        undelivered = self._writer.undelivered()
        if undelivered is not None:
            raise undelivered


_FLUSH_BYTES = 64 * 1024 * 1024
_CLOSE_SECONDS = 5.0


def _ends(units: Iterable[_Unit]) -> dict[tuple[str, int], int]:
    """The offset behind what is finished of each partition that is still the worker's."""
    return {
        (partition.topic, partition.number): end
        for unit in units
        for partition, end in unit.effects.ends
        if partition.owned
    }
