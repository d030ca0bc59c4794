"""One worker: takes batches of its partitions, has them decided and written, commits the finished prefix.

At least once: offsets are committed only below events whose decision or dead letter Kafka has acknowledged.

    assigned    the partition starts at its committed offset
    revoked     what is done is written, acknowledged and committed within a bound; the rest is left
    lost        nothing is published and nothing committed: the next owner has it already
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.errors import EnvironmentFault, PointsmanError
from pointsman.base.records import Batch
from pointsman.bus.faults import fault
from pointsman.engine.hops import Moved
from pointsman.runner.assignment import Assignment, Place, names
from pointsman.runner.flow import Engine, Flow
from pointsman.runner.headers import HeadersFor
from pointsman.runner.intake import Intake
from pointsman.runner.link import Link, Report
from pointsman.runner.messages import batch_of
from pointsman.runner.metrics import Metrics
from pointsman.runner.overload import Overload
from pointsman.runner.stages import Stages
from pointsman.runner.state import StateKeeper
from pointsman.runner.versions import Versions
from pointsman.runner.writer import Writer

__all__ = ["Pace", "Worker"]

_REVOKE_SECONDS = 10.0
_DRAIN_SECONDS = 30.0
_FULL_SECONDS = 0.5
_REPORT_SECONDS = 1.0
_POLL_SECONDS = 0.1
_LAG_SECONDS = 0.1
_ARRIVE_SECONDS = 1.0
_FLUSH_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker goes about it.

    Attributes:
        batch: Most events of a batch; larger ones leave the processor's caches.
        commit: Seconds between commits.
        grace: Seconds that a commit waits for a moment at which everything is acknowledged, before it
            makes one by taking nothing more.
        patience: Seconds that a batch waits for its models before the next one is taken.
        slice: Seconds between two looks for new events while models are late.
        gather: Seconds between two looks for answers while they come one after the other.
        in_flight: Most events under way.
        bytes: Most bytes of events under way.
        until_idle: End after so many seconds at the end of all partitions; None goes on.
    """

    batch: int = 1000
    commit: float = 1.0
    grace: float = 0.0
    patience: float = 0.01
    slice: float = 0.005
    gather: float = 0.0
    in_flight: int = 10_000
    bytes: int = 268_435_456
    until_idle: float | None = None


