"""`pointsman explain`: one event, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pointsman.base.errors import UsageError
from pointsman.cli import reading
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Overlays, Pipeline, existing
from pointsman.cli.screen import paint, prints_aside, say, write_json

if TYPE_CHECKING:
    from pointsman.base.records import Batch
    from pointsman.spec.document import Document

__all__ = ["explain"]


def explain(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    *,
    event: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE", help="The event, or a file of events; @- is standard input."),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Events in order, each of which sees those before it."),
    ] = None,
    line: Annotated[
        int | None, typer.Option(min=1, help="Which event of the file; the first of --event by default.")
    ] = None,
    state: Annotated[
        bool, typer.Option("--state", help="Show what windows hold of the event's key.")
    ] = False,
    key: Annotated[str | None, typer.Option(help="The record's Kafka key.")] = None,
    topic: Annotated[
        str | None, typer.Option(help="The record's topic; the first source by default.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A header of the record; may be given again."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="The record's time; now by default.")
    ] = None,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Shows what becomes of one event, step by step.

    How it was decoded, each metadata field, each route with the values that decided,
    what the model was given and answered, and the record that `run` would write.
    With --events, windows remember the events before; with --line, only that one is shown.

    Examples:

      pointsman explain --event @events.jsonl --line 3

      pointsman explain payments.yaml --event '{"amount": 1020}' --json

      pointsman explain --events events.jsonl --line 12 --state
    """
    from pointsman.cli.workbench import Workbench
    from pointsman.spec import load

    document = load(existing(pipeline), overlay or ())
    found = []
    with prints_aside(), Workbench(document) as bench:
        for number, value in _values(event, events, line, document.source.format):
            batch = _batch(document, value, key, topic, header or [], at)
            if events is not None and line is not None and number < line:
                bench.count(batch)
                continue
            told = asdict(bench.explain(batch))
            found.append(told if state else {name: part for name, part in told.items() if name != "state"})
            if line is not None:
                break
    if not found:
        raise UsageError(f"{events} has no event {line or ''}".rstrip())
    if as_json:
        write_json(found if events is not None and line is None else found[0], indent=2)
        return
    from pointsman.cli.explain_view import render

    say("\n\n\n".join(render(told, paint()) for told in found))


def _values(
    event: str | None, events: Path | None, line: int | None, source: str
) -> Iterable[tuple[int, bytes]]:
    """The events to look at, numbered from 1."""
    if event is not None and events is None:
        return [(line or 1, _value(event, line or 1, source))]
    if events is not None and event is None:
        return enumerate(reading.values(events, reading.format_of(events, source)), 1)
    raise UsageError("give --event, one event, or --events, a file of them that remember each other")


def _value(event: str, line: int, source: str) -> bytes:
    """The event's bytes: as typed, or a line of a file, for a source of that format."""
    if not event.startswith("@"):
        return event.encode("utf-8", "surrogateescape")
    path = Path(event[1:])
    number = 0
    for number, value in enumerate(reading.values(path, reading.format_of(path, source)), 1):
        if number == line:
            return value
    raise UsageError(f"{path} holds {number} events, so there is no --line {line}")


def _batch(
    document: Document, value: bytes, key: str | None, topic: str | None, header: list[str], at: str | None
) -> Batch:
    from pointsman.base.records import Batch

    now = time.time_ns() // 1_000_000
    headers = []
    for pair in header:
        name, equals, content = pair.partition("=")
        if not (name and equals):
            raise UsageError(f"--header is NAME=VALUE, not '{pair}'")
        headers.append((name, content.encode()))
    return Batch(
        [value],
        [None if key is None else key.encode()],
        [topic or document.source.topics[0]],
        [0],
        [0],
        [now if at is None else _moment(at)],
        [headers or None],
        now,
    )


def _moment(text: str) -> int:
    """Milliseconds since 1970 of a time in ISO 8601, UTC where it has no zone, or in such milliseconds."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--time is a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970, not '{text}'"
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
