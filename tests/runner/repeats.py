"""Events that come twice, to a pipeline that can tell: what hosts that decide exactly once are tried with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from runner.pipelines import Pipeline, events

__all__ = ["SEEN", "check", "remembering", "twice"]

SEEN = {"q": {"quality": {"duplicates": {"key": "id", "within": "24h"}}}}
"""A field that remembers: 1.0 for the first event of an id in its partition, 0.0 for later ones."""


def remembering(pipeline: Pipeline, **keys: Any) -> Pipeline:
    """The pipeline with state, in small steps."""
    pipeline.document |= {"enrich": SEEN, "profile": "latency", **keys}
    pipeline.document["kafka"] |= {"session.timeout.ms": 6000, "heartbeat.interval.ms": 300}
    pipeline.models("paced", "raises")
    return pipeline


def twice(count: int) -> list[dict[str, Any]]:
    """Events, and all of them again; some fail, most take a while."""
    kinds = {0: "fast", 1: "raises"}
    once = [{**event, "kind": kinds.get(event["n"] % 10, "paced")} for event in events(count, keys=50)]
    return once + once


def check(pipeline: Pipeline, sent: Iterable[dict[str, Any]], letters: bool = True) -> list[dict[str, Any]]:
    """Each event was decided once, its first time is told from its second, dead letters come once.

    Returns:
        The decisions.
    """
    sent = list(sent)
    decisions = pipeline.decisions()
    places = Counter((d["source"]["partition"], d["source"]["offset"]) for d in decisions)
    assert set(places.values()) == {1}, [place for place, times in places.items() if times > 1][:5]
    wanted = Counter(event["n"] for event in sent)
    assert Counter(d["event"]["n"] for d in decisions) == wanted
    fresh = Counter(d["event"]["n"] for d in decisions if d["metadata"]["q"]["duplicates"] == 1.0)
    assert fresh == Counter(wanted.keys()), "what an aborted transaction remembered was not forgotten"
    if letters:
        buried = Counter(dict(m.headers())["pointsman-id"].decode() for m in pipeline.dead_letters())
        assert buried == Counter(event["id"] for event in sent if event["kind"] == "raises")
    return decisions