class Worker:
    """Consumes as one member of the group until it is told to stop."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        topics: Sequence[str],
        config: Mapping[str, Any],
        pace: Pace,
        link: Link,
        metrics: Metrics,
        headers: HeadersFor | None = None,
        clock: Clock | None = None,
        count: Callable[[], None] = lambda: None,
        overload: Overload | None = None,
        versions: Versions | None = None,
        owns: Callable[[Collection[int]], None] = lambda _: None,
        state: StateKeeper | None = None,
        stages: Stages | None = None,
    ) -> None:
        """Args:
        topics: What to consume; all exist.
        config: Properties of the consumer.
        headers: Makes the headers of decision records; None makes none.
        count: Called before each report, for metrics that are counted elsewhere.
        overload: Told how much waits in the log; None: nobody wants to know.
        versions: Which requests may be taken; None: what comes are no requests.
        owns: Told the numbers of the partitions that the worker has, before events of new ones are taken.
        state: What is remembered of the partitions; None: nothing.
        stages: Where events go on by another key; their topics are among `topics`. None: nowhere.
        """
        self._writer = writer
        self._topics = list(topics)
        self._config = config
        self._pace = pace
        self._link = link
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._overload = overload
        self._versions = versions
        self._owns = owns
        self._count = count
        self._state = state
        self._stages = stages
        self._flow = self._make_flow(engine, headers)
        self._partitions = Assignment(metrics, link.say)
        self._intake = Intake(config, topics, self._partitions, link, () if stages is None else stages.topics)
        self._least = max(1, min(pace.batch, pace.in_flight // 8))
        # One batch alone must not be more than a model's share: all of it could be for a model that hangs.
        self._most = max(1, min(pace.batch, pace.in_flight // 2))
        self._aborted = False
        self._closing = False
        self._full_since: float | None = None
        self._busy_at = self._commit_at = self._report_at = self._lag_at = self._clock.monotonic()

    def _make_flow(self, engine: Engine, headers: HeadersFor | None) -> Flow:
        return Flow(
            engine,
            self._writer,
            patience=self._pace.patience,
            most=self._pace.batch,
            share=self._pace.in_flight // 2,
            headers=headers,
            gather=self._pace.gather,
            onward=self._send_on,
        )

    def _keep(self) -> None:
        """Writes what changed of state since the last time, before a commit; it holds from then on."""
        if self._state is not None:
            for changes in self._state.drain():
                self._writer.keep([changes])
                self._state.apply([changes])

    def _send_on(self, batch: Batch, moved: Moved) -> Sequence[int]:
        """Writes events that go on by another key; returns the places of those too large for the topic."""
        return self._writer.send_on(batch, moved)

    def run(self) -> None:
        """Works until stopped, idle or at its quota; then finishes what it took, commits, leaves the group.

        Raises:
            EnvironmentFault: Kafka does not allow it, or does not take what is written.
        """
        try:
            self._intake.join(assigned=self._assigned, revoked=self._revoked, lost=self._lost)
            while not (why := self._over()):
                self._turn()
            self._link.say("draining", why=why)
            self._drain()
        except KafkaException as error:
            self._aborted = True
            raise fault(error.args[0], self._config, "cannot consume") from error
        except BaseException:
            self._aborted = True
            raise
        finally:
            self._close()

    # One turn.

    def _over(self) -> str:
        """Why the worker ends now; empty while it goes on."""
        if self._link.stopping:
            return "asked to"
        if self._intake.exhausted and self._arrived():
            return "enough events"
        if self._versions is not None and self._versions.renewed is not None:
            return "its document was replaced"
        idle, enough = self._idle(), self._pace.until_idle
        return "idle" if enough is not None and idle is not None and idle >= enough else ""

    def _arrived(self) -> bool:
        """Whether of events that go on by another key none is on its way."""
        if self._stages is None:
            return True
        idle = self._idle()
        return idle is not None and idle >= _ARRIVE_SECONDS

    def _turn(self) -> None:
        """Takes what is there, writes what is done, and now and then commits and reports."""
        now = self._clock.monotonic()
        messages = [] if self._full(now) else self._fetch(now)
        self._commit_early(now)
        if self._versions is not None:
            messages = self._admitted(self._versions, messages, now)
        if self._overload is not None and now >= self._lag_at:
            self._overload.see(self._partitions.lag(self._intake.consumer))
            self._lag_at = now + _LAG_SECONDS
        if messages:
            self._take(messages)
        self._flow.step(0.0 if messages else self._pace.slice)
        self._commit_due(now)
        if self._state is not None:
            self._intake.release(self._state.turn(now))
        if now >= self._report_at:
            self._report(now)

    def _full(self, now: float) -> bool:
        """Whether the limits leave no room; where that lasts, consuming pauses until half of them is free."""
        flow = self._flow
        if self._intake.paused:
            self._intake.serve()
            if not self._is_half_free():
                return True
            self._intake.resume()
            self._full_since = None
            self._link.say("resumed", in_flight=flow.events, bytes=flow.bytes)
        if self._has_room():
            self._full_since = None
            return False
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since >= _FULL_SECONDS:
            self._metrics.count("pointsman_pauses_total")
            self._link.say("paused", in_flight=flow.events, bytes=flow.bytes)
            self._intake.pause()
        return True

    def _has_room(self) -> bool:
        """Whether more may be taken: a little room would make little batches, and those are dear."""
        flow, pace = self._flow, self._pace
        return flow.events + self._least <= pace.in_flight and flow.bytes < pace.bytes

    def _is_half_free(self) -> bool:
        """Whether consuming may go on after it was paused."""
        flow, pace = self._flow, self._pace
        return flow.events <= pace.in_flight // 2 and flow.bytes <= pace.bytes // 2

    def _fetch(self, now: float) -> list[Any]:
        """The messages that are there; waits for the first where nothing else is to be done."""
        room = min(self._most, self._pace.in_flight - self._flow.events)
        messages = self._intake.fetch(room, 0.0 if self._flow.events else self._wait(now))
        return self._new(messages) if self._once else messages

    @property
    def _once(self) -> bool:
        """Whether an event that the client hands out twice would do harm."""
        return self._state is not None

    def _new(self, messages: list[Any]) -> list[Any]:
        """Those messages that were not handed out before."""
        new, again = self._partitions.unseen(messages)
        if again:
            self._intake.give_back(again)
            problem = f"{again.total():,} events were handed out again; they are left out"
            self._link.say("broker_trouble", problem=problem)
        return new

    def _wait(self, now: float) -> float:
        """Seconds that the worker may wait for events."""
        return min(_POLL_SECONDS, max(0.0, self._commit_at - now))

    def _admitted(self, versions: Versions, messages: list[Any], now: float) -> list[Any]:
        """Those requests whose policy version is at work; the partitions of the others are paused."""
        owned = self._partitions.owned
        taken = versions.admit(messages, owned)
        if len(taken) < len(messages):
            self._intake.consumer.pause([TopicPartition(*place) for place in versions.held])
            if self._link.quota is not None:
                self._link.quota.give_back(len(messages) - len(taken))
        rest_done = not self._flow.events and self._partitions.at_end(versions.held)
        versions.look(now, owned, rest_done=rest_done)
        return taken

    def _take(self, messages: list[Any]) -> None:
        """Decides the messages, those of each stage as one batch."""
        if self._stages is None:
            self._take_batch(messages)
            return
        for part in self._stages.split(messages):
            self._take_batch(part, new=self._stages.begins(part[0].topic()))

    def _take_batch(self, messages: list[Any], *, new: bool = True) -> None:
        """Decides the messages as one batch.

        Args:
            new: Whether they come from the source.
        """
        now_ms = self._clock.now_ms()
        batch = batch_of(messages, self._topics, now_ms)
        batch.polled = self._clock.monotonic()
        size = sum(map(len, filter(None, batch.values)))
        if new:
            self._metrics.count("pointsman_event_bytes_total", size)
        if new and batch.timestamps[-1] >= 0:
            self._metrics.set("pointsman_delay_seconds", max(0, now_ms - batch.timestamps[-1]) / 1000)
        self._flow.take(batch, size, self._partitions.owned)
        self._busy_at = self._clock.monotonic()

    # Acknowledge and commit.

    def _commit_early(self, now: float) -> None:
        """Commits where it is time and everything happens to be acknowledged."""
        if now >= self._commit_at:
            self._keep()
            if self._writer.flush(0.0):
                self._commit()  # what was just fetched is not in it

    def _commit_due(self, now: float) -> None:
        """Commits where it cannot be put off."""
        if now >= self._commit_at + self._pace.grace or self._writer.bytes > _FLUSH_BYTES:
            self._keep()
            self._deliver()
            self._commit()

    def _commit(self) -> None:
        """Commits the finished prefix of each partition; all of it is acknowledged."""
        offsets = self._partitions.prefixes()
        if offsets:
            self._intake.consumer.commit(offsets=offsets, asynchronous=True)
        if self._state is not None:
            self._state.checkpoint()
        self._commit_at = self._clock.monotonic() + self._pace.commit

    def _deliver(self, seconds: float | None = None) -> None:
        """Waits until everything written is acknowledged; the group is served meanwhile, nothing is taken.

        Raises:
            EnvironmentFault: That takes longer than `seconds`, or something cannot be delivered.
        """
        if self._writer.flush(1.0):
            return
        self._link.say("delivery_waits", records=len(self._writer))
        end = None if seconds is None else self._clock.monotonic() + seconds
        paused = self._intake.paused
        self._intake.pause()
        while not self._writer.flush(0.5):
            if end is not None and self._clock.monotonic() >= end:
                raise EnvironmentFault(
                    f"{len(self._writer):,} records were not acknowledged within {seconds:.0f} s: is the "
                    "broker up? Nothing is lost: their events will be decided again"
                )
            self._intake.serve()
            self._report(self._clock.monotonic())
        if not paused:
            self._intake.resume()

    # The life of a partition; called by the client inside poll, consume and close.

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._stages is not None:
            self._stages.place(consumer, partitions)
        if self._state is not None:
            self._intake.withhold(self._state.take_on(partitions))
        self._intake.take_on(partitions)
        self._partitions.add(partitions)
        self._tell_owned()
        self._busy_at = self._clock.monotonic()
        if partitions:
            self._link.say("partitions_assigned", partitions=names(partitions))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not self._aborted:
            self._flow.step(0.0)
            self._keep()
            if self._writer.flush(_REVOKE_SECONDS):
                self._partitions.commit_now(consumer, partitions)
                self._checkpoint()
            else:
                self._link.say("delivery_waits", records=len(self._writer))
        left = self._give_up(partitions)
        if partitions and (left or not self._closing):
            self._link.say("partitions_revoked", partitions=names(partitions), discarded=left)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._writer.purge()
        left = self._give_up(partitions)
        self._partitions.joined = False
        self._link.say("partitions_lost", partitions=names(partitions), discarded=left)

    def _checkpoint(self) -> None:
        """All that was written is committed, and partitions go: they may come back to what is on disk."""
        if self._state is not None and not self._closing:
            self._state.checkpoint(last=True)

    def _give_up(self, partitions: list[TopicPartition]) -> int:
        """Forgets partitions with what waits of them; returns how many events are left to the next owner."""
        left = self._partitions.remove(partitions, self._flow.drop)
        self._tell_owned()
        self._intake.given_up(left)
        if self._state is not None:
            self._intake.release(partitions, resume=False)
            self._state.give_up(partitions)
        self._busy_at = self._clock.monotonic()
        return left.total()

    def _tell_owned(self) -> None:
        self._owns({number for _, number in self._partitions.owned})

    # The end.

    def _drain(self) -> None:
        """Finishes what was taken, has it acknowledged, and commits."""
        end = self._clock.monotonic() + _DRAIN_SECONDS
        self._intake.pause()
        while self._flow.events and self._clock.monotonic() < end:
            self._flow.step(0.05)
            self._intake.serve()
        self._keep()
        self._deliver(_DRAIN_SECONDS)
        while not self._partitions.commit_now(self._intake.consumer):
            if self._clock.monotonic() >= end:
                raise EnvironmentFault(
                    "the last offsets could not be committed: some events will be decided again"
                )
            self._flow.step(0.05)
            self._intake.serve()
        if self._state is not None:
            self._state.checkpoint(last=True)

    def _close(self) -> None:
        """Leaves the group."""
        self._closing = True
        try:
            self._intake.close()
        except (KafkaException, RuntimeError, PointsmanError):
            if not self._aborted:
                raise
        finally:
            self._writer.close()
            if self._state is not None:
                self._state.close()
            self._metrics.clear("pointsman_lag_events")
            self._count()
            self._link.report(Report(self._metrics.snapshot(), self._partitions.joined))

    # How it is.

    def _idle(self) -> float | None:
        """Seconds since the last event where nothing is left to do; None while something is."""
        if (
            self._flow.events
            or self._intake.holds
            or self._held()
            or not self._partitions.at_end(self._spent())
        ):
            return None
        if self._stages is not None and self._sending():
            self._busy_at = self._clock.monotonic()  # what is sent on comes back, here or to another worker
            return None
        return self._clock.monotonic() - self._busy_at

    def _spent(self) -> list[Place]:
        """The partitions of which nothing more is wanted: the source's, once it has given enough events."""
        if self._stages is None or not self._intake.exhausted:
            return []
        return [place for place in self._partitions.owned if self._stages.begins(place[0])]

    def _sending(self) -> bool:
        """Whether something was written that nobody can see yet."""
        return len(self._writer) > 0

    def _held(self) -> bool:
        """Whether requests wait for a policy version."""
        return self._versions is not None and bool(self._versions.held)

    def _report(self, now: float) -> None:
        self._report_at = now + _REPORT_SECONDS
        owned = len(self._partitions.owned)
        self._metrics.set("pointsman_in_flight_events", self._flow.events)
        self._metrics.set("pointsman_in_flight_bytes", self._flow.bytes)
        self._metrics.set("pointsman_partitions", owned)
        self._partitions.count_lag(self._intake.consumer)
        if self._state is not None:
            self._state.count()
        self._count()
        ready = self._partitions.joined and not self._held()
        if self._state is not None and self._state.restoring:
            ready = False
        self._link.report(Report(self._metrics.snapshot(), ready, owned, self._idle()))
