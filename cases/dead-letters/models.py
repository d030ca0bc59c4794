"""Models that do not always answer."""


def one(rows):
    """Answers."""
    return [{"n": row["n"]} for row in rows]


def fails(rows):  # noqa: ARG001  models take rows
    """Never answers."""
    raise ValueError("no such user")


def garbage(rows):
    """Answers what is no answer."""
    return [object() for _ in rows]


def picky(rows):
    """Refuses each row by itself."""
    return [KeyError("odd") for _ in rows]
