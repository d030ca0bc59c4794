"""Which requests a dispatcher may take: those of the policy version that it has; others wait for theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pointsman.base.errors import PointsmanError
from pointsman.runner.assignment import Place
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.runner.partitions import Partition
from pointsman.runner.requests import version_of
from pointsman.spec.document import Document

__all__ = ["Versions"]

_LOOK_SECONDS = 1.0


class Versions:
    """Holds a partition at its first request of another version; the others go on.

    Once a second the document is read again. When it is a version that is waited for, and each partition
    waits or is at its end, the worker ends and begins anew with it.

    Attributes:
        held: The assignment of each partition that waits, and the version it waits for.
        renewed: The document to begin anew with; None: none.
    """

    def __init__(self, document: Document, read: Callable[[], Document], say: Say, metrics: Metrics) -> None:
        """Args:
        document: What is at work.
        read: Reads the document again.
        """
        self._policy = document.policy
        self._read = read
        self._say = say
        self._metrics = metrics
        self._look_at = 0.0
        self.held: dict[Place, tuple[Partition, str]] = {}
        self.renewed: Document | None = None

    def admit(self, messages: list[Any], owned: Mapping[Place, Partition]) -> list[Any]:
        """Those messages that may be taken; a held partition's are not, they are read again later."""
        if not self.held and all(version_of(m.value()) in (self._policy, None) for m in messages):
            return messages
        taken, before = [], set(self.held)
        for message in messages:
            place = (message.topic(), message.partition())
            wanted = version_of(message.value())
            if place not in self.held and wanted in (self._policy, None):
                taken.append(message)
            elif place not in self.held:
                self.held[place] = (owned[place], wanted or "")
        self._tell(before)
        return taken

    def look(self, now: float, owned: Mapping[Place, Partition], *, rest_done: bool) -> None:
        """Forgets partitions that went, and now and then looks whether the document was replaced.

        Args:
            now: Seconds of a clock.
            rest_done: Whether nothing is left of what does not wait.
        """
        if not self.held:
            return
        self.held = {place: found for place, found in self.held.items() if owned.get(place) is found[0]}
        self._metrics.set("pointsman_held_partitions", len(self.held))
        if now < self._look_at or not rest_done or not self.held:
            return
        self._look_at = now + _LOOK_SECONDS
        try:
            found = self._read()
        except PointsmanError:  # somebody is writing it; `check` says what is wrong with it
            return
        if found.policy in {wanted for _, wanted in self.held.values()}:
            self._say("policy_taken", policy=found.policy)
            self.renewed = found

    def _tell(self, before: set[Place]) -> None:
        new: dict[str, list[str]] = {}
        for (topic, number), (_, wanted) in self.held.items():
            if (topic, number) not in before:
                new.setdefault(wanted, []).append(f"{topic}-{number}")
        for wanted, partitions in new.items():
            self._say("policy_missing", wanted=wanted, policy=self._policy, partitions=partitions)
        self._metrics.set("pointsman_held_partitions", len(self.held))
