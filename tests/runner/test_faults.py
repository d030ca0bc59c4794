"""Bad input, bad models and a bad broker: nothing is lost, nothing stops that need not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer

from kafka import Kafka
from pointsman.bus.local import LocalBroker
from runner.pipelines import Pipeline, events, in_order

GOOD = b'{"id": "good", "k": "a", "n": 1, "kind": "fast"}'

BAD = {
    b"not JSON": "undecodable",
    b'{"id": "x", "k": "a", "n": 1': "undecodable",
    b'{"id": "x", "unread": "\xff", "n": 1}': "undecodable",
    b'{"id": "x", "n": NaN}': "undecodable",
    b'{"unread": ' + b"[" * 10_000 + b"]" * 10_000 + b"}": "undecodable",
    b'[{"n": 1}]': "undecodable",
}
"""Values that cannot be used, and the reason that says so."""

ODD = [
    b'{"id": "odd", "n": 9223372036854775808}',
    b'{"id": "odd", "n": 1, "n": 2}',
    b'{"id": "odd"}',
    b'{"id": null, "n": null}',
    b'{"id": 17, "n": "one"}',
    b'{"id": "odd", "n": 3, "more": {"a": [1, null]}}',
    b'{"id": "odd", "k": "\\ud83d\\ude00", "n": 4}',
    b'{"id": "odd",\n "n": 5}',
]
"""Values that are JSON objects, each with something amiss."""


def test_bad_events_end_somewhere_and_the_next_one_goes_on(pipeline: Pipeline) -> None:
    """Each becomes a decision or a dead letter with its bytes and a reason; each record is valid JSON."""
    values = [value for bad in [*BAD, *ODD] for value in (bad, GOOD)]
    pipeline.kafka.produce(pipeline.source, [(b"\xff\x00", value, 0) for value in values])
    pipeline.kafka.produce(pipeline.source, [(b"key", None, 0), (None, GOOD, 0)], headers=[("h", b"\xfe")])
    pipeline.run("--until-idle", "0.3")

    decisions, letters = pipeline.decisions(), pipeline.dead_letters()
    done = Counter(d["source"]["offset"] for d in decisions if d["result"]["status"] == "ok")
    done.update(json.loads(dict(m.headers())["pointsman-source"])["offset"] for m in letters)
    assert done == Counter(range(len(values) + 2))
    assert Counter(d["id"] for d in decisions)["good"] == len(BAD) + len(ODD) + 1
    reasons = {m.value(): dict(m.headers())["pointsman-reason"].decode() for m in letters}
    for value, reason in BAD.items():
        assert reasons[value].startswith(f"{reason}: ")
    assert reasons[None].startswith("empty")
    for message in letters:
        headers = dict(message.headers())
        assert message.key() in (b"\xff\x00", b"key")
        assert headers["pointsman-id"]
        assert headers.get("h") == (b"\xfe" if message.value() is None else None)
    assert decisions[0]["source"]["key"] == {"base64": "/wA="}


def test_a_large_event_is_kept_whole(pipeline: Pipeline) -> None:
    """5 MB go through, or to dead letters byte for byte where they exceed the limit."""
    large = json.dumps({"id": "large", "k": "a", "n": 1, "kind": "x" * 5_000_000}).encode()
    kafka = pipeline.kafka
    source = kafka.create_topic(f"{pipeline.name}-large", 1, {"max.message.bytes": "16000000"})
    pipeline.document["source"]["topics"] = [source]
    config = {**kafka.client_config, "message.max.bytes": "16000000"}
    Kafka(config).produce(source, [large, GOOD])
    pipeline.run("--until-idle", "0.2")
    assert [d["id"] for d in pipeline.decisions()] == ["large", "good"] or len(pipeline.decisions()) == 2

    pipeline.document["limits"] = {"bytes": 1_000_000}
    pipeline.run("--until-idle", "0.2", "--from", "earliest")
    [letter] = pipeline.dead_letters()
    assert letter.value() == large
    assert dict(letter.headers())["pointsman-reason"].startswith(b"too_large")
    assert len(pipeline.decisions()) == 3


def test_a_decision_larger_than_its_topic_takes_is_a_dead_letter(pipeline: Pipeline) -> None:
    """Nothing innocent is refused with it, and the next event goes on."""
    pipeline.kafka.create_topic(f"{pipeline.name}.decisions", 4, {"max.message.bytes": "20000"})
    wide = {"id": "wide", "k": "a", "n": 1, "kind": "x" * 25_000}
    pipeline.send([*events(500), wide, *events(500, start=500)])
    pipeline.run("--until-idle", "0.2")
    assert sorted(d["event"]["n"] for d in pipeline.decisions()) == list(range(1000))
    [letter] = pipeline.dead_letters()
    assert dict(letter.headers())["pointsman-id"] == b"wide"
    assert dict(letter.headers())["pointsman-reason"].startswith(b"unwritable: ")


def test_models_that_fail_do_not_stop_the_others(pipeline: Pipeline) -> None:
    """One that raises, hangs or returns nonsense fails its own events: a decision and a dead letter each."""
    names = ["raises", "nonsense", "picky", "hung"]
    pipeline.models(*names, timeout="300ms")
    kinds = ["fast", *names]
    sent = [{**e, "kind": kinds[e["n"] % 5], "k": f"k{e['n'] % 5}-{e['n'] % 3}"} for e in events(500)]
    pipeline.send(sent)
    run = pipeline.run("--until-idle", "0.5")
    decisions = pipeline.decisions()
    assert Counter(d["event"]["n"] for d in decisions) == Counter(range(500))
    assert in_order(decisions)
    by_kind = Counter((d["event"]["kind"], d["result"]["status"]) for d in decisions)
    assert by_kind == {
        ("fast", "ok"): 100,
        ("raises", "failed"): 100,
        ("nonsense", "failed"): 100,
        ("picky", "ok"): 50,
        ("picky", "failed"): 50,
        ("hung", "failed"): 100,
    }
    classes = {
        (d["event"]["kind"], d["result"]["attempts"][0]["class"])
        for d in decisions
        if d["result"]["status"] == "failed"
    }
    assert ("hung", "timeout") in classes
    assert {("raises", "internal"), ("nonsense", "invalid_reply"), ("picky", "invalid_reply")} <= classes
    assert run.summary["dead_letters"] == 350
    letters = {dict(m.headers())["pointsman-id"].decode() for m in pipeline.dead_letters()}
    assert letters == {d["id"] for d in decisions if d["result"]["status"] == "failed"}


def test_a_slow_model_does_not_hold_up_other_keys(pipeline: Pipeline) -> None:
    """While a model takes half a second, the rest is decided; its own key keeps its order."""
    pipeline.models("slow")
    first = [{"id": "s0", "k": "held", "n": 0, "kind": "slow"}]
    rest = [*events(400, start=2), {"id": "s1", "k": "held", "n": 1, "kind": "fast"}]
    pipeline.kafka.produce(pipeline.source, [(None, json.dumps(event), 0) for event in [*first, *rest]])
    pipeline.run("--until-idle", "0.3")
    decisions = pipeline.decisions()
    assert in_order(decisions)
    assert len(decisions) == 402
    messages = pipeline.kafka.consume_all(f"{pipeline.name}.decisions")
    written = {json.loads(m.value())["id"]: m.timestamp()[1] for m in messages}
    assert max(written[f"e{n}"] for n in range(2, 402)) < written["s0"] <= written["s1"]


def test_full_limits_pause_and_resume(pipeline: Pipeline) -> None:
    """With its in-flight limit reached a run waits for its models, stays in the group, and loses nothing."""
    pipeline.models("slower", timeout="5s")
    pipeline.document["limits"] = {"in_flight": 20}
    pipeline.send(events(50, kind="slower"))
    run = pipeline.run("--until-idle", "0.2")
    assert Counter(d["event"]["n"] for d in pipeline.decisions()) == Counter(range(50))
    assert len(run.saw("partitions_assigned")) == 1
    assert run.saw("paused")
    assert len(run.saw("paused")) == len(run.saw("resumed"))


def test_a_missing_source_topic_is_said_clearly(pipeline: Pipeline) -> None:
    """A topic that does not exist ends the run at once with exit code 3."""
    pipeline.document["source"]["topics"] = ["there-is-no-such-topic"]
    assert "'there-is-no-such-topic' does not exist" in "".join(pipeline.run(code=3).errors)


def test_a_session_that_the_broker_does_not_allow_ends_the_run(pipeline: Pipeline) -> None:
    """What the group refuses for good is an error with exit code 3, not a warning for ever."""
    pipeline.document["kafka"]["session.timeout.ms"] = 100
    said = "".join(pipeline.run(code=3).errors)
    assert "does not allow this session.timeout.ms; the broker's group.min.session.timeout.ms" in said


def test_a_group_that_shares_out_another_way_ends_the_run(pipeline: Pipeline) -> None:
    """A group of consumers with another assignor cannot be joined, and the message says what to do."""
    config = {**pipeline.kafka.client_config, "group.id": pipeline.name}
    other = Consumer({**config, "partition.assignment.strategy": "range"})
    other.subscribe([pipeline.source])
    while not other.assignment():
        other.poll(0.1)
    said = "".join(pipeline.run(code=3).errors)
    other.close()
    assert f"other members of the group {pipeline.name} at" in said
    assert "give this pipeline a group.id of its own" in said


def test_a_fenced_member_ends(pipeline: Pipeline) -> None:
    """A second run with the same group.instance.id takes the place; the first says so and ends."""
    pipeline.document["kafka"]["group.instance.id"] = pipeline.name
    first = pipeline.start()
    first.wait_for("partitions_assigned")
    second = pipeline.start()
    assert first.wait() == 3
    assert "has the same group.instance.id; give each run" in "".join(first.errors)
    assert second.terminate() == 0


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> LocalBroker:
    """A broker that the test may hurt."""
    with LocalBroker(tmp_path_factory.mktemp("own")) as local:
        yield local


def test_a_broker_that_dies_and_comes_back(
    own_broker: LocalBroker, pipeline_on: Callable[..., Pipeline]
) -> None:
    """A broker killed in mid-run and started again: the run goes on by itself and nothing is lost."""
    pipeline = pipeline_on(Kafka(own_broker.client_config))
    pipeline.models("paced")
    pipeline.document["limits"] = {"in_flight": 200}
    pipeline.send(events(5000, kind="paced"))
    run = pipeline.start()
    run.wait_for("partitions_assigned")
    while not pipeline.decisions():
        pass
    own_broker.kill()
    run.wait_for("broker_trouble")
    own_broker.restart()
    pipeline.send(events(100, start=5000))
    while not {d["event"]["n"] for d in pipeline.decisions()} >= set(range(5000, 5100)):
        assert run.process.poll() is None, f"{run.logs} {run.errors}"
    assert run.terminate() == 0
    pipeline.run("--until-idle", "0.5")
    decisions = pipeline.decisions()
    assert {d["event"]["n"] for d in decisions} == set(range(5100))
    assert in_order(decisions)
