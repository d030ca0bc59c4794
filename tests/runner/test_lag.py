"""`limits.max_lag` and `write.results` on a real broker."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from pointsman.spec.records import result_schema
from runner.pipelines import Pipeline, events


def test_a_named_model_answers_while_too_much_waits(pipeline: Pipeline) -> None:
    """Far behind, the cheap model answers, with certainty and the reason told; caught up, the picked one."""
    pipeline.models("paced")
    pipeline.document["limits"] = {"in_flight": 100, "max_lag": {"events": 1000, "then": "fast"}}
    pipeline.send(events(6000, kind="paced"))
    run = pipeline.start()
    over = run.wait_for("overloaded")
    assert (over["limit"], over["then"]) == (1000, "fast")
    assert over["lag"] > 1000
    run.wait_for("caught_up")
    pipeline.send(events(50, start=6000, kind="paced"))
    while len(decisions := pipeline.decisions()) < 6050:
        assert run.process.poll() is None, run.errors
    assert run.terminate() == 0
    by_reason: dict[str, set[str]] = {}
    for decision in decisions:
        told = decision["decision"]
        by_reason.setdefault(told["reason"], set()).add(told["model"])
        assert told["route"] == "paced"
        assert told["propensity"] == 1.0
    assert by_reason == {"overload": {"fast"}, "rule": {"paced"}}
    assert all(d["decision"]["reason"] == "rule" for d in decisions if d["event"]["n"] >= 6000)


def test_waiting_is_told(pipeline: Pipeline) -> None:
    """Without a model, nothing is decided otherwise; a log line and a metric say that much waits."""
    pipeline.document["limits"] = {"in_flight": 100, "max_lag": {"events": 1000}}
    pipeline.models("paced")
    pipeline.send(events(3000, kind="paced"))
    run = pipeline.run("--until-idle", "0.3")
    assert run.wait_for("overloaded")["then"] == "wait"
    run.wait_for("caught_up")
    assert {d["decision"]["reason"] for d in pipeline.decisions()} == {"rule"}


def test_results_have_a_topic(pipeline: Pipeline) -> None:
    """Each decision has its result there, with the same key and nothing of the event; it fits its schema."""
    pipeline.document["write"] = {"results": f"{pipeline.name}.results", "event": ["n"]}
    pipeline.models("raises")
    pipeline.send(events(20))
    pipeline.send(events(2, start=20, kind="raises"))
    pipeline.run("--until-idle", "0.3")
    found, schema = {}, Draft202012Validator(result_schema())
    for message in pipeline.kafka.consume_all(f"{pipeline.name}.results"):
        result = json.loads(message.value())
        schema.validate(result)
        found[result["id"]] = (message.key(), result)
    assert len(found) == 22
    for message in pipeline.kafka.consume_all(f"{pipeline.name}.decisions"):
        decision = json.loads(message.value())
        chosen = {name: decision["decision"][name] for name in ("route", "model", "policy")}
        expected = {name: decision[name] for name in ("v", "id", "time", "result")} | {"decision": chosen}
        assert found[decision["id"]] == (message.key(), expected)
