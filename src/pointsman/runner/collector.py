"""Python's collector of circles, in a process that does nothing but work.

It stops the process: for some 1.5 ms per 1,000 dead objects, and, when it looks at everything, for 0.6 ms per
1,000 living ones. A worker makes no circles, so there is little to find; a model or a library may make some.
"""

from __future__ import annotations

import gc

__all__ = ["calm", "settle", "sweep"]

_YOUNG = 50_000
"""Objects made between two collections: a batch makes thousands that live for milliseconds."""

_YOUNG_LATENCY = 1_000
"""The same where a pause counts: whatever is found then is done within 2 ms or so."""


def calm() -> None:
    """Has it look less often, and never again at what was imported; at the begin of such a process."""
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)


def settle(profile: str) -> None:
    """Never again at what was opened either, such as 10,000 routes; nothing happens where `calm` did not."""
    if not gc.get_freeze_count():
        return
    gc.freeze()
    gc.set_threshold(_YOUNG_LATENCY if profile == "latency" else _YOUNG, 20, 100)


def sweep() -> None:
    """Frees what was opened and is not used any more, where `settle` kept it."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
        gc.freeze()
