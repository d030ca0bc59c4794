"""A thread that does one thing at a time for a worker, beside its deciding."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Hand"]

Job = Callable[[], None]


class Hand:
    """Does a job and tells when it is done.

    Attributes:
        busy: Whether a job was given of which `result` was not asked since.
    """

    def __init__(self, name: str) -> None:
        self.busy = False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def do(self, job: Job) -> None:
        """Begins a job; the one before is done and its result was taken."""
        assert not self.busy
        self.busy = True
        self._done.clear()
        self._jobs.put(job)

    def done(self, seconds: float = 0.0) -> bool:
        """Whether the job is done, after waiting for it up to `seconds`."""
        return self._done.wait(seconds) if seconds > 0 else self._done.is_set()

    def result(self) -> BaseException | None:
        """What the job raised; it is done, and the next one may be given."""
        self.busy = False
        error, self._error = self._error, None
        return error

    def close(self, seconds: float) -> None:
        """Ends the thread, once its job is done or after `seconds`."""
        self._jobs.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException as error:  # whoever asks for the result raises it
                self._error = error
            self._done.set()
