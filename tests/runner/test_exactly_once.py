"""`delivery: exactly_once`: whatever ends a worker, each event is decided once, and state holds."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from pointsman.cli.main import app
from runner.pipelines import Pipeline, Run, events

SEEN = {"q": {"quality": {"duplicates": {"key": "id", "within": "24h"}}}}
"""A field that remembers: 1.0 for the first event of an id in its partition, 0.0 for later ones."""


def remembering(pipeline: Pipeline, **keys: Any) -> Pipeline:
    """The pipeline with state, taking what it is sent a few at a time."""
    pipeline.document |= {"enrich": SEEN, "profile": "latency", "limits": {"in_flight": 200}, **keys}
    pipeline.models("paced", "raises")
    return pipeline


def twice(count: int) -> list[dict[str, Any]]:
    """Events, and all of them again; some fail."""
    kinds = {0: "fast", 1: "raises"}
    once = [{**event, "kind": kinds.get(event["n"] % 10, "paced")} for event in events(count, keys=50)]
    return once + once


def check(pipeline: Pipeline, sent: Iterable[dict[str, Any]], letters: bool = True) -> None:
    """Each event was decided once, its first time is told from its second, dead letters come once."""
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


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_kills_repeat_nothing(pipeline: Pipeline, tmp_path: Path, on_disk: bool) -> None:
    """Killed at five instants, a run decides each event once, and what it remembers is right."""
    remembering(pipeline)
    pipeline.document["kafka"]["group.instance.id"] = pipeline.name
    arguments = ["--instance", "a", *(["--state-dir", str(tmp_path / "state")] if on_disk else [])]
    sent = twice(4000)
    pipeline.send(sent)
    instants = random.Random(7)
    for _ in range(5):
        run = pipeline.start(*arguments)
        run.wait_for("state_restored")
        run.wait_a_moment(instants.uniform(0.0, 0.6))
        run.kill()
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3", *arguments)
    check(pipeline, sent)


def stop(run: Run) -> None:
    os.kill(run.process.pid, signal.SIGSTOP)


def go_on(run: Run) -> None:
    os.kill(run.process.pid, signal.SIGCONT)


def test_a_worker_that_hung_too_long_writes_nothing_more(pipeline: Pipeline) -> None:
    """Stopped past its session with a transaction open, a worker is replaced; awake it spoils nothing."""
    remembering(pipeline)
    pipeline.document["kafka"] |= {"session.timeout.ms": 6000, "transaction.timeout.ms": 5000}
    sent = twice(2000)
    pipeline.send(sent)
    zombie = pipeline.start("--instance", "zombie")
    zombie.wait_for("state_restored")
    zombie.wait_a_moment(0.3)
    stop(zombie)
    heir = pipeline.start("--instance", "heir")
    heir.wait_for("state_restored", seconds=60)
    heir.wait_a_moment(0.5)
    go_on(zombie)
    zombie.wait_for("partitions_lost")
    assert zombie.terminate() == 0, "".join(zombie.errors)[-1500:]
    assert heir.terminate() == 0
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3", "--instance", "heir")
    check(pipeline, sent)


def test_state_moves_with_partitions(pipeline: Pipeline) -> None:
    """One worker, four, two: partitions take their state along, and nothing is repeated or forgotten."""
    remembering(pipeline)
    sent = twice(3000)
    pipeline.send(sent)
    first = pipeline.start("--instance", "a")
    first.wait_for("state_restored")
    more = pipeline.start("--instance", "b", "--workers", "3")
    more.wait_for("state_restored", times=2)
    assert first.terminate() == 0
    last = pipeline.start("--instance", "c", "--workers", "2")
    last.wait_for("partitions_assigned")
    assert more.terminate() == 0
    last.wait_for("state_restored", times=1)
    assert last.terminate() == 0
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3")
    check(pipeline, sent)


def test_a_twin_is_told(pipeline: Pipeline) -> None:
    """Two runs of one instance end each other's transactions; one of them says so and ends."""
    remembering(pipeline)
    pipeline.send(events(3000, kind="paced"))
    runs = [pipeline.start("--instance", "same") for _ in range(2)]
    for run in runs:
        run.wait_for("partitions_assigned")
    number = 3000
    while all(run.process.poll() is None for run in runs):
        pipeline.send(events(200, start=number))
        number += 200
        runs[0].wait_a_moment(0.1)
    ended = next(run for run in runs if run.process.poll() is not None)
    assert ended.wait() == 3, "".join(ended.errors)[-1500:]
    assert "--instance" in "".join(ended.errors)
    other = next(run for run in runs if run is not ended)
    assert other.terminate() == 0
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3", "--instance", "same")
    check(pipeline, [*events(3000, kind="paced"), *events(number - 3000, start=3000)], letters=False)


