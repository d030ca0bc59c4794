"""What `delivery: exactly_once` and state need besides, on a Kafka with access control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.bus.rights import ROUTER, Plan, Right, dispatcher

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
    plans: Sequence[Plan] = (),
) -> tuple[Right, ...]:
    """Returns what the roles of a run need for its transactions and changelogs.

    Args:
        pipeline: What the names of its transactions begin with.
        changelogs: The topics of its state.
        transactions: Whether it has any.
        onward: The topics through which events go on by another key.
        plans: What is asked after a model was picked; dispatchers remember nothing.
    """
    remembers = ("run", ROUTER) if plans else ("run",)
    found: list[Right] = []
    if transactions:
        names = (*remembers, *map(dispatcher, plans))
        own = ("Write", "Describe")
        found += [RightOnPrefix(name, "transactional-id", f"{pipeline}-", own) for name in names]
    kept = ("Read", "Write", "Describe", "DescribeConfigs")
    topics = (*changelogs, *onward)
    found += [Right(role, "topic", name, kept) for role in remembers for name in topics]
    found += [Right("topics --create", "topic", name, ("Create",)) for name in topics]
    found += [Right("state", "topic", name, ("Read", "Describe")) for name in changelogs]
    return tuple(found)
