"""The models that need no training."""

from __future__ import annotations

__all__ = ["baseline", "iot"]


def iot(inputs: list[dict[str, float]]) -> list[dict[str, float]]:
    """A sensor sends little: only where there is hardly any signal does it stall."""
    return [{"stall": 0.3 if one["signal"] < -115.0 else 0.01} for one in inputs]


def baseline(inputs: list[dict[str, float]]) -> list[dict[str, float]]:
    """What is true of sessions in general."""
    return [{"stall": 0.08} for _ in inputs]
