"""`delivery: exactly_once`: whatever ends a worker, each event is decided once, and state holds."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from pointsman.cli.main import app
from runner import repeats
from runner.pipelines import Pipeline, Run, events
from runner.repeats import check, twice


def remembering(pipeline: Pipeline, **keys: Any) -> Pipeline:
    """The pipeline with state, taking what it is sent a few at a time."""
    return repeats.remembering(pipeline, **{"limits": {"in_flight": 200}, **keys})


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_kills_repeat_nothing(pipeline: Pipeline, tmp_path: Path, on_disk: bool) -> None:
    """Killed at four instants, a run decides each event once, and what it remembers is right.

    It is a static member: the next one has its partitions at once, well before its session would end.
    """
    remembering(pipeline)
    pipeline.document["kafka"] |= {"group.instance.id": pipeline.name, "session.timeout.ms": 60_000}
    arguments = ["--instance", "a", *(["--state-dir", str(tmp_path / "state")] if on_disk else [])]
    sent = twice(1500)
    pipeline.send(sent)
    topic, instants = f"{pipeline.name}.decisions", random.Random(7)
    pipeline.kafka.create_topic(topic, 4)
    for _ in range(4):
        before = pipeline.kafka.count(topic)
        run = pipeline.start(*arguments)
        pipeline.wait_until_written(topic, before + instants.randint(1, 500), run)
        run.kill()
        assert not run.saw("partitions_lost")
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3", *arguments)
    check(pipeline, sent)


def stop(run: Run) -> None:
    os.kill(run.process.pid, signal.SIGSTOP)


def go_on(run: Run) -> None:
    os.kill(run.process.pid, signal.SIGCONT)


def is_open(topic: str, pipeline: Pipeline) -> bool:
    """Whether a transaction that wrote to a topic is neither committed nor aborted."""
    ends = []
    for level in ("read_uncommitted", "read_committed"):
        reader = Consumer({**pipeline.kafka.client_config, "group.id": "ends", "isolation.level": level})
        ends.append([reader.get_watermark_offsets(TopicPartition(topic, n), 30)[1] for n in range(4)])
        reader.close()
    return ends[0] != ends[1]


def stop_within(run: Run, pipeline: Pipeline) -> None:
    """Stops a run while a transaction of it is open."""
    topic = f"{pipeline.name}.decisions"
    run.wait_for("state_restored")
    while True:
        pipeline.wait_until_written(topic, pipeline.kafka.count(topic) + 1, run)
        stop(run)
        if is_open(topic, pipeline):
            return
        go_on(run)


def test_a_transaction_that_timed_out_is_survived(pipeline: Pipeline) -> None:
    """Stopped longer than a transaction may take, but not than its session, a worker goes on by itself."""
    remembering(pipeline)
    pipeline.document["kafka"] |= {"session.timeout.ms": 60_000, "transaction.timeout.ms": 1000}
    sent = twice(1000)
    pipeline.send(sent)
    run = pipeline.start("--until-idle", "0.5")
    stop_within(run, pipeline)
    while is_open(f"{pipeline.name}.decisions", pipeline):
        pass
    go_on(run)
    assert run.wait() == 0, "".join(run.errors)[-1500:]
    assert len(run.saw("went_back")) == 1
    assert not run.saw("partitions_lost")
    check(pipeline, sent)


def test_a_worker_that_hung_too_long_writes_nothing_more(pipeline: Pipeline) -> None:
    """Stopped past its session with a transaction open, a worker is replaced; awake it spoils nothing."""
    remembering(pipeline)
    pipeline.document["kafka"] |= {"session.timeout.ms": 3000, "transaction.timeout.ms": 2000}
    sent = twice(1500)
    pipeline.send(sent)
    zombie = pipeline.start("--instance", "zombie")
    stop_within(zombie, pipeline)
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
    sent = twice(2000)
    pipeline.send(sent)
    first = pipeline.start("--instance", "a")
    first.wait_for("state_restored")
    second = pipeline.start("--instance", "b")
    more = pipeline.start("--instance", "c", "--workers", "2")
    second.wait_for("state_restored")
    more.wait_for("state_restored", times=2)
    assert more.terminate() == 0
    first.wait_for("state_restored", times=2)
    assert first.terminate() == 0
    assert second.terminate() == 0
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3")
    check(pipeline, sent)


def test_a_twin_is_told(pipeline: Pipeline) -> None:
    """Two runs of one instance end each other's transactions; one of them says so and ends."""
    remembering(pipeline)
    pipeline.send(events(600, kind="paced"))
    runs = [pipeline.start("--instance", "same") for _ in range(2)]
    for run in runs:
        run.wait_for("partitions_assigned")
    number = 600
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
    check(pipeline, [*events(600, kind="paced"), *events(number - 600, start=600)], letters=False)


def test_a_split_deployment_decides_once(pipeline: Pipeline) -> None:
    """A router and a dispatcher that are killed repeat neither a request nor a decision."""
    remembering(pipeline, limits={"in_flight": 2000})
    pipeline.document["kafka"]["group.instance.id"] = pipeline.name
    sent = [{**event, "kind": "paced"} for event in events(2000)]
    pipeline.send(sent)
    router = pipeline.start("--role", "route", "--instance", "a")
    router.wait_for("state_restored")
    pipeline.wait_until_written(f"{pipeline.name}.requests.paced", 1, router)
    router.kill()
    pipeline.run("--role", "route", "--instance", "a", "--until-idle", "0.3")
    dispatch = ("--role", "dispatch", "--model", "paced", "--instance", "a")
    dispatcher = pipeline.start(*dispatch)
    dispatcher.wait_for("partitions_assigned")
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 1, dispatcher)
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


