"""`pointsman run --on kafka-streams`: as the native runner, record for record, whatever ends it."""

from __future__ import annotations

import json
import random
import signal
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import NewPartitions
from prometheus_client.parser import text_string_to_metric_families

from engines.alike import alike, check
from kafka import Kafka
from pointsman.bus.local import LocalBroker
from runner.pipelines import Pipeline, events
from runner.repeats import remembering, twice

ON = ("--on", "kafka-streams")


def test_records_are_those_of_the_native_runner(pipeline: Pipeline) -> None:
    """Values, keys, headers and partitions are the same on both hosts, in all topics that are written."""
    alike(pipeline, lambda *host: pipeline.run("--until-idle", "0.5", *host), ON)


@pytest.mark.parametrize("kept", [False, True], ids=["temporary", "state-dir"])
def test_kills_repeat_nothing(pipeline: Pipeline, kept: bool) -> None:
    """Killed at four instants, a run decides each event once, and what it remembers is right."""
    remembering(pipeline)
    pipeline.document["kafka"] |= {
        "group.instance.id": pipeline.name,
        "session.timeout.ms": 60_000,
        "transaction.timeout.ms": 5000,
    }
    arguments = [*ON, *(["--state-dir", str(pipeline.folder / "state")] if kept else [])]
    sent = twice(1500)
    pipeline.send(sent)
    topic, instants = f"{pipeline.name}.decisions", random.Random(7)
    pipeline.kafka.create_topic(topic, 4)
    for _ in range(4):
        before = pipeline.kafka.count(topic)
        run = pipeline.start(*arguments)
        pipeline.wait_until_written(topic, before + instants.randint(1, 500), run)
        run.kill()
    pipeline.run("--until-idle", "0.5", *arguments)
    check(pipeline, sent)


def test_stateless_kills_lose_nothing(pipeline: Pipeline) -> None:
    """At least once: killed at three instants, a run decides every event."""
    pipeline.models("paced")
    pipeline.document["kafka"] |= {"group.instance.id": pipeline.name, "session.timeout.ms": 60_000}
    pipeline.send(events(3000, kind="paced"))
    topic, instants = f"{pipeline.name}.decisions", random.Random(8)
    pipeline.kafka.create_topic(topic, 4)
    for _ in range(3):
        before = pipeline.kafka.count(topic)
        run = pipeline.start(*ON)
        pipeline.wait_until_written(topic, before + instants.randint(1, 700), run)
        run.kill()
    pipeline.run("--until-idle", "0.5", *ON)
    assert {d["event"]["n"] for d in pipeline.decisions()} == set(range(3000))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_it_drains_when_asked(pipeline: Pipeline, number: signal.Signals) -> None:
    """What was taken is decided and committed, the exit code is 0, and the next run repeats nothing."""
    pipeline.models("paced")
    pipeline.send(events(3000, kind="paced"))
    run = pipeline.start(*ON)
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 200, run)
    run.process.send_signal(number)
    assert run.wait() == 0, run.errors
    first = len(pipeline.decisions())
    assert 0 < first < 3000
    assert run.summary["decisions"] == first
    pipeline.run("--until-idle", "0.5", *ON)
    assert Counter(d["event"]["n"] for d in pipeline.decisions()) == Counter(range(3000))


def test_threads_and_workers_share_the_partitions(pipeline: Pipeline) -> None:
    """Two workers of two threads each end together once all is decided, each event once, state right."""
    remembering(pipeline)
    sent = twice(1000)
    pipeline.send(sent)
    run = pipeline.run("--until-idle", "0.5", "--workers", "2", "--threads", "2", *ON)
    check(pipeline, sent)
    assert run.summary["events"] == 2000
    assert len(run.saw("worker_ended")) == 2


