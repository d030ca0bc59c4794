"""Killed, crashed, joined and left: at least once, in order per key."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from typing import Any

from runner.pipelines import Pipeline, events, in_order

KILLS = 20
COUNT = 12_000
_STABLE = ("id", "event", "metadata")


def test_twenty_kills_lose_nothing(pipeline: Pipeline) -> None:
    """Killed at twenty instants, a run decides every event, in order per key, and repeats agree."""
    pipeline.document["profile"] = "latency"
    pipeline.document["kafka"]["group.instance.id"] = (
        pipeline.name
    )  # a dead member's partitions come back at once
    pipeline.document["limits"] = {"in_flight": 100}
    pipeline.models("paced", "raises")
    mixed = {0: "fast", 1: "raises"}
    sent = [{**event, "kind": mixed.get(event["n"] % 10, "paced")} for event in events(COUNT, keys=50)]
    pipeline.send(sent)
    topic = f"{pipeline.name}.decisions"
    instants = random.Random(7)
    for kill in range(KILLS):
        before = pipeline.kafka.count(topic)
        run = pipeline.start()
        if kill % 5:
            pipeline.wait_until_written(topic, before + instants.randint(1, COUNT // KILLS), run)
        else:
            run.wait_a_moment(instants.uniform(0.3, 0.9))
        run.kill()
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3")

    decisions = pipeline.decisions()
    repeats: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for decision in decisions:
        repeats[decision["event"]["n"]].append(decision)
    assert set(repeats) == set(range(COUNT))
    assert in_order(decisions)
    for first, *others in repeats.values():
        for other in others:
            assert {name: other[name] for name in _STABLE} == {name: first[name] for name in _STABLE}
            assert other["source"] == first["source"]
            assert other["decision"]["route"] == first["decision"]["route"]
    assert len(decisions) > COUNT, "no kill made anything repeat: the test kills at the wrong moments"
    letters = {dict(m.headers())["pointsman-id"].decode() for m in pipeline.dead_letters()}
    assert letters == {event["id"] for event in sent if event["kind"] == "raises"}


def test_workers_join_and_leave(pipeline: Pipeline) -> None:
    """One worker, then three, then one again: partitions move, nothing is lost, order per key holds."""
    pipeline.models("paced")
    pipeline.document["limits"] = {"in_flight": 100}
    pipeline.send(events(4000, kind="paced"))
    first = pipeline.start()
    first.wait_for("partitions_assigned")
    more = pipeline.start("--workers", "2")
    more.wait_for("partitions_assigned", times=2)
    first.wait_for("partitions_revoked")
    pipeline.send(events(2000, start=4000, kind="paced"))
    assert more.terminate() == 0
    first.wait_for("partitions_assigned", times=2)
    pipeline.send(events(500, start=6000))
    while not {d["event"]["n"] for d in pipeline.decisions()} >= set(range(6000, 6500)):
        assert first.process.poll() is None, first.errors
    assert first.terminate() == 0
    pipeline.run("--until-idle", "0.3")
    decisions = pipeline.decisions()
    assert {d["event"]["n"] for d in decisions} == set(range(6500))
    assert in_order(decisions)


def test_several_workers_end_when_all_are_idle(pipeline: Pipeline) -> None:
    """Three workers share four partitions, and end together once nothing is left."""
    pipeline.send(events(3000))
    run = pipeline.run("--workers", "3", "--until-idle", "0.5")
    assert Counter(d["event"]["n"] for d in pipeline.decisions()) == Counter(range(3000))
    assert run.summary["decisions"] == 3000
    assert len(run.saw("worker_ended")) == 3


def test_a_crashed_worker_is_started_again(pipeline: Pipeline) -> None:
    """A worker that dies is said, and another one takes its place; the others go on."""
    pipeline.document["kafka"]["session.timeout.ms"] = 6000
    pipeline.models("dies")
    pipeline.send(events(100))
    run = pipeline.start("--workers", "2")
    run.wait_for("partitions_assigned", times=2)
    pipeline.send(events(1, start=100, kind="dies"))
    crash = run.wait_for("worker_crashed")
    assert crash["exit"] == "signal 9"
    assert run.process.poll() is None
    assert run.terminate() == 0
    assert {d["event"]["n"] for d in pipeline.decisions()} >= set(range(100))


def test_a_fault_of_a_worker_ends_the_run(pipeline: Pipeline) -> None:
    """What a worker says it cannot go on with ends all of them with its exit code, and no restart."""
    pipeline.document["models"]["fast"]["python"] = "models:nothing"
    run = pipeline.run("--workers", "2", code=1)
    assert run.saw("worker_crashed") == []
    assert "models:nothing" in "".join(run.errors)


def test_workers_end_with_their_supervisor(pipeline: Pipeline) -> None:
    """Where the supervisor is killed its workers drain and go, so that a new run finds the group empty."""
    pipeline.send(events(100))
    run = pipeline.start("--workers", "2")
    run.wait_for("partitions_assigned", times=2)
    run.kill()
    again = pipeline.run("--from", "earliest", "--until-idle", "0.3")
    assert again.summary["events"] == 100
    assert json.loads(json.dumps(again.summary))["dead_letters"] == 0