def test_at_least_once_with_state_loses_nothing(pipeline: Pipeline) -> None:
    """Killed twice, no event is without a decision, and what is counted is never too little."""
    remembering(pipeline, delivery="at_least_once")
    pipeline.document["enrich"] = {"seen": {"window": {"key": "k", "over": "1h", "count": True}}}
    pipeline.document["kafka"] |= {"group.instance.id": pipeline.name}
    sent = [{**event, "kind": "paced"} for event in events(2000)]
    pipeline.send(sent)
    topic = f"{pipeline.name}.decisions"
    pipeline.kafka.create_topic(topic, 4)
    for _ in range(2):
        run = pipeline.start()
        pipeline.wait_until_written(topic, pipeline.kafka.count(topic) + 200, run)
        run.kill()
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "0.3")
    decisions = pipeline.decisions()
    assert {d["event"]["n"] for d in decisions} == set(range(2000))
    assert all(d["metadata"]["seen"] > d["event"]["n"] // 20 for d in decisions)


def test_partitions_come_back_to_what_is_on_disk(pipeline: Pipeline, tmp_path: Path) -> None:
    """A partition that went to another worker and came back is read from the changelog's tail alone."""
    remembering(pipeline)
    pipeline.send(events(500))
    first = pipeline.start("--instance", "a", "--state-dir", str(tmp_path / "a"))
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 500, first)
    second = pipeline.start("--instance", "b", "--state-dir", str(tmp_path / "b"))
    assert second.wait_for("state_restored")["records"] > 0
    assert second.terminate() == 0
    assert first.wait_for("state_restored", times=2)["records"] == 0
    assert first.terminate() == 0


def test_to_begin_elsewhere_keeps_the_state(pipeline: Pipeline) -> None:
    """Events that are taken again with --from are counted again, and the log says so beforehand."""
    remembering(pipeline)
    pipeline.send(events(100))
    first = pipeline.run("--until-idle", "0.3", "--from", "earliest")
    assert not first.saw("state_stays")
    again = pipeline.run("--until-idle", "0.3", "--from", "earliest")
    assert again.saw("state_stays")
    seen = Counter(d["metadata"]["q"]["duplicates"] for d in pipeline.decisions())
    assert seen == {1.0: 100, 0.0: 100}


def test_what_others_wrote_into_a_changelog_is_left_out(pipeline: Pipeline) -> None:
    """Records whose keys are not ours are told and change nothing."""
    remembering(pipeline)
    sent = twice(50)
    pipeline.send(sent)
    pipeline.run("--until-idle", "0.3")
    (listed,) = state("list", str(pipeline.write()), "--json")
    pipeline.kafka.produce(listed["topic"], [(b"\0", b"7 7 x", 0), (b"abc", b"x", 0)])
    pipeline.send(sent)
    run = pipeline.run("--until-idle", "0.3")
    assert run.saw("state_foreign")[0]["records"] == 2
    check(pipeline, [*sent, *sent])


def test_a_partition_that_waits_does_not_hold_up_the_others(pipeline: Pipeline) -> None:
    """One partition's model never answers; the other partitions' events are decided, all of them."""
    pipeline.document |= {"delivery": "exactly_once", "limits": {"in_flight": 200}}
    pipeline.models("hung", timeout="600s")
    late = [(e["k"], json.dumps(e), 0) for e in events(2000, kind="hung")]
    prompt = [(e["k"], json.dumps(e), 1 + e["n"] % 3) for e in events(2000, start=2000)]
    pipeline.kafka.produce(pipeline.source, late)
    run = pipeline.start()
    run.wait_for("partitions_assigned")
    pipeline.kafka.produce(pipeline.source, prompt)
    run.wait_a_moment(1.0)  # as long as consuming is paused after
    pipeline.kafka.produce(pipeline.source, prompt)
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 4000, run)
    run.kill()


def test_redriven_events_change_no_state(pipeline: Pipeline) -> None:
    """What is sent again is decided once more, sees windows and counts in none, whatever crashes amid it."""
    remembering(pipeline)
    pipeline.document["source"]["dedupe"] = {"key": "id", "within": "1h"}
    pipeline.document["enrich"] = {"seen": {"window": {"key": "k", "over": "1h", "count": True}}}
    failing = list(events(300, keys=10, kind="raises"))
    pipeline.send(failing)
    pipeline.run("--until-idle", "0.3")
    assert len(pipeline.dead_letters()) == 300
    pipeline.models("paced")
    routes = pipeline.document["routes"]
    pipeline.document["routes"] = [{"name": "again", "when": 'kind == "raises"', "use": "paced"}, *routes]
    done = CliRunner().invoke(app, ["dead-letters", "redrive", str(pipeline.write()), "--all", "--yes"])
    assert done.exit_code == 0, done.output
    run = pipeline.start()
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 350, run)
    run.kill()
    pipeline.send(events(10, keys=10, start=300))
    pipeline.run("--until-idle", "0.3")
    decisions = pipeline.decisions()
    times = Counter(d["id"] for d in decisions)
    assert times == Counter({f"e{n}": 2 if n < 300 else 1 for n in range(310)})  # what fails is decided, too
    decided = {d["id"]: d for d in decisions}
    for n in range(300):
        assert decided[f"e{n}"]["decision"]["route"] == "again"
        assert decided[f"e{n}"]["metadata"]["seen"] == 30
    assert {decided[f"e{n}"]["metadata"]["seen"] for n in range(300, 310)} == {31}
