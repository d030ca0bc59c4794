"""Models that do not always answer."""

import threading


def good(rows):
    """Answers."""
    return [{"n": row["n"]} for row in rows]


def raises(rows):  # noqa: ARG001  models take rows
    """Never answers."""
    raise ValueError("no such user")


def picky(rows):
    """Answers odd ones."""
    return [{"n": row["n"]} if row["n"] % 2 else LookupError("even") for row in rows]


def hung(rows):  # noqa: ARG001  models take rows
    """Does not come back."""
    threading.Event().wait()
