"""What each role needs to be allowed on a Kafka with access control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["ROUTER", "Plan", "Right", "dispatcher", "rights"]

_READS = ("Read", "Describe")
_WRITES = ("Write", "Describe", "DescribeConfigs")


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


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked after a model was picked.

    Attributes:
        model: The model that was picked.
        requests: The topic in which a split deployment keeps the events that wait for it.
        group: The consumer group of its dispatchers.
        sends: Topics that it, or a model that stands in for it, is asked through.
        replies: Topics that those answer in.
    """

    model: str
    requests: str
    group: str
    sends: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()


ROUTER: Final = "run --role route"


def dispatcher(plan: Plan) -> str:
    """The command that answers what was picked for the plan's model."""
    return f"run --role dispatch --model {plan.model}"


def rights(
    *,
    group: str,
    sources: Sequence[str],
    decisions: str,
    dead_letters: str,
    results: str | None = None,
    enriched: str | None = None,
    tables: Sequence[str] = (),
    plans: Sequence[Plan] = (),
) -> tuple[Right, ...]:
    """Returns what the commands of one pipeline need, in the order of use."""
    written = tuple(name for name in (decisions, dead_letters, results, enriched) if name is not None)
    return (
        *(Right("run", "topic", name, _READS) for name in sources),
        *(Right("run, explain", "topic", name, _READS) for name in tables),
        Right("run", "group", group, _READS),
        *(Right("run", "topic", name, _WRITES) for name in written),
        *_of_models("run", plans),
        *_split(group, sources, written, dead_letters, tables, plans),
        *(Right("topics --create", "topic", name, ("Create",)) for name in written),
        *(Right("topics --create --split", "topic", plan.requests, ("Create",)) for plan in plans),
        Right("tail", "topic", decisions, _READS),
        Right("dead-letters", "topic", dead_letters, _READS),
        *(Right("send, dead-letters redrive", "topic", name, ("Write", "Describe")) for name in sources),
    )


def _split(
    group: str,
    sources: Sequence[str],
    written: Sequence[str],
    dead_letters: str,
    tables: Sequence[str],
    plans: Sequence[Plan],
) -> Iterator[Right]:
    """What routers and dispatchers need in place of `run`; both look whether every topic is there."""
    if not plans:
        return
    role = ROUTER
    yield from (Right(role, "topic", name, _READS) for name in (*sources, *tables))
    yield Right(role, "group", group, _READS)
    yield from (Right(role, "topic", plan.requests, _WRITES) for plan in plans)
    for name in written:
        yield Right(role, "topic", name, _WRITES if name == dead_letters else ("Describe",))
    for plan in plans:
        role = dispatcher(plan)
        yield from (Right(role, "topic", name, _READS) for name in (plan.requests, *tables))
        yield Right(role, "group", plan.group, _READS)
        yield from (Right(role, "topic", name, ("Describe",)) for name in sources)
        yield from (Right(role, "topic", name, _WRITES) for name in written)
        yield from _of_models(role, [plan])


def _of_models(role: str, plans: Sequence[Plan]) -> Iterator[Right]:
    """What the models behind topics need; replies are read without a group."""
    sends = dict.fromkeys(name for plan in plans for name in plan.sends)
    replies = dict.fromkeys(name for plan in plans for name in plan.replies)
    yield from (Right(role, "topic", name, ("Write", "Describe")) for name in sends)
    yield from (Right(role, "topic", name, _READS) for name in replies)
