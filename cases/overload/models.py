"""The model of this case."""


def score(rows):
    """A thousandth of each amount; what is no number fails by itself."""
    return [_score(row["amount"]) for row in rows]


def _score(amount):
    return {"score": amount / 1000} if isinstance(amount, int | float) else TypeError("no number")
