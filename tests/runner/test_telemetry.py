"""What is counted of remote models, and the spans of decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from pointsman.model.job import Numbers
from pointsman.runner.file import run_file
from pointsman.runner.metrics import Metrics, expose, merge, total
from pointsman.runner.telemetry import take_over
from pointsman.runner.tracing import Tracing, asked_for, open_tracing
from pointsman.spec import load
from runner.answering import Answering, answering
from runner.pipelines import Pipeline, events

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CAME = [("traceparent", f"00-{TRACE}-{PARENT}-01".encode()), ("tracestate", b"a=b")]


class Counts:
    """A caller whose guard has counted something."""

    names = ("m",)

    def __init__(self, ok: int = 5, breaker: int = 2) -> None:
        self._ok = ok
        self._breaker = breaker

    def numbers(self, _: str) -> Numbers:
        return Numbers(
            attempts={"ok": self._ok, "timeout": 2},
            sizes={1: 3, 32: 4},
            retries=1,
            splits=0,
            refused=7,
            expired=0,
            late=2,
            breaker=self._breaker,
            opened=1,
            queued=9,
            under_way=3,
        )

    def load(self, _: str) -> int:
        return 40


def counted(**counts: int) -> Metrics:
    metrics = Metrics()
    take_over(Counts(**counts), metrics)
    return metrics


def test_what_guards_count_is_served() -> None:
    """Attempts by class, breaker, queue, batches and late replies of each model can be read."""
    families = list(text_string_to_metric_families(expose(counted().snapshot())))
    samples = {
        (
            sample.name,
            *(value for name, value in sorted(sample.labels.items()) if name != "model"),
        ): sample.value
        for family in families
        for sample in family.samples
    }
    assert samples["pointsman_model_attempts_total", "ok"] == 5
    assert samples["pointsman_model_attempts_total", "timeout"] == 2
    assert samples["pointsman_model_breaker_state",] == 2
    assert samples["pointsman_model_queued_requests",] == 9
    assert samples["pointsman_model_open_requests",] == 3
    assert samples["pointsman_model_waiting_events",] == 40
    assert samples["pointsman_model_late_replies_total",] == 2
    assert samples["pointsman_model_not_asked_total",] == 7
    assert samples["pointsman_model_batch_events_count",] == 7
    assert samples["pointsman_model_batch_events_sum",] == 131
    assert samples["pointsman_model_batch_events_bucket", "16"] == 3
    assert samples["pointsman_model_batch_events_bucket", "32"] == 7


def test_replies_that_a_model_discards_are_served() -> None:
    """What comes late by itself adds to what the guard saw come late; other replies tell why."""
    metrics = Metrics()
    behind = SimpleNamespace(late=3, discarded={("answers", "late"): 3, ("answers", "unmarked"): 1})
    for _ in range(2):
        take_over(Counts(), metrics, {"m": behind})
    counted = metrics.snapshot()
    assert total(counted, "pointsman_model_late_replies_total", model="m") == 5
    assert total(counted, "pointsman_replies_discarded_total", topic="answers", why="unmarked") == 1


def test_taking_over_again_counts_nothing_twice() -> None:
    """Counters stand at what the guard says, however often they are reported."""
    metrics = counted()
    take_over(Counts(ok=8), metrics)
    assert total(metrics.snapshot(), "pointsman_model_attempts_total", **{"class": "ok"}) == 8


def test_workers_are_summed_and_the_worst_breaker_is_told() -> None:
    """Of two workers attempts add up, and the breaker is the one that is furthest from closed."""
    both = merge([counted(breaker=2).snapshot(), counted(breaker=0).snapshot()])
    assert both["pointsman_model_attempts_total"]["m", "ok"] == 10
    assert both["pointsman_model_breaker_state"]["m",] == 2


def record(**result: Any) -> bytes:
    """A decision record."""
    source = {"topic": "in", "partition": 3, "offset": 17, "key": "k"}
    decision = {"route": "ios", "strategy": "fixed", "model": "m", "policy": "1@x"}
    return json.dumps(
        {"v": 1, "id": "e1", "decided_at": 1000, "source": source, "decision": decision, "result": result}
    ).encode()


FALLBACK = {
    "status": "fallback",
    "model": "spare",
    "latency_ms": 4.0,
    "attempts": [
        {"model": "m", "status": "failed", "class": "timeout", "latency_ms": 100.0},
        {"model": "spare", "status": "ok", "latency_ms": 4.0},
    ],
}


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """Keeps spans."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> Iterator[Tracing]:
    """Makes spans."""
    made = Tracing("p", SimpleSpanProcessor(spans))
    yield made
    made.close()


