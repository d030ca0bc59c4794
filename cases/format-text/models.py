"""Sees lines."""


def lengths(rows):
    """How long each is."""
    return [{"length": len(row["event"]["text"])} for row in rows]
