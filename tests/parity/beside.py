"""Several cases at a time."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from parity.stage import Play

__all__ = ["beside"]


def beside(play: Callable[[Play], None], plays: Sequence[Play], at_once: int) -> dict[str, str]:
    """Plays some at a time; returns what went wrong, by case."""

    def attempt(one: Play) -> str:
        try:
            play(one)
        except BaseException:  # whatever it is, the other cases are played
            return traceback.format_exc()
        return ""

    with ThreadPoolExecutor(at_once) as pool:
        return {
            one.case.name: said for one, said in zip(plays, pool.map(attempt, plays), strict=True) if said
        }
