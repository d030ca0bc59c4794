"""A worker whose decisions, changes of state and offsets are committed in one transaction each time.

revoked     what is done is published and committed within a bound; the rest is left to the next owner
lost        what is not committed is aborted
aborted     the worker goes back: uncommitted changes of state are dropped, and consuming goes on at the
            committed offsets
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pointsman.base.errors import EnvironmentFault
from pointsman.runner.assignment import Place, names
from pointsman.runner.flow import Engine, Flow
from pointsman.runner.headers import HeadersFor
from pointsman.runner.loop import Worker
from pointsman.runner.shares import Shares
from pointsman.runner.slices import Slices
from pointsman.runner.transactional import TransactionalWriter
from pointsman.runner.transactions import Transactions

__all__ = ["COMMIT_SECONDS", "ExactlyOnce"]

COMMIT_SECONDS = 0.1
_REVOKE_SECONDS = 10.0
_DRAIN_SECONDS = 30.0
_ASK_SECONDS = 5.0
_POLL_SECONDS = 0.1


class ExactlyOnce(Worker):
    """Consumes as one member of the group; see `Worker`.

    Attributes:
        transactions: Where effects go; a router's requests, too.
    """

    transactions: Transactions
    _flow: Slices
    _writer: TransactionalWriter

    def _make_flow(self, engine: Engine, headers: HeadersFor | None) -> Flow:
        self.transactions = Transactions(
            self._writer,
            self._state,
            self._link.say,
            self._metrics,
            self._clock,
            self._config,
            interval=COMMIT_SECONDS,
        )
        self._begun: dict[Place, int] = {}
        pace = self._pace
        sources = [t for t in self._topics if self._stages is None or self._stages.begins(t)]
        flow = Slices(
            engine,
            self.transactions,
            patience=pace.patience,
            most=pace.batch,
            share=pace.in_flight // 2,
            headers=headers,
            together=sources if self._state is not None and len(sources) > 1 else (),
        )
        self._shares = Shares(pace.in_flight, pace.bytes, flow.lane)
        return flow

    def _begin(self, messages: list[Any]) -> None:
        """Remembers where partitions begin of which the client has handed messages out."""
        for message in messages if len(self._begun) < len(self._partitions.owned) else ():
            self._begun.setdefault((message.topic(), message.partition()), message.offset())

    # Committing.

    def _membership(self) -> Any:
        """The group's metadata for a commit; None while this worker is no member.

        A worker that was shut out has no member id, and what it sent then would not be checked: so it is
        looked at after the metadata was taken.
        """
        group = self._intake.consumer.consumer_group_metadata()
        return group if self._intake.consumer.memberid() else None

    def _commit_early(self, now: float) -> None:
        """There is nothing to gain: a transaction is committed as a whole."""

    def _commit_due(self, now: float) -> None:
        self.transactions.turn(now, self._membership)
        if self.transactions.failed:
            self._go_back()

    def _wait(self, now: float) -> float:
        due = self.transactions.due_at
        return _POLL_SECONDS if due is None else min(_POLL_SECONDS, max(0.0, due - now))

    def _full(self, now: float) -> bool:
        if not self.transactions.failed:
            self._look()
            return super()._full(now)
        if not self._intake.paused:
            self._intake.pause()
        self._intake.serve()
        self.transactions.wait(_POLL_SECONDS)
        return True

    def _look(self) -> None:
        """Finds the partitions that have their share of what may be under way."""
        flow, shares, owned = self._flow, self._shares, self._partitions.owned
        had = bool(shares.full)
        shares.look(owned.values(), flow.events, flow.bytes)
        if had:
            self._intake.let_go(lambda place: flow.lane(owned[place]) in shares.full)

    def _has_room(self) -> bool:
        if not self._shares.full:
            return super()._has_room()
        return self._shares.room and self._flow.events < self._pace.in_flight

    def _is_half_free(self) -> bool:
        return super()._is_half_free() or (bool(self._shares.full) and self._has_room())

    def _fetch(self, now: float) -> list[Any]:
        messages = super()._fetch(now)
        self._begin(messages)
        if not self.transactions.failed:
            taken, left = self._shares.admit(messages, self._partitions.owned)
            if left:
                self._intake.keep_back(left)
            return taken
        # A rebalance failed meanwhile; they will be fetched again.
        self._intake.give_back(Counter(m.topic() for m in messages))
        return []

    @property
    def _once(self) -> bool:
        return True

    def _sending(self) -> bool:
        return not self.transactions.idle

    # Going back.

    def _go_back(self) -> None:
        """Consumes again from where the last transaction that was committed ends, once that is known."""
        if not self.transactions.settled:
            return
        self._begin(self._intake.stash)
        owned = self._partitions.owned
        try:
            places = [TopicPartition(*place) for place in owned]
            asked = self._intake.consumer.committed(places, timeout=_ASK_SECONDS) if places else []
            if any(place.error is not None for place in asked):
                return
            if self._state is not None and not self._state.settled():
                return
            found = {(place.topic, place.partition): place.offset for place in asked}
            sent = self.transactions.sent()
            # The answer to a commit may be what was lost.
            happened = bool(sent) and all(found.get(place) == end for place, end in sent.items())
            self._seek({place: offset for place, offset in found.items() if place in self._begun})
        except KafkaException as error:
            self._link.say("broker_trouble", problem=error.args[0].str())
            return
        again = self.transactions.resolve(committed=happened)
        for partition in list(owned.values()):
            again[partition.topic] += partition.waiting
            self._flow.drop(partition)
        self._partitions.renew(found)
        if self._state is not None:
            self._state.discard()
        self._metrics.count("pointsman_discarded_total", again.total())
        self._link.say("went_back", partitions=names(places), discarded=again.total())
        self._intake.forget()
        self._intake.give_back(again)
        self._intake.resume()

    def _seek(self, committed: dict[Place, int]) -> None:
        """Goes back to the committed offsets; where there is none, to the first event that was taken."""
        for place, offset in committed.items():
            self._intake.consumer.seek(TopicPartition(*place, offset if offset >= 0 else self._begun[place]))

    # The life of a partition.

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        if not self._aborted and partitions:
            self._flow.step(0.0)
            if self.transactions.finish(_REVOKE_SECONDS, self._membership):
                self._checkpoint()
            elif not self.transactions.failed:
                self._link.say("delivery_waits", records=len(self._writer))
        left = self._give_up(partitions)
        if partitions and (left or not self._closing):
            self._link.say("partitions_revoked", partitions=names(partitions), discarded=left)

    def _give_up(self, partitions: list[TopicPartition]) -> int:
        left = super()._give_up(partitions)
        for place in partitions:
            self._begun.pop((place.topic, place.partition), None)
        if not self.transactions.idle:
            self.transactions.abort()
        return left

    # The end.

    def _drain(self) -> None:
        """Finishes what was taken and commits it."""
        end = self._clock.monotonic() + _DRAIN_SECONDS
        self._intake.pause()
        while self._flow.events and not self.transactions.failed and self._clock.monotonic() < end:
            self._flow.step(0.05)
            self.transactions.turn(self._clock.monotonic(), self._membership)
            self._intake.serve()
        while not self.transactions.failed and self._clock.monotonic() < end:
            if self.transactions.finish(1.0, self._membership, self._intake.serve):
                if self._state is not None:
                    self._state.checkpoint(last=True)
                return
            self._intake.serve()
        while self.transactions.failed and self._clock.monotonic() < end:
            self._go_back()
            self._intake.serve()
            self.transactions.wait(_POLL_SECONDS)
        if not self.transactions.failed:  # what was under way was given up, and is decided again
            self._go_on()
            return
        raise EnvironmentFault(
            "the last transaction could not be committed: its events will be decided when a run begins again"
        )

    def _go_on(self) -> None:
        """Works on after all, where nobody wants the end but for there being nothing to do."""
        if not self._link.stopping:
            while not self._over():
                self._turn()
            self._drain()

    def _close(self) -> None:
        self._aborted = self._aborted or not self.transactions.idle
        self.transactions.close()
        super()._close()
