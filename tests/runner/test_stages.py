"""`repartition: true`: events go on by the key of the window that comes next, and nothing of them is lost."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from typing import Any

import msgspec

from runner.pipelines import Pipeline
from runner.test_exactly_once import go_on, is_open, stop_within

START = 1_750_000_000_000
HOUR = 3_600_000

FIELDS = {
    "a_double": "n * 2",
    "by_k": {"window": {"key": "k", "over": "1h", "bucket": "exact", "count": "true"}},
    "m_device": {
        "window": {"key": "device", "over": "1h", "bucket": "exact", "sum": "n", "repartition": True}
    },
    "n_city": {
        "window": {
            "key": "city",
            "over": "1h",
            "bucket": "exact",
            "sum": "metadata.m_device + double(metadata.a_double)",
            "repartition": True,
        }
    },
}
"""A chain of two: by the source's key, then by device, then by city with what was found by device."""


def chained(pipeline: Pipeline, **keys: Any) -> Pipeline:
    """The pipeline with windows by three keys, taking what it is sent a few at a time."""
    fields = dict.fromkeys(("id", "k", "kind", "device", "city"), "string") | {"n": "int", "t": "int"}
    pipeline.document["source"] |= {"time": "t", "fields": fields}
    pipeline.document |= {"enrich": FIELDS, "profile": "latency", "limits": {"in_flight": 200}, **keys}
    return pipeline


