"""Remote models that fail, hang and come back, in a run: nothing is lost, nobody else waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kafka import Kafka
from runner.answering import Answering, answering
from runner.pipelines import Pipeline, events, in_order

TRACE = "00-0af7651916cd43dd8448eb211c80319c-{:016x}-01"


@pytest.fixture
def server() -> Iterator[Answering]:
    """A server whose paths behave each in its own way."""
    with answering() as found:
        yield found


def remote(pipeline: Pipeline, server: Answering, *paths: str, **keys: Any) -> None:
    """Gives the events of a kind to the path of that name; the others to a model in the worker."""
    for path in paths:
        pipeline.document["models"][path] = {
            "http": f"{server.address}/{path}",
            "inputs": {"n": "n"},
            "outputs": {"n": "reply.n"},
            "timeout": "20s",
            **keys,
        }
    routes = [{"name": path, "when": f'kind == "{path}"', "use": path} for path in paths]
    pipeline.document["routes"] = [*routes, {"name": "all", "use": "fast"}]


def until(what: str, found: Callable[[], bool], seconds: float = 40.0) -> None:
    """Returns once something is so that no event tells of: what stands in a topic."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)


def kinds(pipeline: Pipeline) -> Counter[str]:
    """How many events of each kind are decided."""
    return Counter(decision["event"]["kind"] for decision in pipeline.decisions())


def attempts(decision: dict[str, Any], model: str) -> list[str]:
    """The classes of the failed attempts of a model."""
    told = decision["result"].get("attempts", ())
    return [one["class"] for one in told if one["model"] == model and one["status"] == "failed"]


def test_a_file_of_events_is_decided_by_remote_models(pipeline: Pipeline, server: Answering) -> None:
    """Without a broker, too, each event has its decision, in order per key, whatever the server does."""
    remote(pipeline, server, "mixed", "picky", fallback=["fast"])
    every = [{**event, "kind": ("mixed", "picky", "fast")[event["n"] % 3]} for event in events(300)]
    path = pipeline.folder / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in every))
    command = [
        sys.executable,
        "-m",
        "pointsman.cli.main",
        "run",
        str(pipeline.write()),
        "--events",
        str(path),
    ]
    done = subprocess.run(command, cwd=pipeline.folder, capture_output=True, text=True, env=os.environ)
    decisions = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(d["event"]["n"] for d in decisions) == list(range(300)), done.stderr
    assert in_order(decisions)
    assert all(d["result"]["output"] == {"n": d["event"]["n"]} for d in decisions)
    assert {d["result"]["status"] for d in decisions if d["event"]["kind"] == "picky"} == {"fallback"}
    assert {tuple(attempts(d, "picky")) for d in decisions if d["event"]["kind"] == "picky"} == {
        ("invalid_input",)
    }


def test_faults_of_a_server_lose_nothing(pipeline: Pipeline, server: Answering) -> None:
    """Of a server that resets, refuses and talks nonsense, each event is answered, by it or its fallback."""
    remote(pipeline, server, "mixed", fallback=["fast"], breaker={"failures": "100%", "calls": 10_000})
    pipeline.send(events(400, kind="mixed"))
    pipeline.run("--until-idle", "0.5")
    decisions = pipeline.decisions()
    assert Counter(d["event"]["n"] for d in decisions) == Counter(range(400))
    assert in_order(decisions)
    for decision in decisions:
        n, result = decision["event"]["n"], decision["result"]
        assert result["output"] == {"n": n}
        assert result["status"] == ("fallback" if n % 4 else "ok")
        failed = ("", "refused", "overloaded", "invalid_reply")[n % 4]
        assert set(attempts(decision, "mixed")) == ({failed} if failed else set())


def test_a_model_that_hangs_holds_back_nobody_else(pipeline: Pipeline, server: Answering) -> None:
    """While a model does not answer, all events of other keys are decided, also those behind its own."""
    remote(pipeline, server, "held", "quick")
    slow = [{**event, "k": f"slow-{event['n'] % 7}"} for event in events(40, kind="held")]
    others = [*events(200, start=1000, kind="quick"), *events(200, start=2000)]
    pipeline.send(slow)
    pipeline.send(others)
    run = pipeline.start()
    until("the other events", lambda: kinds(pipeline) == Counter(quick=200, fast=200))
    assert run.process.poll() is None
    server.release()
    until("the slow events", lambda: kinds(pipeline)["held"] == 40)
    assert run.terminate() == 0
    assert in_order(pipeline.decisions())
    assert run.summary["failures"] == 0


def test_events_of_a_key_keep_their_order(pipeline: Pipeline, server: Answering) -> None:
    """An event whose model hangs holds back the later events of its key, and they follow in their order."""
    remote(pipeline, server, "held")
    mine = [{"id": "e0", "k": "mine", "n": 0, "kind": "held"}]
    mine += [{"id": f"e{n}", "k": "mine", "n": n, "kind": "fast"} for n in range(1, 6)]
    pipeline.send([*mine, *({**event, "k": "other"} for event in events(50, start=100))])
    run = pipeline.start()
    until("the other key", lambda: len(pipeline.decisions()) == 50)
    assert {decision["event"]["k"] for decision in pipeline.decisions()} == {"other"}
    server.release()
    until("this key", lambda: len(pipeline.decisions()) == 56)
    assert run.terminate() == 0
    assert [d["event"]["n"] for d in pipeline.decisions() if d["event"]["k"] == "mine"] == list(range(6))


