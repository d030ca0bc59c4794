"""The model that is here."""


def near(rows):
    """Answers."""
    return [{"n": row["n"]} for row in rows]
