"""What a user's code raised, as people read it."""

from __future__ import annotations

import traceback

__all__ = ["raised_text"]


def raised_text(error: BaseException) -> str:
    """What was raised and where: `ValueError: no such user (baseline.py:12)`."""
    try:
        text = str(error)[:500]
    except Exception:  # an exception of the user's whose own text fails
        text = ""
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return said
    file = frames[-1].filename.replace("\\", "/").rpartition("/")[2]
    return f"{said} ({file}:{frames[-1].lineno})"
