"""What every engine has in common with the native runner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka import unique
from runner import repeats
from runner.pipelines import Pipeline, Run, events, in_order

__all__ = ["alike", "check"]

CLOCKS = re.compile(r'"(decided_at|latency_ms|policy)": ?[^,}]+')


def check(pipeline: Pipeline, sent: Iterable[dict[str, Any]]) -> None:
    """Each event was decided once, in order, its first time told from its second; letters come once."""
    assert in_order(repeats.check(pipeline, sent))


def alike(pipeline: Pipeline, run: Callable[..., Run], engine: Sequence[str]) -> None:
    """Records of all topics that are written are the same inside an engine and natively.

    Args:
        run: Runs the pipeline to its end with these arguments.
        engine: The arguments that name the engine.
    """
    pipeline.models("raises")
    mixed = [{**e, "kind": "raises" if e["n"] % 7 == 0 else "fast"} for e in events(1000)]
    headers = [("traceparent", b"00-ab-cd-01"), ("none", None), ("twice", b"1"), ("twice", b"2")]
    pipeline.kafka.produce(pipeline.source, [(e["k"], json.dumps(e)) for e in mixed], headers=headers)
    pipeline.kafka.produce(pipeline.source, [None, b"\xff", (b"\xff", json.dumps(mixed[0]))])
    wanted = ["id", "model", "source", "traceparent"]
    written = []
    for host in (engine, ()):
        pipeline.document["kafka"]["group.id"] = unique("group")
        outputs = {name: unique(name) for name in ("decisions", "dead_letters", "results", "enriched")}
        pipeline.document["write"] = {"headers": wanted, **outputs}
        assert run(*host).summary["events"] == 1003
        topics = [pipeline.kafka.consume_all(topic) for topic in outputs.values()]
        written.append([sorted(map(_same_but_the_clock, topic)) for topic in topics])
    assert list(map(len, written[0])) == [1001, 146, 1001, 1001]
    for ours, native in zip(*written, strict=True):
        assert [one for one in ours if one not in native] == []


def _same_but_the_clock(message: Any) -> tuple[Any, ...]:
    """A record without what clocks said and the policy's name; without a key not where it lies either."""
    place = -1 if message.key() is None else message.partition()
    value, headers = (CLOCKS.sub("", str(part)) for part in (message.value(), message.headers()))
    return place, message.key() or b"", value, headers