def test_what_is_too_much_for_a_model_goes_to_its_fallback(pipeline: Pipeline, server: Answering) -> None:
    """While a model's share of `limits.in_flight` is taken, its further events are overloaded at once."""
    remote(pipeline, server, "held", fallback=["fast"], timeout="60s")
    pipeline.document["limits"] = {"in_flight": 200}
    pipeline.send(events(600, keys=600, kind="held"))
    run = pipeline.start()
    until("the fallbacks", lambda: len(pipeline.decisions()) >= 400)
    for decision in pipeline.decisions():
        assert decision["result"]["status"] == "fallback"
        assert decision["result"]["model"] == "fast"
        assert attempts(decision, "held") == ["overloaded"]
    server.release()
    until("the rest", lambda: len(pipeline.decisions()) == 600)
    assert run.terminate() == 0
    statuses = Counter(decision["result"]["status"] for decision in pipeline.decisions())
    assert statuses["ok"] > 0
    assert statuses["ok"] + statuses["fallback"] == 600


def test_within_a_partition_a_model_that_hangs_holds_back_nobody_else(
    broker: Kafka, pipeline_on: Callable[..., Pipeline], server: Answering
) -> None:
    """Under its cap, and over it with a fallback: all other events of the partition are decided, in order.

    Each of its events has one before and one behind it that go elsewhere, and the one behind shares its key.
    """
    pipeline = pipeline_on(broker, partitions=1)
    remote(pipeline, server, "held", "quick", fallback=["fast"])
    pipeline.document["limits"] = {"in_flight": 400}
    mine = [{"id": f"h{n}", "k": f"mine-{n}", "n": n, "kind": "held"} for n in range(0, 900, 3)]
    behind = [{"id": f"b{n}", "k": f"mine-{n - 1}", "n": n, "kind": "quick"} for n in range(1, 180, 3)]
    others = [{"id": f"o{n}", "k": f"k{n % 7}", "n": n, "kind": "quick"} for n in range(2, 900, 3)]
    pipeline.send(sorted([*mine, *behind, *others], key=lambda event: event["n"]))
    run = pipeline.start()
    ids = {event["id"] for event in others}
    until("the others", lambda: ids <= {d["event"]["id"] for d in pipeline.decisions()})
    until("the fallbacks", lambda: kinds(pipeline)["held"] >= 100)
    told = [d["result"]["status"] for d in pipeline.decisions() if d["event"]["kind"] == "held"]
    assert set(told) == {"fallback"}
    server.release()
    until("the rest", lambda: len(pipeline.decisions()) == 660)
    assert run.terminate() == 0
    assert in_order(pipeline.decisions())
    assert Counter(d["event"]["n"] for d in pipeline.decisions()).most_common(1)[0][1] == 1


def test_a_kill_loses_nothing(pipeline: Pipeline, server: Answering) -> None:
    """Killed while requests are under way and again while they are answered, every event is decided."""
    pipeline.document["kafka"]["session.timeout.ms"] = 6000
    remote(pipeline, server, "held", "quick")
    pipeline.send({**event, "kind": ("held", "quick", "fast")[event["n"] % 3]} for event in events(900))
    first = pipeline.start()
    server.wait_for("/held", 20)
    first.kill()
    second = pipeline.start()
    server.wait_for("/held", 60)
    server.release()
    server.wait_for("/quick", 200)
    second.kill()
    pipeline.run("--until-idle", "0.5")
    decided = {(d["event"]["n"], json.dumps(d["result"]["output"])) for d in pipeline.decisions()}
    assert decided == {(n, json.dumps({"n": n})) for n in range(900)}
    assert in_order(pipeline.decisions())


def test_the_trace_goes_from_the_event_to_the_request_and_the_record(
    pipeline: Pipeline, server: Answering
) -> None:
    """A W3C trace context in the event's headers is sent with its request, and stands in its record."""
    remote(pipeline, server, "held")
    pipeline.document["write"] = {"headers": ["traceparent", "route"]}
    for event in [*events(20, keys=20, kind="held"), *events(20, keys=20, start=20)]:
        headers = [("traceparent", TRACE.format(event["n"] + 1)), ("tracestate", "a=b")]
        pipeline.kafka.produce(pipeline.source, [(event["k"], json.dumps(event))], headers=headers)
    run = pipeline.start()
    server.wait_for("/held", 20)
    server.release()
    until("all records", lambda: len(pipeline.decisions()) == 40)
    assert run.terminate() == 0
    assert server.traces == {n: TRACE.format(n + 1) for n in range(20)}
    for message in pipeline.kafka.consume_all(f"{pipeline.name}.decisions"):
        headers, record = dict(message.headers()), json.loads(message.value())
        assert headers["traceparent"].decode() == TRACE.format(record["event"]["n"] + 1)
        assert headers["pointsman-route"].decode() == record["decision"]["route"]
