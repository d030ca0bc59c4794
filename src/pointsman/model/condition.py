"""Conditions that are Python functions: `when: {python: "module:function"}`."""

from __future__ import annotations

import asyncio
import atexit
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pointsman.base.errors import EvalError
from pointsman.base.hooks import load
from pointsman.model.plain import plain_event
from pointsman.model.raised import raised_text

__all__ = ["load_condition"]


def load_condition(name: str, folder: Path) -> Callable[[list[dict[str, Any]]], Sequence[Any]]:
    """The condition called `name`: a list of enriched events to as many booleans.

    The function sees plain Python, as a model's does; `async def` is awaited. What it returns may be a numpy
    array. Whatever it raises, SystemExit too, comes as an EvalError that names it and its place.

    Args:
        name: `module:function` or `module:Class`.
        folder: The document's folder.

    Raises:
        Misfit: It cannot be loaded.
    """
    hook = load(name, folder)
    call = _awaited(hook) if inspect.iscoroutinefunction(hook) else hook

    def condition(events: list[dict[str, Any]]) -> Any:
        try:
            return _answers(call([plain_event(event) for event in events]))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise EvalError(raised_text(error)) from None

    return condition


def _awaited(hook: Callable[..., Any]) -> Callable[..., Any]:
    """`hook` on an event loop of its own."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return lambda events: runner.run(hook(events))


def _answers(found: Any) -> Any:
    """What a hook returned, numpy's booleans as Python's."""
    if hasattr(found, "tolist"):
        return found.tolist()
    if isinstance(found, list | tuple):
        return [answer.tolist() if hasattr(answer, "tolist") else answer for answer in found]
    return found
