"""`pointsman run` on a real broker: begins, ends and drains as it is asked."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from prometheus_client.parser import text_string_to_metric_families

from kafka import SILENT
from runner.pipelines import Pipeline, events, in_order


def test_every_event_becomes_a_decision(pipeline: Pipeline) -> None:
    """A run until idle decides all events, in order per key, and says what it did."""
    pipeline.send(events(1000))
    run = pipeline.run("--until-idle", "0.5")
    decisions = pipeline.decisions()
    assert sorted(d["event"]["n"] for d in decisions) == list(range(1000))
    assert in_order(decisions)
    one = decisions[0]
    assert one["metadata"] == {"double": one["event"]["n"] * 2}
    assert one["result"]["output"] == {"n": one["event"]["n"]}
    assert one["source"]["topic"] == pipeline.source
    assert run.summary == {
        **run.summary,
        "events": 1000,
        "decisions": 1000,
        "dead_letters": 0,
        "routes": {"all": 1000},
    }


def test_the_topics_it_writes_have_the_partitions_of_the_source(pipeline: Pipeline) -> None:
    """Decisions and dead letters are created with the source's partition count."""
    pipeline.run("--until-idle", "0")
    topics = AdminClient(dict(pipeline.kafka.client_config), logger=SILENT).list_topics(timeout=10).topics
    assert len(topics[f"{pipeline.name}.decisions"].partitions) == 4
    assert len(topics[f"{pipeline.name}.dead-letters"].partitions) == 4


def test_a_run_goes_on_where_the_last_one_ended(pipeline: Pipeline) -> None:
    """Offsets are committed at the end; --from overrides them, in either direction."""
    pipeline.send(events(100))
    assert pipeline.run("--until-idle", "0.2").summary["events"] == 100
    between = int(time.time() * 1000)
    pipeline.send(events(50, start=100))
    assert pipeline.run("--until-idle", "0.2").summary["events"] == 50
    assert pipeline.run("--until-idle", "0.2", "--from", "earliest").summary["events"] == 150
    assert pipeline.run("--until-idle", "0.2", "--from", str(between)).summary["events"] == 50
    assert pipeline.run("--until-idle", "0.2", "--from", "latest").summary["events"] == 0


def test_max_events_is_exact_over_all_workers(pipeline: Pipeline) -> None:
    """N events are decided by however many workers, and the next run begins behind them."""
    pipeline.send(events(3000))
    assert pipeline.run("--max-events", "1234", "--workers", "2").summary["events"] == 1234
    assert pipeline.run("--max-events", "777").summary["events"] == 777
    assert pipeline.run("--until-idle", "0.2").summary["events"] == 3000 - 1234 - 777
    assert Counter(d["event"]["n"] for d in pipeline.decisions()) == Counter(range(3000))


def test_sigterm_finishes_what_was_taken(pipeline: Pipeline) -> None:
    """A drained run leaves nothing undecided below its committed offsets, and repeats nothing."""
    pipeline.models("paced")
    pipeline.document["limits"] = {"in_flight": 50}
    pipeline.send(events(2000, kind="paced"))
    run = pipeline.start()
    run.wait_for("partitions_assigned")
    while not pipeline.decisions():
        pass
    assert run.terminate() == 0
    decided = len(pipeline.decisions())
    assert 0 < decided < 2000
    assert run.summary["decisions"] == decided
    pipeline.document["limits"] = {"in_flight": 2000}
    assert pipeline.run("--until-idle", "0.5").summary["decisions"] == 2000 - decided
    assert in_order(pipeline.decisions())


