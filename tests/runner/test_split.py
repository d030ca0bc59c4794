"""Split deployment: what routers and dispatchers write together is what one process writes."""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from examples import payments
from pointsman.spec.records import request_schema
from runner.answering import answering
from runner.pipelines import Pipeline, events, in_order

MORE = """

def seen(rows):
    return [repr(sorted(row.items())) for row in rows]

def whole(rows):
    return [{"key": row["key"], "event": row["event"], "at": str(row["metadata"]["at"])} for row in rows]
"""
IDLE = ("--until-idle", "0.3")


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the clock's readings."""
    result = {name: value for name, value in record["result"].items() if name != "latency_ms"}
    if "attempts" in result:
        result["attempts"] = [{**attempt, "latency_ms": 0} for attempt in result["attempts"]]
    return {**record, "decided_at": 0, "result": result}


def letter_of(message: Any) -> tuple[Any, ...]:
    """All that a dead letter is, without the clock's readings and the words for a timeout."""
    told = dict(message.headers())
    told["pointsman-attempts"] = [
        {**attempt, "latency_ms": 0} for attempt in json.loads(told["pointsman-attempts"])
    ]
    told["pointsman-reason"] = told["pointsman-reason"].partition(b": timeout")[0]
    came = [header for header in message.headers() if not header[0].startswith("pointsman-")]
    return message.key(), message.value(), came, sorted(told.items(), key=str)


def by_source(messages: list[Any]) -> dict[tuple[int, int], Any]:
    """Key, headers and comparable record of each decision, by where its event lay."""
    found = {}
    for message in messages:
        record = json.loads(message.value())
        place = record["source"]["partition"], record["source"]["offset"]
        found[place] = (message.key(), message.headers(), comparable(record))
    assert len(found) == len(messages)
    return found


def run_split(pipeline: Pipeline, models: list[str], decisions: int) -> None:
    """Runs a router to its end, with dispatchers beside it until there are so many decisions."""
    named = [word for model in models for word in ("--model", model)]
    dispatch = pipeline.start("--role", "dispatch", *named)
    dispatch.wait_for("partitions_assigned", times=len(models))
    pipeline.run("--role", "route", "--from", "earliest", *IDLE)
    pipeline.wait_until_written(f"{pipeline.name}.decisions", decisions, dispatch)
    assert dispatch.terminate() == 0


def both_ways(pipeline: Pipeline, models: list[str]) -> tuple[list[Any], list[Any]]:
    """Runs the pipeline fused and then split; returns the decisions of both, and the dead letters."""
    pipeline.run(*IDLE)
    topics = [f"{pipeline.name}.decisions", f"{pipeline.name}.dead-letters"]
    fused = [pipeline.kafka.consume_all(topic) for topic in topics]
    run_split(pipeline, models, 2 * len(fused[0]))
    split = []
    for topic, found in zip(topics, fused, strict=True):
        known = {(message.partition(), message.offset()) for message in found}
        both = pipeline.kafka.consume_all(topic)
        split.append([message for message in both if (message.partition(), message.offset()) not in known])
    assert by_source(fused[0]) == by_source(split[0])
    assert sorted(map(letter_of, fused[1]), key=repr) == sorted(map(letter_of, split[1]), key=repr)
    return split[0], split[1]


