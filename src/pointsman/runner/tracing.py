"""OpenTelemetry traces, where the environment asks for them: a span for each decision and for each attempt.

    event's traceparent ──► span "decide ROUTE" ──► span "attempt MODEL", … ──► the server's own spans
                                   └─ its context goes along with requests

In a split deployment the router makes a span "route ROUTE" of each request that it writes. The request's
`traceparent` names it, and the dispatcher's "decide ROUTE" lies in it.

They are made from decision records as these are written, so that nothing is done for an event where nobody
asked. A decision's span has an id that follows from the event's id: requests name it before it exists, and an
event that is decided again gives the same span. Attempts are laid out one after the other by their
latencies; the pauses between them are not known any more.

References:
    W3C, Trace Context (2021), https://www.w3.org/TR/trace-context/; OpenTelemetry, "OTLP Exporter
    Configuration" and "SDK Environment Variables".
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from pointsman.base.records import Headers
from pointsman.runner.headers import HeadersFor

__all__ = ["Tracing", "asked_for", "open_tracing"]

_ASKS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class _Source(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _Decision(msgspec.Struct):
    route: str
    model: str
    policy: str


class _Result(msgspec.Struct):
    status: str
    model: str
    latency_ms: float = 0.0
    attempts: list[dict[str, Any]] = []


class _Request(msgspec.Struct):
    id: str
    decided_at: int
    source: _Source
    decision: _Decision


class _Record(_Request):
    result: _Result


_read = msgspec.json.Decoder(_Record).decode
_read_request = msgspec.json.Decoder(_Request).decode


def asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the environment names somebody who takes traces, and does not switch them off."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    off = off or environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    return not off and any(environment.get(name) for name in _ASKS)


def open_tracing(pipeline: str, environment: Mapping[str, str], *, hops: bool = False) -> Tracing | None:
    """Traces to where the environment says; None where it asks for none, or `pointsman[otel]` is missing.

    Args:
        hops: Whether decisions come from a router, as requests.
    """
    if not asked_for(environment):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return None
    return Tracing(pipeline, BatchSpanProcessor(OTLPSpanExporter()), hops=hops)


class Tracing:
    """Makes the spans of one worker; used by one thread."""

    def __init__(self, pipeline: str, processor: Any, *, hops: bool = False) -> None:
        """Args:
        pipeline: Its name; the service's, unless OTEL_SERVICE_NAME says otherwise.
        processor: A span processor of the SDK: where spans go.
        hops: Whether decisions come from a router: they waited before the first attempt.
        """
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """Gives the ids that were chosen, once, and random ones after that."""

            trace: int | None = None
            span: int | None = None

            def generate_trace_id(self) -> int:
                chosen, self.trace = self.trace, None
                return super().generate_trace_id() if chosen is None else chosen

            def generate_span_id(self) -> int:
                chosen, self.span = self.span, None
                return super().generate_span_id() if chosen is None else chosen

        self._ids = Ids()
        resource = Resource({"service.name": pipeline}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, id_generator=self._ids)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("pointsman")
        self._pipeline = pipeline
        self._hops = hops

    def context(self, came: Headers | None, ident: str, state: Mapping[str, str]) -> Mapping[str, str]:
        """The trace context of requests about an event: that of its decision's span.

        Args:
            came: The headers of the event.
            ident: Its id.
            state: What is forwarded where nobody traces; its `tracestate` is kept.
        """
        trace, span = self._chosen(ident)
        flags = "01"
        if parent := _parent(came):
            trace, flags = parent[0], f"{parent[2]:02x}"
        return {**state, "traceparent": f"00-{trace:032x}-{span:016x}-{flags}"}

    def around(self, make: HeadersFor | None) -> HeadersFor:
        """Makes headers as `make` does, and the span of each record that gets them."""

        def traced(value: bytes, came: Headers | None) -> list[tuple[str, bytes | None]]:
            self.tell(value, came)
            return [] if make is None else make(value, came)

        return traced

    def tell(self, value: bytes, came: Headers | None) -> None:
        """Makes the spans of one decision record, which is written now."""
        from opentelemetry import trace
        from opentelemetry.trace import SpanKind, Status, StatusCode

        record = _read(value)
        result = record.result
        span = self._begin("decide", record, came, self._chosen(record.id))
        span.set_attributes({"pointsman.status": result.status, "pointsman.answered_by": result.model})
        alone: dict[str, Any] = {"model": result.model, "status": "ok", "latency_ms": result.latency_ms}
        attempts = result.attempts or (alone,)
        inside, at = trace.set_span_in_context(span), record.decided_at * 1_000_000
        if self._hops:
            took = sum(one.get("latency_ms", 0.0) for one in attempts)
            at = max(at, time.time_ns() - int(took * 1e6))
        for one in attempts:
            attempt = self._tracer.start_span(
                f"attempt {one['model']}",
                inside,
                SpanKind.CLIENT,
                {"pointsman.model": one["model"]},
                start_time=at,
            )
            if "class" in one:
                attempt.set_attribute("error.type", one["class"])
                attempt.set_status(Status(StatusCode.ERROR, one["class"]))
            at += int(one.get("latency_ms", 0.0) * 1e6)
            attempt.end(at)
        if result.status in ("failed", "expired"):
            span.set_status(Status(StatusCode.ERROR, result.status))
        span.end(max(at, time.time_ns()))

    def hand_over(self, value: bytes, came: Headers | None) -> list[tuple[str, bytes | None]]:
        """Makes the span of one request, which is written now; returns the headers that name it."""
        request = _read_request(value)
        trace, _ = self._chosen(request.id)
        _, span = self._chosen(f"{request.id}\0request")
        made = self._begin("route", request, came, (trace, span))
        made.end(max(request.decided_at * 1_000_000, time.time_ns()))
        found = made.get_span_context()
        parent = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
        state = [header for header in came or () if header[0] == "tracestate"]
        return [("traceparent", parent.encode()), *state]

    def _begin(self, what: str, record: _Request, came: Headers | None, ids: tuple[int, int]) -> Any:
        """Begins a span about an event: with these ids, in the trace that the event brings if it does."""
        from opentelemetry import trace
        from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

        source, decision, context = record.source, record.decision, None
        self._ids.trace, self._ids.span = ids
        if parent := _parent(came):
            above = SpanContext(parent[0], parent[1], is_remote=True, trace_flags=TraceFlags(parent[2]))
            context, self._ids.trace = trace.set_span_in_context(NonRecordingSpan(above)), None
        span = self._tracer.start_span(
            f"{what} {decision.route}",
            context,
            SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.destination.name": source.topic,
                "messaging.destination.partition.id": str(source.partition),
                "messaging.kafka.offset": source.offset,
                "pointsman.id": record.id,
                "pointsman.route": decision.route,
                "pointsman.model": decision.model,
                "pointsman.policy": decision.policy,
            },
            start_time=record.decided_at * 1_000_000,
        )
        self._ids.trace = self._ids.span = None  # a sampler may have needed neither
        return span

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""
        self._provider.shutdown()

    def _chosen(self, ident: str) -> tuple[int, int]:
        """The ids of an event's trace, where it brings none, and of its decision's span; never 0."""
        digest = blake2b(f"{self._pipeline}\0{ident}".encode(), digest_size=24).digest()
        return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:]) or 1


def _parent(came: Headers | None) -> tuple[int, int, int] | None:
    """Trace id, span id and flags that an event brings; None where it brings none that can be used."""
    for name, value in came or ():
        if name == "traceparent" and value is not None and (match := _PARENT.fullmatch(value)):
            trace, span, flags = (int(part, 16) for part in match.groups())
            if trace and span:
                return trace, span, flags
    return None