def test_partitions_added_while_it_runs_are_consumed(pipeline: Pipeline) -> None:
    """A new partition's events are decided without a restart."""
    pipeline.document["kafka"]["topic.metadata.refresh.interval.ms"] = 500
    run = pipeline.start()
    run.wait_for("partitions_assigned")
    admin = AdminClient(dict(pipeline.kafka.client_config), logger=SILENT)
    admin.create_partitions([NewPartitions(pipeline.source, 6)])[pipeline.source].result(10)
    run.wait_for("partitions_assigned", times=2)
    pipeline.kafka.produce(
        pipeline.source, [(event["k"], json.dumps(event), event["n"] % 6) for event in events(60)]
    )
    run.terminate()
    pipeline.run("--until-idle", "0.2")
    assert Counter(d["event"]["n"] for d in pipeline.decisions()) == Counter(range(60))
    assert {d["source"]["partition"] for d in pipeline.decisions()} == set(range(6))


def test_metrics_and_health_are_served(pipeline: Pipeline) -> None:
    """Prometheus reads the counters; readiness follows the group."""
    pipeline.send(events(500))
    run = pipeline.start("--metrics-port", "0", "--max-events", "501")
    address = run.wait_for("metrics_served")["address"]
    run.wait_for("partitions_assigned")
    found: dict[tuple[str, ...], float] = {}
    while found.get(("pointsman_events_total",)) != 500:
        text = urllib.request.urlopen(f"{address}/metrics").read().decode()
        families = list(text_string_to_metric_families(text))
        found = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert found["pointsman_route_events_total", "all"] == 500
    assert found["pointsman_model_results_total", "fast", "ok"] == 500
    assert found["pointsman_lag_events", pipeline.source, "0"] == 0
    assert found["pointsman_model_call_seconds_count", "fast"] >= 1
    assert urllib.request.urlopen(f"{address}/healthz").status == 200
    assert urllib.request.urlopen(f"{address}/readyz").status == 200
    with pytest.raises(urllib.error.HTTPError, match="404") as raised:
        urllib.request.urlopen(f"{address}/nothing")
    raised.value.close()
    pipeline.send(events(1, start=500))
    assert run.wait() == 0


def test_headers_of_decisions_are_written_when_asked_for(pipeline: Pipeline) -> None:
    """`write.headers` puts them on each decision; the trace of the event is passed on."""
    pipeline.document["write"] = {"headers": ["id", "model", "route", "policy", "source", "traceparent"]}
    pipeline.kafka.produce(
        pipeline.source,
        [(e["k"], json.dumps(e)) for e in events(3)],
        headers=[("traceparent", b"00-ab-cd-01")],
    )
    pipeline.run("--until-idle", "0.2")
    message = pipeline.kafka.consume_all(f"{pipeline.name}.decisions")[0]
    record = json.loads(message.value())
    assert dict(message.headers()) == {
        "pointsman-id": record["id"].encode(),
        "pointsman-model": b"fast",
        "pointsman-route": b"all",
        "pointsman-policy": record["decision"]["policy"].encode(),
        "pointsman-source": "{topic}-{partition}-{offset}".format(**record["source"]).encode(),
        "traceparent": b"00-ab-cd-01",
    }


def test_an_older_time_than_all_events_begins_at_the_first(pipeline: Pipeline) -> None:
    """--from with a time takes the first event at or after it, partition by partition."""
    pipeline.send(events(40))
    assert pipeline.run("--until-idle", "0.2", "--from", "2020-01-01T00:00:00Z").summary["events"] == 40
    assert pipeline.run("--until-idle", "0.2", "--from", "2999-01-01").summary["events"] == 0


def test_from_needs_the_group_to_itself(pipeline: Pipeline) -> None:
    """While others consume in the group its offsets are not set behind their backs."""
    pipeline.document["kafka"]["session.timeout.ms"] = 6000
    run = pipeline.start()
    run.wait_for("partitions_assigned")
    other = pipeline.run("--from", "earliest", code=3)
    assert "stop them first" in "".join(other.errors)
    assert run.terminate() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_models_print_is_not_in_the_summary(pipeline: Pipeline, workers: str) -> None:
    """With --json standard output holds one JSON value; prints go to standard error."""
    pipeline.models("talks")
    pipeline.send(events(20, kind="talks"))
    run = pipeline.run("--until-idle", "0.3", "--workers", workers)
    assert run.summary["routes"] == {"talks": 20}
    assert "called\n" in run.errors
