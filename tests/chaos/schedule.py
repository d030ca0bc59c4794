"""Seeded schedules: which fault comes when."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["FAULTS", "Fault", "schedule"]

FAULTS = ("kill", "kill all", "zombie", "broker", "storm", "slow model", "full disk", "policy")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        after: Seconds since the fault before it.
        what: One of FAULTS.
        pick: Chooses the worker.
    """

    after: float
    what: str
    pick: int

    def __str__(self) -> str:
        return f"{self.what} +{self.after:.1f}s"


def schedule(seed: int, *, faults: int = 4, on_disk: bool = False) -> list[Fault]:
    """The faults of one schedule; the same seed gives the same."""
    draw = random.Random(seed)
    known = ["kill", "kill", "kill", "kill all", "zombie", "storm", "slow model", "policy", "broker"]
    known += ["full disk"] if on_disk else []
    return [
        Fault(round(draw.uniform(0.3, 2.5), 1), draw.choice(known), draw.randrange(1000))
        for _ in range(faults)
    ]
