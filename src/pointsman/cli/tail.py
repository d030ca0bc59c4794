"""`pointsman tail`: decisions as they are made, one line each."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from pointsman.base.errors import UsageError
from pointsman.cli import wire
from pointsman.cli.letters import Letter, letter_of
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Overlays, Pipeline, existing
from pointsman.cli.screen import Paint, clean, jsonish, pad, paint, say, warn, write_json

__all__ = ["clock_time", "decision_line", "letter_line", "tail"]

NAMES = ("v", "id", "time", "decided_at", "source", "event", "metadata", "decision", "result")
"""The members of a decision record, which `--where` sees."""


def tail(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    where: Annotated[
        str | None,
        typer.Option(metavar="CEL", help="Show those for which this expression over the record is true."),
    ] = None,
    last: Annotated[
        int, typer.Option("-n", "--last", min=0, help="Begin with this many that are there already.")
    ] = 10,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="earliest|latest|TIME", help="Begin there instead of --last."),
    ] = None,
    until_idle: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End when none came for so long; else at Ctrl-C.")
    ] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Follow the dead letters instead.")
    ] = False,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Follows decisions: when, which event, which route and model, and what it answered.

    --where is CEL over the decision record: id, time, source, event, metadata, decision, result.

    Examples:

      pointsman tail

      pointsman tail --where 'decision.route == "ios" && result.status != "ok"'

      pointsman tail payments.yaml --from earliest --until-idle 3 --json
    """
    from pointsman.spec import load

    if dead_letters and where:
        raise UsageError("--where reads decision records: leave it out with --dead-letters")
    wanted = _condition(where)
    document = load(existing(pipeline), overlay or ())
    topic = document.write.dead_letters if dead_letters else document.write.decisions
    start = _start(since, last)
    records = _fresh(wire.read(document.kafka, [topic], start, follow=True), until_idle)
    if start.last:
        records = _last_then_rest(records, start.last)
    show = _show_letter if dead_letters else _shower(wanted)
    for record in records:
        show(record, as_json)


def _condition(text: str | None) -> Callable[[Mapping[str, Any]], bool]:
    """The test that `--where` makes of a decision record; one that errs is not passed."""
    if text is None:
        return lambda _: True
    from pointsman.cli.where import condition

    return condition(text, NAMES)


def _start(since: str | None, last: int) -> wire.Start:
    """Where reading begins: `--from` as `run` reads it, else so many before the end."""
    if since is None:
        return wire.Start(last=last)
    from pointsman.runner.start import Begin

    begin = Begin.parse(since)
    return wire.Start(last=0) if begin.at_ms < 0 else wire.Start(at_ms=begin.at_ms)


def _fresh(records: Iterator[wire.Record | None], until_idle: float | None) -> Iterator[wire.Record | None]:
    """Ends when no record came for `until_idle` seconds."""
    seen = time.monotonic()
    for record in records:
        now = time.monotonic()
        if record is not None:
            seen = now
        elif until_idle is not None and now - seen >= until_idle:
            return
        yield record


def _last_then_rest(records: Iterator[wire.Record | None], count: int) -> Iterator[wire.Record | None]:
    """The `count` youngest of what is there already in order of time, then what comes."""
    there: list[wire.Record] = []
    for record in records:
        if record is None:
            break
        there.append(record)
    yield from heapq.nlargest(count, there, key=_age)[::-1]
    yield from records


def _age(record: wire.Record) -> tuple[int, int]:
    return record.timestamp, record.offset


def _shower(wanted: Callable[[Mapping[str, Any]], bool]) -> Callable[[wire.Record | None, bool], None]:
    colours = paint()

    def show(record: wire.Record | None, as_json: bool) -> None:
        if record is None or record.value is None:
            return
        try:
            decision = json.loads(record.value)
        except ValueError:
            warn(f"{record.topic}-{record.partition}-{record.offset} is not a decision record")
            return
        if wanted(decision):
            say(record.value.decode() if as_json else decision_line(decision, colours))

    return show


def _show_letter(record: wire.Record | None, as_json: bool) -> None:
    if record is None:
        return
    letter = letter_of(record)
    if as_json:
        write_json(letter.summary())
    else:
        say(letter_line(letter, paint()))


def decision_line(record: Mapping[str, Any], paint: Paint) -> str:
    """One decision as a line: time, id, route → model, share of a split, status, output, latency."""
    decision, result = record["decision"], record["result"]
    share = f" {decision['propensity'] * 100:.3g}%" if decision.get("candidates") else ""
    good = result["status"] == "ok"
    answered = "" if result["model"] == decision["model"] else f" (answered by {result['model']})"
    parts = [
        paint(clock_time(record["decided_at"]), "faint"),
        pad(clean(str(record["id"])), 12),
        pad(f"{decision['route']} → {paint(decision['model'], 'name')}{share}{answered}", 36),
        paint(result["status"], "good" if good else "bad"),
    ]
    if "output" in result:
        parts.append(jsonish(result["output"], limit=60))
    if "latency_ms" in result:
        parts.append(paint(f"{result['latency_ms']:.3g} ms", "faint"))
    if decision.get("errors_total"):
        total = decision["errors_total"]
        parts.append(paint(f"{total} error{'s' * (total != 1)}", "warn"))
    return "  ".join(parts)


def letter_line(letter: Letter, paint: Paint) -> str:
    """One dead letter as a line: time, id, reason, where it came from, what was wrong."""
    return "  ".join(
        [
            paint(clock_time(letter.timestamp), "faint"),
            pad(clean(letter.id), 12),
            pad(paint(letter.reason, "bad"), 12),
            paint(letter.place, "faint"),
            clean(letter.message),
        ]
    ).rstrip()


def clock_time(ms: int) -> str:
    """The time of day on this machine's clock, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000).strftime("%H:%M:%S.%f")[:-3]
