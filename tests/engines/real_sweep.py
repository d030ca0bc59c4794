"""State does not grow for ever inside an engine: keys that have been idle too long are dropped."""

from __future__ import annotations

import time

import pytest

from runner.pipelines import Pipeline

HOUR = 3_600_000
BEGIN = 1_760_000_000_000


@pytest.mark.parametrize("host", ["kafka-streams", "flink"])
def test_idle_keys_are_dropped(pipeline: Pipeline, host: str) -> None:
    """Once events of a partition are hours later, what was remembered of keys without one is deleted."""
    pipeline.document["source"]["fields"]["at"] = "int"
    pipeline.document["source"] |= {"time": "at", "max_ahead": "3650d"}
    pipeline.document |= {"enrich": {"seen": {"window": {"key": "k", "over": "1m", "count": True}}}}
    old = [{"id": f"old-{n}", "k": f"old-{n}", "n": n, "kind": "fast", "at": BEGIN + n} for n in range(40)]
    pipeline.send(old)
    run = pipeline.start("--on", host, "--state-dir", str(pipeline.folder / "state"))
    run.wait_for("started")
    while len(pipeline.decisions()) < 40:
        run.wait_a_moment(0.2)
    sent = 40
    for later in range(5):
        at = BEGIN + 5 * HOUR + later
        new = [
            {"id": f"new-{later}-{n}", "k": f"new-{n}", "n": n, "kind": "fast", "at": at} for n in range(40)
        ]
        pipeline.send(new)
        sent += 40
        while len(pipeline.decisions()) < sent:
            run.wait_a_moment(0.2)
        time.sleep(1.0)  # it looks once a second
    assert run.terminate() == 0
    snapshot = {d["id"]: d["metadata"] for d in pipeline.decisions()}
    assert len(snapshot) == 240
    assert snapshot["new-4-0"] == {"seen": 5}
    if host == "kafka-streams":  # whose changelog tells
        topics = pipeline.kafka.admin.list_topics(timeout=10).topics
        (changelog,) = [t for t in topics if t.startswith(pipeline.name) and t.endswith("-changelog")]
        last = {m.key(): m.value() for m in pipeline.kafka.consume_all(changelog)}
        gone = {key.partition(b"\0")[0].decode() for key, value in last.items() if value is None}
        assert gone == {f"old-{n}" for n in range(40)}
