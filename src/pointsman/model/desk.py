"""Where the answers of all models arrive, whatever calls them, and where one waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman.model.pool import Ticket

__all__ = ["Desk"]


class Desk:
    """Takes answered tickets from any thread; one thread waits for them and has them finished.

    Attributes:
        answered: Where callers put tickets that have their replies and are not done yet.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Args:
        monotonic: Seconds that never go back.
        """
        self.answered: SimpleQueue[Ticket] = SimpleQueue()
        self._monotonic = monotonic
        self._finish: dict[str, Callable[[Ticket], None]] = {}
        self._expire: list[Callable[[float], float]] = []

    def join(
        self, models: Iterable[str], finish: Callable[[Ticket], None], expire: Callable[[float], float]
    ) -> None:
        """Adds a caller of models.

        Args:
            models: The models it calls; no other caller does.
            finish: Counts an answered ticket of theirs as done.
            expire: Told the time, gives up what is overdue, and returns when it wants to be asked again.
        """
        self._finish.update(dict.fromkeys(models, finish))
        self._expire.append(expire)

    def wait(self, tickets: Iterable[Ticket], seconds: float) -> None:
        """Returns as soon as all are done or `seconds` have passed; gives up what is overdue."""
        end = self._monotonic() + seconds
        waiting = [ticket for ticket in tickets if not ticket.done]
        while True:
            due = self.expire()
            while waiting and waiting[-1].done:
                waiting.pop()
            now = self._monotonic()
            if not waiting or now >= end:
                return
            try:
                ticket = self.answered.get(timeout=max(0.0, min(end, due) - now))
            except Empty:
                continue
            self._finish[ticket.model](ticket)

    def serve(self, seconds: float) -> None:
        """Returns once something was answered or given up, or `seconds` have passed."""
        due = self.expire()
        now = self._monotonic()
        try:
            ticket = self.answered.get(timeout=max(0.0, min(seconds, due - now)))
        except Empty:
            pass
        else:
            self._finish[ticket.model](ticket)
        self.expire()

    def expire(self) -> float:
        """Takes what was answered and gives up what is overdue; does not wait.

        Returns:
            The moment before which nothing else is overdue; infinity for none.
        """
        answered, finish = self.answered, self._finish
        while not answered.empty():
            ticket = answered.get()
            finish[ticket.model](ticket)
        now, due = self._monotonic(), inf
        for expire in self._expire:
            due = min(due, expire(now))
        return due
