"""Models of every form."""

import asyncio


def third(rows):
    """A condition."""
    return [row["event"].get("n", 0) % 3 == 0 for row in rows]


def doubled(rows):
    """A field; of eleven there is none."""
    return [ValueError("eleven") if row["event"]["n"] == 11 else row["event"]["n"] * 2 for row in rows]


def embedded(rows):
    """A model that a field asks."""
    return [{"score": row["n"] / 8} for row in rows]


class Built:
    """Built once a worker."""

    def __init__(self):
        self.factor = 10

    def predict(self, rows):
        """Uses what it was built with."""
        return [{"n": row["n"] * self.factor + row["doubled"]} for row in rows]


async def awaited(rows):
    """Waits for something."""
    await asyncio.sleep(0)
    return [{"n": row["n"]} for row in rows]


def scalar(rows):
    """One number each."""
    return [row["n"] / 2 for row in rows]


def whole(rows):
    """Sees the enriched event."""
    return [{"key": row["key"], "about": sorted(row["metadata"])} for row in rows]
