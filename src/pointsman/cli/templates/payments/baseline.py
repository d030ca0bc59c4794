"""The model for whatever no other model claims: the larger the amount, the higher the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def predict(rows: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """One score in [0, 1) for each enriched event; an amount that is no number counts as nothing."""
    return [{"score": score(row["event"].get("amount"))} for row in rows]


def score(amount: object) -> float:
    """0 for nothing, 0.5 for 1,000, towards 1 for more."""
    if not isinstance(amount, int | float):
        return 0.0
    paid = max(float(amount), 0.0)
    return round(paid / (paid + 1000.0), 4)