def test_state_moves_with_partitions(pipeline: Pipeline) -> None:
    """A worker that joins takes partitions with their state; killed, it gives them back."""
    remembering(pipeline)
    sent = twice(1500)
    pipeline.send(sent[: len(sent) // 2])
    first = pipeline.start("--instance", "one", *ON)
    first.wait_for("partitions_assigned")
    second = pipeline.start("--instance", "two", "--standbys", "1", *ON)
    assert second.wait_for("state_restored", seconds=60)["partitions"]
    pipeline.send(sent[len(sent) // 2 :])
    pipeline.wait_until_written(f"{pipeline.name}.decisions", len(sent) // 2, first)
    second.kill()
    assert first.terminate() == 0
    pipeline.run("--until-idle", "0.5", *ON)
    check(pipeline, sent)


def test_events_go_on_by_another_key(pipeline: Pipeline) -> None:
    """A window by another key than the source's counts every event, whichever partition it came from."""
    pipeline.document["enrich"] = {
        "seen": {"window": {"key": "kind", "over": "1h", "count": None, "repartition": True}}
    }
    pipeline.document["enrich"]["seen"]["window"].pop("count")
    pipeline.document["enrich"]["seen"]["window"]["aggregate"] = {"n": "count"}
    pipeline.send(events(900))
    pipeline.run("--until-idle", "0.5", *ON)
    decisions = pipeline.decisions()
    assert sorted(d["event"]["n"] for d in decisions) == list(range(900))
    assert sorted(d["metadata"]["seen"]["n"] for d in decisions) == list(range(1, 901))


def test_an_error_in_python_is_told_and_ends_the_run(pipeline: Pipeline) -> None:
    """What no retry helps is tried a few times, each with its traceback in the log; then the run says why."""
    letters = pipeline.kafka.create_topic(f"{pipeline.name}.dead-letters", 4, {"max.message.bytes": "2000"})
    pipeline.kafka.produce(pipeline.source, [b"x" * 3000])
    run = pipeline.run(*ON, code=3)
    failed = run.saw("engine_failed")
    assert [line["again"] for line in failed] == [True, True, True, False]
    assert all("EnvironmentFault" in line["problem"] and "framed.py" in line["problem"] for line in failed)
    assert f"a record is larger than the topic {letters} takes" in "".join(run.errors)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--max-events", "5", *ON], "use --until-idle"),
        (["--role", "route", *ON], "run --on native"),
        (["--threads", "2"], "--threads is for --on kafka-streams"),
    ],
)
def test_what_it_does_not_do_is_refused(pipeline: Pipeline, arguments: list[str], told: str) -> None:
    """Options of other hosts are no silent nothing."""
    run = pipeline.run(*arguments, code=2)
    assert told in " ".join("".join(run.errors).split())


def test_dry_run_prints_the_topology(pipeline: Pipeline) -> None:
    """In Kafka Streams' words, without a broker."""
    run = pipeline.run("--dry-run", *ON)
    assert f"Source: source (topics: [{pipeline.source}])" in run.summary["topology"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker with users and rights."""
    with LocalBroker(tmp_path_factory.mktemp("guarded"), security="scram-tls") as local:
        yield local


def test_a_login_and_its_rights(guarded: LocalBroker, pipeline_on: Callable[..., Pipeline]) -> None:
    """The document's own properties log Kafka Streams in, over TLS; what a user may not do is named."""
    pipeline = pipeline_on(Kafka(guarded.client_config))
    pipeline.send(events(100))
    assert pipeline.run("--until-idle", "0.5", *ON).summary["decisions"] == 100
    assert guarded.security is not None
    login = guarded.security.client(guarded.security.guest)
    pipeline.document["kafka"] = {"bootstrap.servers": guarded.bootstrap, **login}
    assert pipeline.source in "".join(pipeline.run(*ON, code=3).errors)


def test_a_worker_that_is_killed_is_started_again(pipeline: Pipeline) -> None:
    """The supervisor starts another process, and the others go on meanwhile."""
    remembering(pipeline)
    sent = twice(600)
    pipeline.send(sent[:600])
    run = pipeline.start("--workers", "2", *ON)
    run.wait_for("state_restored", times=2, seconds=60)
    workers = psutil.Process(run.process.pid).children()
    max(workers, key=lambda worker: worker.memory_info().rss).kill()
    run.wait_for("worker_crashed")
    pipeline.send(sent[600:])
    run.wait_for("state_restored", times=3, seconds=60)
    assert run.terminate() == 0
    pipeline.run("--until-idle", "0.5", *ON)
    check(pipeline, sent)


def test_a_broker_that_restarts_is_waited_for(tmp_path: Path, pipeline_on: Callable[..., Pipeline]) -> None:
    """Nothing is lost or repeated, and the log does not fill with what clients say meanwhile."""
    with LocalBroker(tmp_path / "broker") as local:
        pipeline = remembering(pipeline_on(Kafka(local.client_config)))
        sent = twice(400)
        pipeline.send(sent[:400])
        run = pipeline.start(*ON)
        pipeline.wait_until_written(f"{pipeline.name}.decisions", 100, run)
        local.restart()
        pipeline.send(sent[400:])
        while len(pipeline.decisions()) < 800:
            run.wait_a_moment(0.5)
            assert run.process.poll() is None, f"{run.logs} {run.errors}"
        assert run.terminate() == 0
        check(pipeline, sent)
        assert len(run.saw("engine_note")) < 60


def test_partitions_that_are_added_are_consumed(pipeline: Pipeline) -> None:
    """Without state, a new partition's events are decided without a restart."""
    pipeline.document["kafka"]["topic.metadata.refresh.interval.ms"] = 500
    run = pipeline.start(*ON)
    run.wait_for("partitions_assigned")
    admin = pipeline.kafka.admin
    admin.create_partitions([NewPartitions(pipeline.source, 6)])[pipeline.source].result(10)
    run.wait_for("partitions_assigned", times=2, seconds=60)
    pipeline.kafka.produce(pipeline.source, [(e["k"], json.dumps(e), e["n"] % 6) for e in events(60)])
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 60, run)
    assert run.terminate() == 0
    assert {d["source"]["partition"] for d in pipeline.decisions()} == set(range(6))


def test_from_sets_the_offsets(pipeline: Pipeline) -> None:
    """--from begins there, whatever was committed; without it a run goes on where the last one ended."""
    pipeline.send(events(40))
    for arguments, count in (((), 40), ((), 0), (("--from", "earliest"), 40), (("--from", "latest"), 0)):
        run = pipeline.run("--until-idle", "0.5", *arguments, *ON)
        assert run.summary["events"] == count


def test_metrics_are_served(pipeline: Pipeline) -> None:
    """Under the native names, lag by partition included."""
    pipeline.send(events(500))
    run = pipeline.start("--metrics-port", "0", *ON)
    address = run.wait_for("metrics_served")["address"]
    run.wait_for("partitions_assigned")
    found: dict[tuple[str, ...], float] = {}
    while found.get(("pointsman_decisions_total",)) != 500 or "pointsman_lag_events" not in {
        n for n, *_ in found
    }:
        text = urllib.request.urlopen(f"{address}/metrics").read().decode()
        families = list(text_string_to_metric_families(text))
        found = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert found["pointsman_route_events_total", "all"] == 500
    assert found["pointsman_partitions",] == 4
    assert urllib.request.urlopen(f"{address}/readyz").status == 200
    assert run.terminate() == 0
    assert not run.saw("engine_note"), "an undisturbed run is warned of nothing"
