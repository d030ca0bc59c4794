"""`pointsman run --events FILE`: the same path from a file to standard output, with no broker."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from pointsman.base.clock import Clock, SystemClock
from pointsman.base.errors import EnvironmentFault, UsageError
from pointsman.base.records import Batch, DeadLetter
from pointsman.runner.flow import Flow
from pointsman.runner.host import Host
from pointsman.runner.letters import as_json
from pointsman.runner.metrics import Metrics
from pointsman.runner.order import Key
from pointsman.runner.partitions import Partition
from pointsman.spec.document import Document

__all__ = ["LinesOut", "run_file"]

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
        events: The file's name; `-` is standard input. Records name it as their topic, and the line,
            from 0, as their offset.
        most: End after so many events.
        decisions: Where decisions go; standard output by default.
        dead_letters: Where dead letters go; standard error by default.

    Returns:
        What was counted.
    """
    clock = clock or SystemClock()
    host = Host.open(document, clock=clock)
    try:
        out = LinesOut(decisions or sys.stdout.buffer, dead_letters or sys.stderr.buffer, host.metrics)
        flow = Flow(host, out, patience=_PATIENCE_SECONDS)
        topic = "stdin" if events == "-" else events
        owned = {(topic, 0): Partition(topic, 0)}
        for batch in _batches(islice(_lines(events), most), topic, clock):
            flow.take(batch, sum(map(len, filter(None, batch.values))), owned)
            while flow.events > document.limits.in_flight or flow.bytes > document.limits.bytes:
                flow.step(_SLICE_SECONDS)
            flow.step(0.0)
        while flow.events:
            flow.step(_SLICE_SECONDS)
        host.count_requests()
    finally:
        host.close()
    return host.metrics


def _lines(events: str) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number from 0 and without its line end."""
    try:
        with sys.stdin.buffer if events == "-" else Path(events).open("rb") as file:
            for number, line in enumerate(file):
                text = line.rstrip(b"\r\n")
                if text.strip():
                    yield number, text
    except FileNotFoundError:
        raise UsageError(
            f"{events} does not exist: name a file of events, or '-' for standard input"
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{events} is a folder: name a file of events in it") from None
    except OSError as error:
        raise EnvironmentFault(f"{events} cannot be read: {error.strerror or error}") from error


def _batches(lines: Iterable[tuple[int, bytes]], topic: str, clock: Clock) -> Iterator[Batch]:
    """Batches of lines; the first ones are small, so that somebody who types sees each answer."""
    lines = iter(lines)
    size = 1
    while found := list(islice(lines, size)):
        now, n = clock.now_ms(), len(found)
        yield Batch(
            values=[value for _, value in found],
            keys=[None] * n,
            topics=[topic] * n,
            partitions=[0] * n,
            offsets=[number for number, _ in found],
            timestamps=[now] * n,
            headers=[None] * n,
            now_ms=now,
            polled=clock.monotonic(),
        )
        size = min(size * 2, _BATCH)