def test_a_split_deployment_decides_once(pipeline: Pipeline) -> None:
    """A router and a dispatcher that are killed repeat neither a request nor a decision."""
    remembering(pipeline, limits={"in_flight": 2000})
    pipeline.document["kafka"]["group.instance.id"] = pipeline.name
    sent = [{**event, "kind": "paced"} for event in events(3000)]
    pipeline.send(sent)
    router = pipeline.start("--role", "route", "--instance", "a")
    router.wait_for("state_restored")
    router.wait_a_moment(0.3)
    router.kill()
    pipeline.run("--role", "route", "--instance", "a", "--until-idle", "0.3")
    dispatch = ("--role", "dispatch", "--model", "paced", "--instance", "a")
    dispatcher = pipeline.start(*dispatch)
    dispatcher.wait_for("partitions_assigned")
    dispatcher.wait_a_moment(0.5)
    dispatcher.kill()
    pipeline.run(*dispatch, "--until-idle", "0.3")
    check(pipeline, sent, letters=False)


def test_topics_of_one_pipeline_share_their_state(pipeline: Pipeline) -> None:
    """Partitions of one number of several topics go to one worker, and count together."""
    other = pipeline.kafka.create_topic(f"{pipeline.source}-too", 4)
    pipeline.document["source"]["topics"] = [pipeline.source, other]
    pipeline.document["enrich"] = {"seen": {"window": {"key": "k", "over": "1h", "count": True}}}
    pipeline.send(events(1000))
    pipeline.kafka.produce(other, [(event["k"], json.dumps(event)) for event in events(1000, start=1000)])
    pipeline.run("--until-idle", "0.5", "--workers", "2")
    counts: defaultdict[str, list[int]] = defaultdict(list)
    for decision in pipeline.decisions():
        counts[decision["event"]["k"]].append(decision["metadata"]["seen"])
    assert {key: sorted(found) for key, found in counts.items()} == {
        f"k{n}": list(range(1, 101)) for n in range(20)
    }
    shown = state("show", str(pipeline.write()), "--key", "k3", "--json")
    assert [(one["field"], one["value"]["value"]) for one in shown] == [("seen", 100)]
    (listed,) = state("list", str(pipeline.write()), "--json")
    assert (listed["field"], listed["keys"], listed["partitions"]) == ("seen", 20, 4)


def state(*arguments: str) -> list[dict[str, Any]]:
    """What `pointsman state` says."""
    done = CliRunner().invoke(app, ["state", *arguments])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_changed_number_of_partitions_stops_the_run(pipeline: Pipeline) -> None:
    """Keys have moved between partitions and their state has not, so the run says what to do and ends."""
    from confluent_kafka.admin import AdminClient, NewPartitions

    remembering(pipeline)
    pipeline.send(events(100))
    pipeline.run("--until-idle", "0.3")
    admin = AdminClient(dict(pipeline.kafka.client_config))
    admin.create_partitions([NewPartitions(pipeline.source, 6)])[pipeline.source].result(30)
    run = pipeline.run("--until-idle", "0.3", code=3)
    said = "".join(run.errors)
    assert "6 partitions" in said
    assert "--from earliest" in said


def test_what_was_aborted_is_not_read(pipeline: Pipeline) -> None:
    """Events of a transaction that was aborted are no events; those of one that is committed are."""
    pipeline.document["delivery"] = "exactly_once"
    config = {**pipeline.kafka.client_config, "transactional.id": pipeline.name}
    producer = Producer(config)
    producer.init_transactions(30)
    for n, commits in ((1, False), (2, True)):
        producer.begin_transaction()
        producer.produce(pipeline.source, b'{"id": "e%d", "k": "k", "n": %d, "kind": ""}' % (n, n), b"k")
        producer.flush(30)
        producer.commit_transaction(30) if commits else producer.abort_transaction(30)
    pipeline.run("--until-idle", "0.3")
    assert [d["event"]["n"] for d in pipeline.decisions()] == [2]
    group = Consumer({**pipeline.kafka.client_config, "group.id": pipeline.name})
    committed = group.committed([TopicPartition(pipeline.source, n) for n in range(4)], timeout=30)
    group.close()
    assert sorted(place.offset for place in committed)[-1] == 3
