"""What each role needs to be allowed on a Kafka with access control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Right", "rights"]


@dataclass(frozen=True, slots=True)
class Right:
    """Operations that one role needs on one thing.

    Attributes:
        role: Who: the command that needs it.
        resource: `topic` or `group`.
        name: The topic's or group's name.
        operations: As Kafka's ACLs call them.
    """

    role: str
    resource: str
    name: str
    operations: tuple[str, ...]

    def command(self, principal: str) -> str:
        """Returns the arguments of Kafka's own kafka-acls.sh that allow it."""
        operations = " ".join(f"--operation {one}" for one in self.operations)
        return f"kafka-acls.sh --add --allow-principal {principal} --{self.resource} {self.name} {operations}"


def rights(
    *,
    group: str,
    sources: Sequence[str],
    decisions: str,
    dead_letters: str,
    results: str | None = None,
    enriched: str | None = None,
    tables: Sequence[str] = (),
) -> tuple[Right, ...]:
    """Returns what the commands of one pipeline need, in the order of use."""
    written = tuple(name for name in (decisions, dead_letters, results, enriched) if name is not None)
    return (
        *(Right("run", "topic", name, ("Read", "Describe")) for name in sources),
        *(Right("run, explain", "topic", name, ("Read", "Describe")) for name in tables),
        Right("run", "group", group, ("Read", "Describe")),
        *(Right("run", "topic", name, ("Write", "Describe", "DescribeConfigs")) for name in written),
        *(Right("topics --create", "topic", name, ("Create",)) for name in written),
        Right("tail", "topic", decisions, ("Read", "Describe")),
        Right("dead-letters", "topic", dead_letters, ("Read", "Describe")),
        *(Right("send, dead-letters redrive", "topic", name, ("Write", "Describe")) for name in sources),
    )
