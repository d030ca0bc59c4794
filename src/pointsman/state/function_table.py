"""Tables that a Python function gives: a list of keys to a list of as many rows.

Whoever decides a batch says first which keys it will look up (`probe`), has those asked for that are not
known (`ask`), and then reads `rows`, which nothing changes until the next `probe` or `ask`.

    known      a row for `cache` seconds, that there is none for 5 s at most
    failed     absent for 1 s, then asked for again
    late       what did not come in time is absent now, and taken once it comes
"""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pointsman.base import hooks
from pointsman.base.errors import EvalError
from pointsman.state.formats import cel_value

__all__ = ["FunctionTable", "Probe"]

Hook = Callable[[list[str]], Any]

MAX_KEYS: Final = 200_000
"""Keys that are remembered, the longest known forgotten first."""

_NONE_SECONDS: Final = 5.0
_FAILED_SECONDS: Final = 1.0
_OPEN_CALLS: Final = 4
"""Calls under way at once: more than one only where some did not answer in time."""


class FunctionTable:
    """The rows of a Python function as far as they were asked for.

    Attributes:
        name: The table's name.
        rows: The rows that are known, by name.
        asked: How many keys the function was asked for.
        failures: How many of them it gave nothing usable for, by `timeout`, `raised`, `invalid` or `busy`.
    """

    def __init__(self, name: str, hook: Hook, cache: float, timeout: float, told: str = "") -> None:
        """Args:
        name: The table's name.
        hook: Takes a list of keys, returns a list of rows, or a coroutine that does.
        cache: Seconds for which a row is known.
        timeout: Seconds that `ask` waits.
        told: The function's name in messages.
        """
        self.name = name
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.asked = 0
        self.failures: dict[str, int] = {}
        self._hook = hook
        self._told = told or name
        self._cache = cache
        self._timeout = timeout
        self._until: dict[str, float] = {}
        self._open: list[tuple[Future[Any], list[str]]] = []
        self._submit: Callable[[list[str]], Future[Any]] | None = None
        self._close: Callable[[], None] = lambda: None
        self._problem = ""
        self._notes: list[str] = []

    @classmethod
    def load(cls, name: str, python: str, folder: Path, cache: float, timeout: float) -> FunctionTable:
        """Loads the function, or builds the class and takes its `predict`.

        Raises:
            Misfit: It cannot be loaded.
        """
        return cls(name, hooks.load(python, folder), cache, timeout, python)

    def probe(self, now: float) -> Probe:
        """The rows as they are known at `now`, which notes the keys that have to be asked for first."""
        self._take_late(now)
        for key in list(islice(self._until, max(0, len(self._until) - MAX_KEYS))):
            self._forget(key)
        return Probe(self.rows, self._until, now)

    def ask(self, keys: Sequence[str], now: float) -> None:
        """Asks the function once for the rows of all `keys`; returns when it has answered or time is up.

        Afterwards each key has its row, or is absent.
        """
        asked = list(keys)
        self.asked += len(asked)
        if len(self._open) >= _OPEN_CALLS:
            why = f"{_OPEN_CALLS} calls of it are still under way"
            self._failed(asked, "busy", why, now)
            return
        if self._submit is None:
            self._submit, self._close = _caller(self._hook)
        answer = self._submit(asked)
        wait_for([answer], self._timeout)
        if answer.done():
            self._take(answer, asked, now)
        else:
            self._open.append((answer, asked))
            self._failed(asked, "timeout", f"no answer within {self._timeout:g} s", now)

    def notes(self) -> list[str]:
        """What people should be told since the last call: the first of failures of one kind."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """Ends the threads that wait for keys, and closes the hook where it is an instance with `close`."""
        self._close()
        owner = getattr(self._hook, "__self__", None)
        close = getattr(owner, "close", None)
        if callable(close) and not inspect.ismodule(owner):
            close()

    def _take_late(self, now: float) -> None:
        """Takes what came after its batch had stopped waiting."""
        late = [one for one in self._open if one[0].done()]
        if late:
            self._open = [one for one in self._open if not one[0].done()]
            for answer, asked in late:
                self._take(answer, asked, now)

    def _take(self, answer: Future[Any], asked: list[str], now: float) -> None:
        error = answer.exception()
        if error is not None:
            self._failed(asked, "raised", f"it raised {_said(error)}", now)
            return
        rows = answer.result()
        if hasattr(rows, "tolist"):
            rows = rows.tolist()
        if not isinstance(rows, list | tuple) or len(rows) != len(asked):
            given = f"{len(rows)} rows" if isinstance(rows, list | tuple) else f"a {type(rows).__name__}"
            why = f"it returned {given}, not a list of {len(asked)} rows"
            self._failed(asked, "invalid", why, now)
            return
        failed = False
        for key, row in zip(asked, rows, strict=True):
            try:
                self._keep(key, row, now)
            except _Unusable as unusable:
                failed = True
                self._failed([key], unusable.kind, str(unusable), now)
        if not failed:
            self._problem = ""

    def _keep(self, key: str, row: Any, now: float) -> None:
        if isinstance(row, Exception):
            raise _Unusable("raised", f"for '{key}' it gave {_said(row)}")
        self._forget(key)
        if row is None:
            self._until[key] = now + min(self._cache, _NONE_SECONDS)
            return
        if not isinstance(row, Mapping):
            raise _Unusable("invalid", f"for '{key}' it gave a {type(row).__name__}, and a row is a map")
        try:
            self.rows[key] = {str(name): _plain(value) for name, value in row.items()}
        except EvalError as error:
            raise _Unusable("invalid", f"for '{key}' it gave {error}") from None
        self._until[key] = now + self._cache

    def _failed(self, keys: Sequence[str], kind: str, why: str, now: float) -> None:
        """Makes rows absent for a while, and says why, once until the function answers again."""
        for key in keys:
            self._forget(key)
            self._until[key] = now + _FAILED_SECONDS
        self.failures[kind] = self.failures.get(kind, 0) + len(keys)
        if kind != self._problem:
            self._problem = kind
            self._notes.append(f"table '{self.name}', {self._told}: {why}; rows are absent meanwhile")

    def _forget(self, key: str) -> None:
        self._until.pop(key, None)
        self.rows.pop(key, None)


class Probe(Mapping[str, Mapping[str, Any]]):
    """The rows that are known, as look-ups read them before a batch is decided.

    Attributes:
        due: The keys that were looked up and are not known any more, or were never.
    """

    def __init__(self, rows: Mapping[str, Mapping[str, Any]], until: Mapping[str, float], now: float) -> None:
        self.due: dict[str, None] = {}
        self._rows = rows
        self._until = until
        self._now = now

    def __getitem__(self, key: str) -> Mapping[str, Any]:
        if self._until.get(key, self._now) <= self._now:
            self.due[key] = None
            raise KeyError(key)
        return self._rows[key]

    def __iter__(self) -> Any:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class _Unusable(Exception):
    """One row of an answer cannot be used."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _plain(value: Any) -> Any:
    """A column's value as one that CEL knows; numpy's numbers are Python's."""
    if value is None or value.__class__ in (str, int, float, bool, bytes):
        return value
    if hasattr(value, "tolist") and not isinstance(value, Mapping):
        value = value.tolist()
    return cel_value(value)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _caller(hook: Hook) -> tuple[Callable[[list[str]], Future[Any]], Callable[[], None]]:
    """What begins a call beside this thread and returns its answer to come, and what ends it for good."""
    if inspect.iscoroutinefunction(hook):
        return _awaiting(hook)
    waiting: queue.SimpleQueue[tuple[Future[Any], list[str]] | None] = queue.SimpleQueue()
    idle = threading.Semaphore(0)
    threads: list[threading.Thread] = []

    def serve() -> None:
        while (call := waiting.get()) is not None:
            answer, keys = call
            try:
                answer.set_result(hook(keys))
            except BaseException as error:  # a hook may raise SystemExit, and its thread must go on
                answer.set_exception(error)
            idle.release()

    def submit(keys: list[str]) -> Future[Any]:
        if not idle.acquire(blocking=False):
            threads.append(threading.Thread(target=serve, name="pointsman-table", daemon=True))
            threads[-1].start()
        answer: Future[Any] = Future()
        waiting.put((answer, keys))
        return answer

    def close() -> None:
        for _ in threads:
            waiting.put(None)

    return submit, close


def _awaiting(hook: Hook) -> tuple[Callable[[list[str]], Future[Any]], Callable[[], None]]:
    """The same for a coroutine function, on an event loop of its own."""
    import asyncio  # only such a table needs it

    loop = asyncio.new_event_loop()

    def serve() -> None:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()

    thread = threading.Thread(target=serve, name="pointsman-table", daemon=True)
    thread.start()

    def close() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(1.0)

    return lambda keys: asyncio.run_coroutine_threadsafe(hook(keys), loop), close
