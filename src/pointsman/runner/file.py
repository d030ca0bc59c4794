"""`pointsman run --events FILE`: the same path from a file to standard output, with no broker."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.errors import EnvironmentFault, UsageError
from pointsman.base.records import Batch, DeadLetter
from pointsman.runner.flow import Flow
from pointsman.runner.host import Host
from pointsman.runner.letters import as_json
from pointsman.runner.logs import quiet
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.runner.partitions import Partition
from pointsman.runner.tracing import open_tracing
from pointsman.spec.document import Document
from pointsman.state.memory import Stores

__all__ = ["LinesOut", "run_file"]

_CHUNK_BYTES = 1 << 20
_BATCH = 1000
_PATIENCE_SECONDS = 0.01
_SLICE_SECONDS = 0.05


class LinesOut:
    """Decisions and dead letters as lines of JSON."""

    def __init__(self, decisions: BinaryIO, dead_letters: BinaryIO, metrics: Metrics) -> None:
        self._decisions = decisions
        self._dead_letters = dead_letters
        self._metrics = metrics

    def write(
        self,
        keys: Sequence[Key],  # noqa: ARG002  lines have neither
        values: Sequence[bytes],
        headers: Sequence[Any] | None,  # noqa: ARG002  nor these
    ) -> Sequence[int]:
        """Writes decision records; one whose event has line breaks is written without them."""
        lines = [
            msgspec.json.format(value, indent=-1) if b"\n" in value or b"\r" in value else value
            for value in values
        ]
        self._decisions.write(b"\n".join([*lines, b""]))
        self._decisions.flush()
        self._metrics.count("pointsman_decisions_total", len(values))
        return ()

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Writes dead letters."""
        for letter in letters:
            self._dead_letters.write(as_json(letter) + b"\n")
            self._metrics.count("pointsman_dead_letters_total", 1, letter.reason)
        self._dead_letters.flush()


def run_file(
    document: Document,
    events: str,
    *,
    most: int | None = None,
    decisions: BinaryIO | None = None,
    dead_letters: BinaryIO | None = None,
    clock: Clock | None = None,
) -> Metrics:
    """Decides every event of a file, one a line; blank lines are none.

    Args:
        events: The file's name; `-` is standard input. Records name the document's first topic as theirs, and
            the line, from 0, as their offset.
        most: End after so many events.
        decisions: Where decisions go; standard output by default.
        dead_letters: Where dead letters go; standard error by default.

    Returns:
        What was counted.
    """
    clock = clock or SystemClock()
    host = Host.open(document, clock=clock)
    host.tracing = open_tracing(document.pipeline, os.environ)
    try:
        host.follow_tables(quiet, everything=True)
        out = LinesOut(decisions or sys.stdout.buffer, dead_letters or sys.stderr.buffer, host.metrics)
        host.state = Stores(host.policy.stores)
        headers = None if host.tracing is None else host.tracing.around(None)
        flow = Flow(host, out, patience=_PATIENCE_SECONDS, headers=headers)
        topic = document.source.topics[0]
        owned = {(topic, 0): Partition(topic, 0)}
        for batch in _batches(_chunks(events), topic, clock, most):
            host.refresh_tables()
            flow.take(batch, sum(map(len, filter(None, batch.values))), owned)
            while flow.events > document.limits.in_flight or flow.bytes > document.limits.bytes:
                flow.step(_SLICE_SECONDS)
            flow.step(0.0)
            while events == "-" and flow.events and _nothing_typed():
                flow.step(_SLICE_SECONDS)
        while flow.events:
            flow.step(_SLICE_SECONDS)
        host.count_requests()
    finally:
        host.close()
        if host.tracing is not None:
            host.tracing.close()
    return host.metrics


def _chunks(events: str) -> Iterator[list[bytes]]:
    """The lines that are there, as soon as they are there: somebody who types sees each answer."""
    rest = b""
    try:
        with sys.stdin.buffer if events == "-" else Path(events).open("rb") as file:
            buffered: Any = file  # not every binary stream can be read so, but these can
            while found := buffered.read1(_CHUNK_BYTES):
                *lines, rest = (rest + found).split(b"\n")
                yield lines
    except FileNotFoundError:
        raise UsageError(
            f"{events} does not exist: name a file of events, or '-' for standard input"
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{events} is a folder: name a file of events in it") from None
    except OSError as error:
        raise EnvironmentFault(f"{events} cannot be read: {error.strerror or error}") from error
    yield [rest]


def _nothing_typed() -> bool:
    """Whether standard input has nothing to read yet, so that answers need not wait for it."""
    try:
        return not select.select([sys.stdin], [], [], 0)[0]
    except (OSError, ValueError):  # not something that can be waited for
        return False


def _batches(chunks: Iterable[list[bytes]], topic: str, clock: Clock, most: int | None) -> Iterator[Batch]:
    """Batches of the lines that are not blank, `most` of them in all."""
    number, left = 0, inf if most is None else most
    for lines in chunks:
        found = [(n, text) for n, line in enumerate(lines, number) if (text := line.rstrip(b"\r")).strip()]
        number += len(lines)
        if len(found) > left:
            found = found[: int(left)]
        left -= len(found)
        for start in range(0, len(found), _BATCH):
            some, now = found[start : start + _BATCH], clock.now_ms()
            yield Batch(
                values=[value for _, value in some],
                keys=[None] * len(some),
                topics=[topic] * len(some),
                partitions=[0] * len(some),
                offsets=[n for n, _ in some],
                timestamps=[now] * len(some),
                headers=[None] * len(some),
                now_ms=now,
                polled=clock.monotonic(),
            )
        if not left:
            return
