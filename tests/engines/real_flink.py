"""`pointsman run --on flink`: as the native runner, record for record, whatever ends it."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from engines.alike import alike, check
from pointsman.runner.flink_cluster import SessionCluster
from pointsman.runner.flink_jars import engine_jars
from runner.pipelines import Pipeline, Run, events
from runner.repeats import remembering, twice

OWN_PATH = os.environ.get("PYTHONPATH", "")
IDLE = ("--until-idle", "1")
PATIENCE = 300.0


def on(pipeline: Pipeline, parallelism: int = 1, *more: str) -> tuple[str, ...]:
    """The arguments of a run inside Flink, whose state is kept with the pipeline."""
    where = ("--state-dir", str(pipeline.folder / "state"))
    return ("--on", "flink", "--parallelism", str(parallelism), *where, *more)


def ended(pipeline: Pipeline, *arguments: str) -> Run:
    """A run to its end; two Java machines on a busy one need their time."""
    run = pipeline.start(*arguments)
    assert run.wait(PATIENCE) == 0, "".join(run.errors)[-1500:]
    return run


def run_down(run: Run) -> int:
    """Asks it to end; returns its exit code."""
    run.process.send_signal(signal.SIGTERM)
    return run.wait(PATIENCE)


def workers_of(run: Run) -> list[psutil.Process]:
    """The Python processes of the job's tasks."""
    below = psutil.Process(run.process.pid).children(recursive=True)
    return [one for one in below if "pointsman.runner.flink_worker" in " ".join(one.cmdline())]


def kill_all(run: Run) -> None:
    """Kills the command, the JVM and the workers, as a machine that goes would."""
    below = psutil.Process(run.process.pid).children(recursive=True)
    for process in (psutil.Process(run.process.pid), *below):
        process.kill()
    psutil.wait_procs(below)
    run.kill()


def test_records_are_those_of_the_native_runner(pipeline: Pipeline) -> None:
    """Values, keys, headers and partitions are the same on both hosts, in all topics that are written."""
    alike(pipeline, lambda *host: ended(pipeline, *IDLE, *host), on(pipeline, 2))


def part_of(sent: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """One of four parts of what is sent."""
    size = len(sent) // 4
    return sent[number * size : (number + 1) * size]


def begun(pipeline: Pipeline, run: Run, before: int, most: int) -> None:
    """Returns once up to `most` further decisions were written."""
    pipeline.wait_until_written(f"{pipeline.name}.decisions", before + most, run)


def test_kills_of_everything_repeat_nothing(pipeline: Pipeline) -> None:
    """Killed at three instants, a run decides each event once, and what it remembers is right."""
    remembering(pipeline)
    sent, instants = twice(1500), random.Random(7)
    topic = pipeline.kafka.create_topic(f"{pipeline.name}.decisions", 4)
    for number, parallelism in enumerate((1, 2, 1)):
        before = pipeline.kafka.count(topic)
        pipeline.send(part_of(sent, number))
        run = pipeline.start(*on(pipeline, parallelism))
        begun(pipeline, run, before, instants.randint(1, 500))
        kill_all(run)
    pipeline.send(part_of(sent, 3))
    ended(pipeline, *IDLE, *on(pipeline, 2))
    check(pipeline, sent)


def test_kills_of_a_worker_repeat_nothing(pipeline: Pipeline) -> None:
    """A worker that is killed is started anew, and the job goes on from its last checkpoint."""
    remembering(pipeline)
    sent, instants = twice(1500), random.Random(9)
    topic = pipeline.kafka.create_topic(f"{pipeline.name}.decisions", 4)
    run = pipeline.start(*on(pipeline, 2))
    for number in range(3):
        before = pipeline.kafka.count(topic)
        pipeline.send(part_of(sent, number))
        begun(pipeline, run, before, instants.randint(1, 300))
        for worker in workers_of(run)[:1]:
            worker.kill()
    pipeline.send(part_of(sent, 3))
    assert run_down(run) == 0, run.errors
    ended(pipeline, *IDLE, *on(pipeline, 2))
    check(pipeline, sent)


def test_a_savepoint_is_resumed_at_another_parallelism(pipeline: Pipeline) -> None:
    """Asked to end, it stops with a savepoint; a run with fewer or more tasks goes on from there."""
    remembering(pipeline)
    sent = twice(1500)
    topic = pipeline.kafka.create_topic(f"{pipeline.name}.decisions", 4)
    for number, (how, parallelism) in enumerate(((signal.SIGTERM, 2), (signal.SIGINT, 1))):
        before = pipeline.kafka.count(topic)
        pipeline.send(part_of(sent, number))
        run = pipeline.start(*on(pipeline, parallelism))
        begun(pipeline, run, before, 200)
        run.process.send_signal(how)
        assert run.wait(PATIENCE) == 0, run.errors
        assert "savepoint-" in run.saw("engine_saved")[0]["path"]
    pipeline.send(part_of(sent, 2) + part_of(sent, 3))
    run = ended(pipeline, *IDLE, *on(pipeline, 3))
    assert run.saw("engine_resumes")
    check(pipeline, sent)


def test_events_go_on_by_another_key(pipeline: Pipeline) -> None:
    """A window by another key than the source's counts every event, whichever partition it came from."""
    window = {"key": "kind", "over": "1h", "aggregate": {"n": "count"}, "repartition": True}
    pipeline.document["enrich"] = {"seen": {"window": window}}
    pipeline.send(events(900))
    ended(pipeline, *IDLE, *on(pipeline, 2))
    decisions = pipeline.decisions()
    assert sorted(d["event"]["n"] for d in decisions) == list(range(900))
    assert sorted(d["metadata"]["seen"]["n"] for d in decisions) == list(range(1, 901))


def test_a_beginning_that_is_set_anew_keeps_state(pipeline: Pipeline) -> None:
    """With --from events are decided again, by what is remembered of them."""
    remembering(pipeline)
    pipeline.models()
    pipeline.send(events(200))
    ended(pipeline, *IDLE, *on(pipeline))
    run = ended(pipeline, "--from", "earliest", *IDLE, *on(pipeline))
    assert run.summary["events"] == 200
    fresh = Counter(d["metadata"]["q"]["duplicates"] for d in pipeline.decisions())
    assert fresh == {1.0: 200, 0.0: 200}


def test_a_python_error_ends_the_run_with_its_traceback(pipeline: Pipeline) -> None:
    """What the document needs and is not there is told as natively, without trying it over and over."""
    pipeline.document["models"]["fast"]["python"] = "models:missing"
    pipeline.send(events(10))
    run = pipeline.start(*on(pipeline))
    assert run.wait(PATIENCE) != 0
    assert "missing" in "".join(run.errors)


def test_metrics_are_served(pipeline: Pipeline) -> None:
    """Under the native names."""
    pipeline.send(events(500))
    run = pipeline.start("--metrics-port", "0", *on(pipeline, 2))
    address = run.wait_for("metrics_served")["address"]
    found: dict[tuple[str, ...], float] = {}
    while found.get(("pointsman_decisions_total",)) != 500:
        assert run.process.poll() is None, run.errors
        run.wait_a_moment(0.1)
        text = urllib.request.urlopen(f"{address}/metrics").read().decode()
        families = list(text_string_to_metric_families(text))
        found = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert found["pointsman_route_events_total", "all"] == 500
    assert found["pointsman_workers",] == 2
    assert urllib.request.urlopen(f"{address}/readyz").status == 200
    assert run_down(run) == 0


def test_nothing_is_left_behind(pipeline: Pipeline) -> None:
    """Where the command is killed, the JVM and its workers end too."""
    pipeline.send(events(100))
    run = pipeline.start(*on(pipeline, 2))
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 100, run)
    below = psutil.Process(run.process.pid).children(recursive=True)
    assert len(below) >= 3
    os.kill(run.process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    run.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-events", "5"), "--max-events"),
        (("--workers", "2"), "--parallelism 2"),
        (("--role", "route"), "--role route"),
    ],
)
def test_what_it_does_not_have_is_refused(pipeline: Pipeline, arguments: tuple[str, ...], said: str) -> None:
    """Options that mean nothing inside Flink are refused with a reason."""
    run = pipeline.start(*arguments, *on(pipeline))
    assert run.wait() == 2
    assert said in "".join(run.errors)


