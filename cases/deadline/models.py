"""A model that answers, and one that does not."""

import threading


def good(rows):
    """Answers."""
    return [{"n": row["n"]} for row in rows]


def hung(rows):  # noqa: ARG001  models take rows
    """Does not come back."""
    threading.Event().wait()
