"""`python: "module:function"` or `"module:Class"`: a model that is a Python function."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from pointsman.base.config import PythonName, key
from pointsman.base.errors import InvalidReply, ModelError, ModelTimeout
from pointsman.base.hooks import load
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.jsonlike import are_plain, jsonlike
from pointsman.model.maps import mapper
from pointsman.model.plain import plain, plain_event

__all__ = ["PythonModel"]

_SCALARS = frozenset((str, int, float, bool, type(None)))


@models.add("python")
class PythonModel:
    """Calls a function with a list of inputs; it returns as many dicts or scalars.

    An input is a dict by input name; without `inputs`, the enriched event. A class is built once per worker
    and its `predict` called; `async def` is awaited. The function (or the class) may have a `version`, which
    results then name, and may return an exception in place of one reply to fail that event alone.
    """

    protocol: ClassVar[str] = "python"

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a Python model."""

        python: str = key(
            PythonName(), "The function, or class with `predict`, that answers.", example='"baseline:predict"'
        )

    def __init__(
        self,
        hook: Callable[..., Any],
        names: Sequence[str] | None,
        timeout: float,
        version: str | None = None,
    ) -> None:
        """Args:
        hook: Takes a list of dicts, returns a list of the same length, or a coroutine that does.
        names: The names of the inputs, in the order of a row's values; None where rows are dicts already.
        timeout: Seconds after which an awaited call is cancelled.
        version: What results name as the model's version.
        """
        self.version = version
        self._hook = hook
        self._named = mapper(names or ())
        self._timeout = timeout
        self._loops = _Loops() if inspect.iscoroutinefunction(hook) else None

    @classmethod
    def open(cls, name: str, config: Config, common: CommonKeys, folder: Path) -> PythonModel:  # noqa: ARG003  # the role's signature
        """Loads the function or builds the class.

        Raises:
            Misfit: It cannot be loaded.
        """
        hook = load(config.python, folder)
        version = common.version
        if version is None:
            found = getattr(getattr(hook, "__self__", hook), "version", None)
            version = None if found is None else str(found)
        return cls(hook, None if common.inputs is None else tuple(common.inputs), common.timeout, version)

    @classmethod
    def load(cls, python: str, folder: Path, timeout: float) -> PythonModel:
        """Loads a function of enriched events; raises Misfit where it cannot be."""
        return cls(load(python, folder), None, timeout)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{python: "baseline:predict"}'

    def predict(self, rows: Sequence[Row]) -> Sequence[Any | ModelError]:
        """Calls the function once with all rows."""
        inputs = self._inputs(rows)
        replies = self._hook(inputs) if self._loops is None else self._awaited(self._loops, inputs)
        return checked(replies, len(rows))

    def _inputs(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """What the function is given: plain Python, by name."""
        if rows and isinstance(rows[0], dict):
            return [plain_event(row) for row in rows if isinstance(row, dict)]
        if not _SCALARS.issuperset(map(type, chain.from_iterable(rows))):
            rows = [tuple(map(plain, row)) for row in rows]
        return self._named(rows)  # type: ignore[arg-type]  # with inputs, rows are tuples

    def _awaited(self, loops: _Loops, inputs: list[Any]) -> Any:
        try:
            return loops.here().run(asyncio.wait_for(self._hook(inputs), self._timeout))
        except TimeoutError:
            raise ModelTimeout(f"no answer within {self._timeout:g} s") from None

    def close(self) -> None:
        """Calls the hook's `close` where it is an instance that has one."""
        owner = getattr(self._hook, "__self__", None)
        close = getattr(owner, "close", None)
        if callable(close) and not inspect.ismodule(owner):
            close()
        if self._loops is not None:
            self._loops.close()


def checked(replies: Any, n: int) -> list[Any | ModelError]:
    """What the function returned as `n` JSON-like replies.

    Raises:
        InvalidReply: It is not a list of `n`.
    """
    if hasattr(replies, "tolist"):  # a numpy array, a pandas Series
        replies = replies.tolist()
    if not isinstance(replies, list | tuple):
        raise InvalidReply(f"it returned {_kind(replies)}, not a list of {n}")
    if len(replies) != n:
        raise InvalidReply(f"it returned {len(replies)} replies for {n} events")
    return list(replies) if are_plain(replies) else [jsonlike(reply) for reply in replies]


def _kind(value: Any) -> str:
    if inspect.isgenerator(value) or inspect.iscoroutine(value):
        return f"a {type(value).__name__}"
    return "None" if value is None else f"a {type(value).__name__}"


class _Loops:
    """An event loop for each thread that awaits."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: list[asyncio.Runner] = []

    def here(self) -> Any:
        """This thread's loop, made at its first call."""
        runner = getattr(self._local, "runner", None)
        if runner is None:
            runner = self._local.runner = asyncio.Runner()
            self._all.append(runner)
        return runner

    def close(self) -> None:
        """Closes the loops that run nothing; one that still runs belongs to a call that hangs."""
        for runner in self._all:
            if not runner.get_loop().is_running():
                runner.close()
        self._all.clear()