def events(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Events of about eight hours; one in twenty has no device."""
    draw = random.Random(seed)
    found = []
    for n in range(count):
        event = {"id": f"e{n}", "k": f"k{n % 20}", "n": n, "kind": "fast", "t": START + n * 30_000}
        event |= {"device": f"d{draw.randrange(12)}", "city": draw.choice(["Rome", "Oslo", "Nice"])}
        if draw.random() < 0.05:
            del event["device"]
        found.append(event)
    return found


def sums(order: list[tuple[dict[str, Any], str | None, float | None]]) -> dict[str, float | None]:
    """From events in their order, with key and value, to the window of each; None: the field is absent."""
    kept: dict[str, list[tuple[int, float]]] = defaultdict(list)
    found: dict[str, float | None] = {}
    for event, key, value in order:
        if key is None:
            found[event["id"]] = None
            continue
        newest = max((t for t, _ in kept[key]), default=0)
        if event["t"] <= newest - HOUR:
            found[event["id"]] = None
            continue
        kept[key].append((event["t"], 0.0 if value is None else value))
        found[event["id"]] = sum(v for t, v in kept[key] if event["t"] - HOUR < t <= event["t"])
    return found


def passed(pipeline: Pipeline, field: str) -> list[dict[str, Any]]:
    """The events that went through the topic of a field, partition by partition in their order."""
    return [json.loads(m.value()) for m in pipeline.kafka.consume_all(f"{pipeline.name}.by.{field}")]


def check(pipeline: Pipeline, sent: list[dict[str, Any]]) -> None:
    """Each event was decided once, as itself, and each window is what its topic's order makes it."""
    decisions = pipeline.decisions()
    assert Counter(d["id"] for d in decisions) == Counter(event["id"] for event in sent)
    places = {(d["source"]["partition"], d["source"]["offset"]) for d in decisions}
    assert len(places) == len(sent)
    assert {d["source"]["topic"] for d in decisions} == {pipeline.source}
    assert all(d["source"]["key"] == d["event"]["k"] and d["time"] == d["event"]["t"] for d in decisions)
    metadata = {d["id"]: d["metadata"] for d in decisions}
    by_k = sums([(d["event"], d["event"]["k"], 1.0) for d in in_source_order(decisions)])
    assert {name: float(found["by_k"]) for name, found in metadata.items()} == by_k
    devices = passed(pipeline, "m_device")
    wanted = sums([(event, event.get("device"), float(event["n"])) for event in devices])
    assert {name: found.get("m_device") for name, found in metadata.items()} == wanted
    cities = passed(pipeline, "n_city")
    values = [
        (event, event["city"], None if (v := wanted[event["id"]]) is None else v + event["n"] * 2.0)
        for event in cities
    ]
    assert {name: found.get("n_city") for name, found in metadata.items()} == sums(values)


def in_source_order(decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(decisions, key=lambda d: (d["source"]["partition"], d["source"]["offset"]))


def test_a_chain_keeps_ids_sources_and_values(pipeline: Pipeline) -> None:
    """Through two topics, events stay who they are; each window is right in its own topic's order."""
    chained(pipeline)
    sent = events(1000)
    pipeline.send(sent)
    run = pipeline.run("--until-idle", "1")
    assert run.summary["events"] == run.summary["decisions"] == len(sent)
    check(pipeline, sent)


def test_kills_change_no_window(pipeline: Pipeline) -> None:
    """Two workers, one killed on the way: exactly once holds for every part of the way."""
    chained(pipeline)
    pipeline.models("paced")
    sent = [{**event, "kind": "paced"} for event in events(2000)]
    pipeline.send(sent[:1000])
    first = pipeline.start("--instance", "a")
    second = pipeline.start("--instance", "b")
    second.wait_for("state_restored")
    decided = f"{pipeline.name}.decisions"
    before = pipeline.kafka.count(decided)
    pipeline.send(sent[1000:])
    pipeline.wait_until_written(decided, before + 50, first)
    first.kill()
    assert pipeline.kafka.count(decided) < before + 1000, "the kill is to come while events are on their way"
    pipeline.document["limits"] = {"in_flight": 2000}
    pipeline.run("--until-idle", "1", "--instance", "a")
    assert second.terminate() == 0
    check(pipeline, sent)


def test_a_number_of_events_is_one_of_the_source(pipeline: Pipeline) -> None:
    """--max-events counts events once, and those that were taken are decided."""
    chained(pipeline)
    pipeline.send(events(300))
    run = pipeline.run("--max-events", "120")
    assert run.summary["events"] == run.summary["decisions"] == 120
    run = pipeline.run("--until-idle", "1")
    assert run.summary["events"] == run.summary["decisions"] == 180


def test_at_least_once_hops_too(pipeline: Pipeline) -> None:
    """Without transactions none is lost, and dead letters are of the source's records."""
    chained(pipeline, delivery="at_least_once")
    pipeline.models("raises")
    sent = [{**event, "kind": "raises" if event["n"] % 50 == 0 else "fast"} for event in events(300)]
    pipeline.send(sent)
    pipeline.kafka.produce(pipeline.source, [("k", "no json")], headers={"from": "afar"})
    pipeline.run("--until-idle", "2")
    check(pipeline, sent)
    letters = [(m.value(), dict(m.headers())) for m in pipeline.dead_letters()]
    assert len(letters) == 7
    sources = [msgspec.json.decode(headers["pointsman-source"]) for _, headers in letters]
    assert {source["topic"] for source in sources} == {pipeline.source}
    assert not any("pointsman-hop" in headers for _, headers in letters)


def test_a_router_does_the_whole_way(pipeline: Pipeline) -> None:
    """In the split deployment routers do every part, and dispatchers see events as they came."""
    chained(pipeline)
    sent = events(200)
    pipeline.send(sent)
    pipeline.run("--role", "route", "--until-idle", "1")
    run = pipeline.run("--role", "dispatch", "--model", "fast", "--until-idle", "1")
    assert run.summary["decisions"] == len(sent)
    check(pipeline, sent)


def test_what_was_aborted_gives_the_source_no_more_events(pipeline: Pipeline) -> None:
    """Those of an aborted transaction that went on by another key are not taken from the source once more."""
    chained(pipeline, limits={"in_flight": 8})
    pipeline.models("paced")
    pipeline.document["kafka"] |= {"session.timeout.ms": 60_000, "transaction.timeout.ms": 1000}
    pipeline.send({**event, "kind": "paced"} for event in events(600))
    run = pipeline.start("--max-events", "300")
    stop_within(run, pipeline)
    while is_open(f"{pipeline.name}.decisions", pipeline):
        pass
    go_on(run)
    assert run.wait() == 0, "".join(run.errors)[-1500:]
    assert len(run.saw("went_back")) == 1
    assert run.saw("went_back")[0]["discarded"] > 0
    found = Counter(d["id"] for d in pipeline.decisions())
    assert len(found) == found.total() == 300
