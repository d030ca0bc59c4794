"""Sees the whole event."""


def echo(rows):
    """What the row is made of."""
    return [{"id": row["id"], "key": row["key"], "time": row["time"], "names": sorted(row)} for row in rows]
