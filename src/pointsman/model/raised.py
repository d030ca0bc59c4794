"""What was raised, as people read it and as it is kept."""

from __future__ import annotations

import traceback
from typing import TypeVar

__all__ = ["kept", "raised_text"]

E = TypeVar("E", bound=BaseException)


def kept(error: E) -> E:
    """`error` as a value, without the frames that it went through.

    Those hold it in turn, with the rows and replies of the call: a circle that is left to Python's collector,
    which stops the whole process when it finds many.
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


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