def test_split_decides_as_fused(pipeline: Pipeline) -> None:
    """Fallbacks, constants, deadlines, redaction, odd keys and values: record for record the same."""
    with (pipeline.folder / "models.py").open("a") as file:
        file.write(MORE)
    pipeline.document["source"]["fields"] |= {"secret": "string"}
    pipeline.document["enrich"] |= {"at": "now + duration('1h')", "half": "double(n) / 2.0"}
    pipeline.document["write"] = {"redact": {"secret": "mask"}, "headers": ["id", "traceparent"]}
    inputs = {"year": "at.getFullYear()", "half": "half + 0.5", "key": "key", "odd": "size(headers)"}
    pipeline.document["models"] |= {
        "seen": {"python": "models:seen", "inputs": {**inputs, "secret": "secret", "topic": "topic"}},
        "whole": {
            "python": "models:whole",
            "outputs": {"k": "reply.key", "n": "event.n", "r": "reply.event"},
        },
        "raises": {"python": "models:raises", "inputs": {"n": "n"}},
        "hung": {"python": "models:hung", "inputs": {"n": "n"}, "timeout": "60s"},
    }
    pipeline.document["routes"] = [
        {
            "name": "dead",
            "when": "kind == 'dead' && 1 / (n - n) > 0",
            "on_error": "dead_letter",
            "use": "seen",
        },
        {"name": "seen", "when": "kind == 'seen'", "use": "seen"},
        {"name": "whole", "when": "kind == 'whole'", "use": "whole"},
        {"name": "raises", "when": "kind == 'raises'", "use": "raises"},
        {"name": "chain", "when": "kind == 'chain'", "use": "raises", "fallback": ["whole"]},
        {
            "name": "constant",
            "when": "kind == 'constant'",
            "use": "raises",
            "fallback": ["hung", {"constant": {"score": 0.5}}],
            "deadline": "2s",
        },
        {"name": "late", "when": "kind == 'late'", "use": "hung", "deadline": "200ms"},
        {"name": "rest", "use": {"split": {"seen": "50%", "whole": "50%"}}},
    ]
    kinds = ["dead", "seen", "whole", "raises", "chain", "rest"] * 10 + ["constant", "late"]
    records: list[Any] = []
    for n, kind in enumerate(kinds):
        value = json.dumps({"id": f"e{n}", "k": f"k{n % 7}", "n": n, "kind": kind, "secret": f"s{n}"})
        records.append((f"k{n % 7}", value.encode()))
    records += [(b"\xff\x00", b'  {"k": "odd", "kind": "raises", "secret": "s"}\n'), (None, b"nonsense")]
    headers = [("traceparent", b"00-1-2-01"), ("raw", b"\xff"), ("none", None), ("raw", b"again")]
    pipeline.kafka.produce(pipeline.source, records, headers=headers)
    decisions, letters = both_ways(pipeline, ["seen", "whole", "raises", "hung"])
    assert len(decisions) == len(records) - 11
    assert len(letters) == 11 + 10 + 2
    statuses = {json.loads(message.value())["result"]["status"] for message in decisions}
    assert statuses == {"ok", "failed", "fallback", "expired"}
    schema = Draft202012Validator(request_schema())
    for model in ("seen", "whole", "raises", "hung"):
        for message in pipeline.kafka.consume_all(f"{pipeline.name}.requests.{model}"):
            request = json.loads(message.value())
            schema.validate(request)
            assert request["plan"][0] == model
            assert message.partition() == request["source"]["partition"]
            assert message.headers() == headers[:1]


def test_the_payments_example_decides_as_fused(pipeline: Pipeline) -> None:
    """The example's events, its tables and its onnx models."""
    folder = Path(payments.__file__).parent
    document = yaml.safe_load((folder / "pipeline.yaml").read_text())
    pipeline.document = {
        **document,
        "pipeline": pipeline.name,
        "kafka": dict(pipeline.kafka.client_config),
        "source": {**document["source"], "topics": [pipeline.source]},
    }
    for path in folder.iterdir():
        if path.is_file() and path.name != "pipeline.yaml":
            (pipeline.folder / path.name).write_bytes(path.read_bytes())
    (pipeline.folder / "models").symlink_to(folder / "models")
    lines = [line for line in (folder / "events.jsonl").read_bytes().splitlines() if line]
    pipeline.kafka.produce(pipeline.source, [(None, line) for line in lines])
    decisions, _ = both_ways(pipeline, list(document["models"]))
    assert len(decisions) > 30