def test_a_session_cluster_of_packages_alone(pipeline: Pipeline) -> None:
    """Started, asked over REST, saved and stopped; nothing of it is left, and state is resumed elsewhere."""
    remembering(pipeline)
    sent = twice(1000)
    pipeline.send(sent[:1000])
    run = pipeline.start(*on(pipeline, 2, "--master", "local-session"))
    address = run.wait_for("engine_started", seconds=120)["address"]
    pipeline.wait_until_written(f"{pipeline.name}.decisions", 300, run)
    jobs = json.loads(urllib.request.urlopen(f"{address}/jobs/overview").read())["jobs"]
    assert [job["state"] for job in jobs] == ["RUNNING"]
    below = psutil.Process(run.process.pid).children(recursive=True)
    assert run_down(run) == 0, run.errors
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    pipeline.send(sent[1000:])
    run = ended(pipeline, *IDLE, *on(pipeline, 1))
    assert "savepoint-" in run.saw("engine_resumes")[0]["path"]
    check(pipeline, sent)


def test_a_cluster_elsewhere_gets_all_it_needs(
    pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster that knows nothing of us runs the job, as the document and the packages come with it.

    Where whoever watched it is killed it goes on, and a new start goes on with what it has left.
    """
    remembering(pipeline)
    pipeline.document["kafka"]["bootstrap.servers"] = "${OUR_KAFKA}"
    sent = twice(500)
    pipeline.send(sent)
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    base = str(Path(sys.base_prefix) / "bin")
    with monkeypatch.context() as plain:
        plain.setenv("PATH", f"{base}:/usr/bin:/bin")
        cluster = SessionCluster(tmp_path_factory.mktemp("elsewhere"), engine_jars(), 2)
        cluster.__enter__()
    try:
        monkeypatch.setenv("OUR_KAFKA", pipeline.kafka.bootstrap)
        monkeypatch.setenv("PYTHONPATH", OWN_PATH)
        left = pipeline.start(*on(pipeline, 1, "--master", cluster.address))
        pipeline.kafka.create_topic(f"{pipeline.name}.decisions", 4)
        pipeline.wait_until_written(f"{pipeline.name}.decisions", 1, left)
        kill_all(left)
        run = pipeline.start(*IDLE, *on(pipeline, 2, "--master", cluster.address))
        assert run.wait(PATIENCE) == 0, "".join(run.errors)[-1500:]
        assert run.saw("engine_job")[0]["status"] == "LEFT OVER"
    finally:
        cluster.__exit__(None, None, None)
    check(pipeline, sent)