def test_a_decision_is_a_span_with_one_for_each_attempt(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    """The attempts lie in the decision's span, in their order; a failed one says its class."""
    tracing.tell(record(**FALLBACK), CAME)
    first, second, decision = spans.get_finished_spans()
    assert decision.name == "decide ios"
    assert decision.attributes["pointsman.id"] == "e1"
    assert decision.attributes["pointsman.status"] == "fallback"
    assert f"{decision.context.trace_id:032x}" == TRACE
    assert f"{decision.parent.span_id:016x}" == PARENT
    assert [one.name for one in (first, second)] == ["attempt m", "attempt spare"]
    assert first.attributes["error.type"] == "timeout"
    assert not first.status.is_ok
    assert second.start_time == first.end_time == decision.start_time + 100_000_000
    assert {one.parent.span_id for one in (first, second)} == {decision.context.span_id}


def test_requests_name_the_span_of_their_decision(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    """What a server does about an event stands in its decision's span, with the event's trace or without."""
    for came in (CAME, None):
        sent = tracing.context(came, "e1", {"tracestate": "a=b"})
        tracing.tell(record(status="ok", model="m", latency_ms=2.5), came)
        attempt, decision = spans.get_finished_spans()[-2:]
        _, trace, span, flags = sent["traceparent"].split("-")
        assert (int(trace, 16), int(span, 16)) == (decision.context.trace_id, decision.context.span_id)
        assert flags == "01"
        assert sent["tracestate"] == "a=b"
        assert attempt.parent.span_id == decision.context.span_id
        assert attempt.context.span_id != decision.context.span_id


def test_a_request_names_the_span_that_its_decision_lies_in(
    tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    """The router's span is the parent of the dispatcher's, with the event's trace or without."""
    for came in (CAME, None):
        headers = tracing.hand_over(record(), came)
        tracing.tell(record(status="ok", model="m", latency_ms=2.5), headers)
        routed, _, decided = spans.get_finished_spans()[-3:]
        assert routed.name == "route ios"
        assert decided.parent.span_id == routed.context.span_id != decided.context.span_id
        assert decided.context.trace_id == routed.context.trace_id
        assert (routed.parent is None) is (came is None)
    came = [("traceparent", f"00-{TRACE}-{PARENT}-00".encode())]
    assert dict(tracing.hand_over(record(), came))["traceparent"].endswith(b"-00")


def test_a_trace_that_is_not_sampled_stays_so(tracing: Tracing, spans: InMemorySpanExporter) -> None:
    """Where the event's context says not to record, no span is made, and requests say the same."""
    came = [("traceparent", f"00-{TRACE}-{PARENT}-00".encode())]
    tracing.tell(record(**FALLBACK), came)
    assert spans.get_finished_spans() == ()
    assert tracing.context(came, "e1", {})["traceparent"].endswith("-00")


@pytest.mark.parametrize("came", [b"", b"00-0-0-00", b"zz", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"])
def test_a_context_that_cannot_be_used_begins_a_new_trace(
    came: bytes, tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    """Headers come from anybody."""
    tracing.tell(record(**FALLBACK), [("traceparent", came)])
    assert spans.get_finished_spans()[-1].parent is None


def test_nobody_asked() -> None:
    """Without an address of OpenTelemetry's, or with traces off, none are made."""
    there = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
    assert asked_for(there)
    assert not asked_for({})
    assert not asked_for({**there, "OTEL_SDK_DISABLED": "true"})
    assert not asked_for({**there, "OTEL_TRACES_EXPORTER": "none"})
    assert open_tracing("p", {}) is None


class Collector(ThreadingHTTPServer):
    """Takes spans as an OpenTelemetry collector does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Takes)
        self.spans: list[Any] = []

    def named(self, name: str) -> list[Any]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]


class Takes(BaseHTTPRequestHandler):
    """One connection."""

    server: Collector

    def do_POST(self) -> None:
        """One request."""
        body = self.rfile.read(int(self.headers["content-length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Answering]:
    """A server of models."""
    with answering() as found:
        yield found


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment names."""
    with Collector() as found:
        thread = Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{found.server_address[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        yield found
        found.shutdown()
        thread.join()


def far(pipeline: Pipeline, server: Answering) -> None:
    """Has the pipeline send every event to the server."""
    pipeline.document["models"]["far"] = {
        "http": f"{server.address}/quick",
        "inputs": {"n": "n"},
        "outputs": {"n": "reply.n"},
        "timeout": "20s",
    }
    pipeline.document["routes"] = [{"name": "all", "use": "far"}]


def test_a_run_sends_its_traces(pipeline: Pipeline, server: Answering, collector: Collector) -> None:
    """Where the environment names a collector, it gets a span of each decision, and servers its context."""
    far(pipeline, server)
    pipeline.send(events(30))
    pipeline.run("--until-idle", "0.5")
    decisions = {span.span_id.hex(): span.trace_id.hex() for span in collector.named("decide all")}
    assert len(decisions) == 30
    assert {trace.split("-")[2]: trace.split("-")[1] for trace in server.traces.values()} == decisions
    assert len(collector.named("attempt far")) == 30


def test_a_trace_goes_over_the_hop(pipeline: Pipeline, server: Answering, collector: Collector) -> None:
    """Event, router, decision, attempt and the server's request lie in each other, in the event's trace."""
    far(pipeline, server)
    pipeline.document["write"] = {"headers": ["traceparent"]}
    records = [(event["k"], json.dumps(event)) for event in events(5)]
    pipeline.kafka.produce(pipeline.source, records, headers=CAME)
    pipeline.run("--role", "route", "--until-idle", "0.5")
    pipeline.run("--role", "dispatch", "--model", "far", "--until-idle", "0.5")
    routed = {span.span_id: span for span in collector.named("route all")}
    decided = {span.span_id: span for span in collector.named("decide all")}
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert {span.parent_span_id.hex() for span in routed.values()} == {PARENT}
    assert {span.parent_span_id for span in decided.values()} == set(routed)
    assert {span.parent_span_id for span in collector.named("attempt far")} == set(decided)
    assert {bytes.fromhex(trace.split("-")[2]) for trace in server.traces.values()} == set(decided)
    requests = pipeline.kafka.consume_all(f"{pipeline.name}.requests.far")
    named = [dict(message.headers())["traceparent"].decode().split("-")[2] for message in requests]
    assert {bytes.fromhex(span) for span in named} == set(routed)
    assert {dict(message.headers())["tracestate"] for message in requests} == {b"a=b"}
    for attempt in collector.named("attempt far"):
        decision = decided[attempt.parent_span_id]
        assert decision.start_time_unix_nano <= attempt.start_time_unix_nano
        assert attempt.end_time_unix_nano <= decision.end_time_unix_nano


def test_a_run_from_a_file_sends_its_traces(
    pipeline: Pipeline, server: Answering, collector: Collector
) -> None:
    """`run --events` makes the spans that a run on Kafka makes."""
    far(pipeline, server)
    (pipeline.folder / "events.jsonl").write_text("\n".join(json.dumps(event) for event in events(5)))
    out = BytesIO()
    run_file(load(pipeline.write()), str(pipeline.folder / "events.jsonl"), decisions=out)
    assert len(out.getvalue().splitlines()) == len(collector.named("decide all")) == 5
    assert len(collector.named("attempt far")) == 5