def test_events_that_are_no_json_come_over_whole(pipeline: Pipeline) -> None:
    """A CSV line is decided as fused; a dead letter has the line itself; results have their topic."""
    pipeline.document["source"] |= {"format": "csv", "fields": {"id": "string", "k": "string", "n": "int"}}
    pipeline.document["write"] = {"event": ["n"], "results": f"{pipeline.name}.results"}
    pipeline.document["models"]["raises"] = {"python": "models:raises", "outputs": {"n": "event.n"}}
    pipeline.document["routes"] = [
        {"name": "odd", "when": "n % 2 == 1", "use": "raises"},
        {"name": "even", "use": "fast"},
    ]
    lines = [f'e{n},"k{n % 3}",{n}' for n in range(10)]
    pipeline.kafka.produce(pipeline.source, [(f"k{n % 3}", line) for n, line in enumerate(lines)])
    decisions, letters = both_ways(pipeline, ["fast", "raises"])
    assert sorted(json.loads(message.value())["event"]["n"] for message in decisions) == list(range(10))
    assert sorted(letter.value().decode() for letter in letters) == lines[1::2]
    assert len(pipeline.kafka.consume_all(f"{pipeline.name}.results")) == 20


def test_remote_models_over_the_hop(pipeline: Pipeline) -> None:
    """A dispatcher's requests carry the event's trace; attempts and fallbacks are those of the fused run."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-01"
    with answering() as server:
        for path in ("picky", "broken"):
            pipeline.document["models"][path] = {
                "http": f"{server.address}/{path}",
                "inputs": {"n": "n"},
                "outputs": {"n": "reply.n"},
                "timeout": "20s",
                "fallback": ["fast"],
            }
        pipeline.document["routes"] = [
            {"name": "picky", "when": "n % 2 == 0", "use": "picky"},
            {"name": "broken", "use": "broken", "deadline": "20s"},
        ]
        records = [(event["k"], json.dumps(event)) for event in events(10)]
        pipeline.kafka.produce(pipeline.source, records, headers=[("traceparent", trace)])
        decisions, letters = both_ways(pipeline, ["picky", "broken"])
        assert letters == []
        assert {json.loads(message.value())["result"]["model"] for message in decisions} >= {"fast"}
        server.traces.clear()
        pipeline.run("--role", "dispatch", "--model", "picky", "--from", "earliest", *IDLE)
        assert server.traces == dict.fromkeys(range(0, 10, 2), trace.decode())


def test_kills_lose_nothing(pipeline: Pipeline) -> None:
    """Router and dispatcher killed in turn at many instants: every event is decided, in order per key."""
    pipeline.document["kafka"]["group.instance.id"] = pipeline.name  # a dead member's partitions are free
    pipeline.document["limits"] = {"in_flight": 500}
    pipeline.models("paced")
    instants = random.Random(11)
    requested, decided = f"{pipeline.name}.requests.paced", f"{pipeline.name}.decisions"
    roles = {requested: ("--role", "route"), decided: ("--role", "dispatch", "--model", "paced")}
    for kill in range(5):
        pipeline.send(events(2000, keys=50, start=kill * 2000, kind="paced"))
        more = instants.randint(1, 1000)
        for topic, role in roles.items():
            before = pipeline.kafka.count(topic)
            run = pipeline.start(*role)
            pipeline.wait_until_written(topic, before + more, run)
            run.kill()
    for role in roles.values():
        pipeline.run(*role, *IDLE)
    decisions = pipeline.decisions()
    assert {decision["event"]["n"] for decision in decisions} == set(range(10_000))
    assert in_order(decisions)
    requests = pipeline.kafka.consume_all(requested)
    assert len(requests) > 10_000, (
        "no kill made a router repeat anything: the test kills at the wrong moments"
    )
    assert len(decisions) > len(requests), "nor a dispatcher"


def test_requests_wait_for_their_policy_version(pipeline: Pipeline) -> None:
    """A dispatcher of another version says so, is not ready, and drains; the right file sets it going."""
    pipeline.document["limits"] = {"in_flight": 100}
    pipeline.send(events(20))
    pipeline.run("--role", "route", *IDLE)
    pipeline.document["limits"] = {"in_flight": 200}
    dispatch = pipeline.start("--role", "dispatch", "--model", "fast", "--metrics-port", "0", *IDLE)
    missing = dispatch.wait_for("policy_missing")
    assert missing["wanted"] != missing["policy"] == dispatch.wait_for("started")["policy"]
    address = dispatch.wait_for("metrics_served")["address"]
    wait_until(lambda: status(f"{address}/readyz") == 503)
    assert dispatch.terminate() == 0
    assert pipeline.decisions() == []

    dispatch = pipeline.start("--role", "dispatch", "--model", "fast", *IDLE)
    dispatch.wait_for("policy_missing")
    pipeline.document["limits"] = {"in_flight": 100}
    pipeline.write()
    assert dispatch.wait_for("policy_taken")["policy"] == missing["wanted"]
    assert dispatch.wait() == 0
    assert {decision["event"]["n"] for decision in pipeline.decisions()} == set(range(20))
    assert dispatch.summary["decisions"] == 20


def test_what_is_no_request_is_a_dead_letter(pipeline: Pipeline) -> None:
    """Whatever somebody writes to a topic of requests, it is kept, and the next request is answered."""
    pipeline.send(events(1))
    pipeline.run("--role", "route", *IDLE)
    topic = f"{pipeline.name}.requests.fast"
    pipeline.kafka.produce(topic, [b"nonsense", b'{"policy": 7}', b'{"policy": "x"}', b"\xff"])
    pipeline.run("--role", "dispatch", "--model", "fast", *IDLE)
    letters = pipeline.dead_letters()
    assert sorted(letter.value() for letter in letters) == [
        b"nonsense",
        b'{"policy": "x"}',
        b'{"policy": 7}',
        b"\xff",
    ]
    assert all(dict(m.headers())["pointsman-reason"].startswith(b"undecodable: not a req") for m in letters)
    assert len(pipeline.decisions()) == 1


def test_a_request_too_late_asks_nobody(pipeline: Pipeline) -> None:
    """Its deadline has passed when the dispatcher reads it: expired, and a letter, or the constant."""
    pipeline.models("dies")
    pipeline.document["routes"] = [
        {
            "name": "constant",
            "when": "n == 1",
            "use": "dies",
            "fallback": [{"constant": 5}],
            "deadline": "1ms",
        },
        {"name": "none", "use": "dies", "fallback": ["fast"], "deadline": "1ms"},
    ]
    pipeline.send(events(2))
    pipeline.run("--role", "route", *IDLE)
    pipeline.run("--role", "dispatch", "--model", "dies", *IDLE)
    found = {d["event"]["n"]: d["result"] for d in pipeline.decisions()}
    assert {n: (result["status"], result["model"]) for n, result in found.items()} == {
        0: ("expired", "dies"),
        1: ("fallback", "constant"),
    }
    assert [letter.key() for letter in pipeline.dead_letters()] == [b"k0"]


def test_a_dispatcher_needs_a_model_that_is_picked(pipeline: Pipeline) -> None:
    """Only models that routes pick have requests; --model and --role dispatch go together."""
    pipeline.document["models"]["other"] = {"python": "models:fast"}
    pipeline.document["models"]["fast"]["fallback"] = ["other"]
    run = pipeline.run("--role", "dispatch", "--model", "other", code=2)
    assert "no route picks a model 'other'" in "".join(run.errors)
    pipeline.run("--role", "dispatch", code=2)
    pipeline.run("--role", "route", "--model", "fast", code=2)


def test_a_dispatcher_opens_only_what_its_plans_ask(pipeline: Pipeline) -> None:
    """Models of other plans need not be there; neither need any be for a router."""
    pipeline.models("paced")
    pipeline.document["models"]["fast"]["python"] = "nowhere:fast"
    pipeline.send(events(10, kind="paced"))
    pipeline.run("--role", "route", *IDLE)
    pipeline.run("--role", "dispatch", "--model", "paced", *IDLE)
    assert len(pipeline.decisions()) == 10


def status(url: str) -> int:
    """The status code of a GET."""
    try:
        with urllib.request.urlopen(url) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns once `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)
