"""What `delivery: exactly_once` and state need besides, on a Kafka with access control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.bus.rights import Right

__all__ = ["RightOnPrefix", "rights_of_state"]


@dataclass(frozen=True, slots=True)
class RightOnPrefix(Right):
    """The same on all things whose names begin so."""

    def command(self, principal: str) -> str:
        """Returns the arguments of Kafka's own kafka-acls.sh that allow it."""
        return f"{Right.command(self, principal)} --resource-pattern-type prefixed"


def rights_of_state(
    *,
    pipeline: str,
    changelogs: Sequence[str],
    transactions: bool,
    onward: Sequence[str] = (),
    names: str = "run",
) -> tuple[Right, ...]:
    """Returns what a run needs for its transactions and changelogs.

    Args:
        pipeline: What the names of its transactions begin with.
        changelogs: The topics of its state.
        transactions: Whether it has any.
        onward: The topics through which events go on by another key.
        names: The command that needs it.
    """
    found: list[Right] = []
    if transactions:
        found.append(RightOnPrefix(names, "transactional-id", f"{pipeline}-", ("Write", "Describe")))
    kept = ("Read", "Write", "Describe", "DescribeConfigs")
    found += [Right(names, "topic", name, kept) for name in (*changelogs, *onward)]
    found += [Right("topics --create", "topic", name, ("Create",)) for name in (*changelogs, *onward)]
    found += [Right("state", "topic", name, ("Read", "Describe")) for name in changelogs]
    return tuple(found)
