"""The result of a run of schedules, as a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.judge import Verdict
from chaos.play import Play

__all__ = ["page"]

_BEGIN = """# Chaos

What `make chaos` made of {count} seeded schedules with `delivery: {delivery}`, on a real Apache Kafka
broker with two workers; it writes this page. Events come out of order, late, from the future, incomplete
and unreadable, while workers are killed (`kill -9`), stopped for longer than their session and let go on
(zombie), joined and left by others (storm), the broker is killed and started again, a model is slow, a
disk is full, and the document changes between runs. An oracle in plain Python, which shares nothing with
the product, says from the source topic alone what each event's metadata, route and outcome should be,
and what the windows should hold in the end.

Lost is an event without its decision or dead letter, for a read-committed reader; duplicated, one with
more than one. Wrong is another metadata, route or status than the oracle's. State counts the keys of
which the changelogs hold anything else than the oracle.
{hanging}
| seed | state in | faults, and seconds before each | events | lost | duplicated | wrong | state |
|---|---|---|---|---|---|---|---|"""

_HANGING = """
In {count} of them (seed {seeds}) the broker was killed while it aborted a transaction of a killed worker, and
took it for done without having told the partitions: a hanging transaction in the sense of KIP-664, at which
readers of committed records wait for ever. After a minute without progress it was aborted by hand, with the
requests of `kafka-transactions.sh abort`; see [exactly once](exactly-once.md). Then all went on.
"""


def page(plays: Sequence[Play], verdicts: Sequence[Verdict]) -> str:
    """What became of each play."""
    rows = [
        f"| {play.seed} | {'RocksDB' if play.on_disk else 'memory'} | {', '.join(map(str, play.plan))} | "
        f"{verdict.events:,} | {verdict.lost} | {verdict.duplicated} | {verdict.wrong} | "
        f"{verdict.state_differences} |"
        for play, verdict in zip(plays, verdicts, strict=True)
    ]
    hanging = [str(play.seed) for play in plays if play.hanging]
    told = _HANGING.format(count=len(hanging), seeds=", ".join(hanging)) if hanging else ""
    begin = _BEGIN.format(count=len(plays), delivery=plays[0].delivery, hanging=told)
    return "\n".join([begin, *rows]) + "\n"
