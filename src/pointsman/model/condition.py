"""Conditions that are Python functions: `when: {python: "module:function"}`."""

from __future__ import annotations

import asyncio
import atexit
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pointsman.base.hooks import load
from pointsman.model.plain import plain_event

__all__ = ["load_condition"]


def load_condition(name: str, folder: Path) -> Callable[[list[dict[str, Any]]], Sequence[Any]]:
    """The condition called `name`: a list of enriched events to as many booleans.

    The function sees plain Python, as a model's does; `async def` is awaited.

    Args:
        name: `module:function` or `module:Class`.
        folder: The document's folder.

    Raises:
        Misfit: It cannot be loaded.
    """
    hook = load(name, folder)
    if not inspect.iscoroutinefunction(hook):
        return lambda events: hook([plain_event(event) for event in events])
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return lambda events: runner.run(hook([plain_event(event) for event in events]))
