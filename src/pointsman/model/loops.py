"""The event loop of remote models: uvloop's, where it is installed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

__all__ = ["new_loop"]

Ts = TypeVarTuple("Ts")


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop whose clock is `time.monotonic`; asyncio's own where there is no uvloop, as on Windows."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()

    class Loop(uvloop.Loop):
        """Tells the time as asyncio's does; uvloop's own counts milliseconds, and stands still in a turn."""

        time = staticmethod(time.monotonic)

        def call_at(
            self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
        ) -> asyncio.TimerHandle:
            """As asyncio's: not before `when`, where uvloop rounds to the nearest millisecond."""
            delay = max(0.0, when - time.monotonic()) + 0.0005
            return self.call_later(delay, callback, *args, context=context)

    return Loop()
