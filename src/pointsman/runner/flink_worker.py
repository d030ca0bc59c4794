"""The Python process of one task inside Flink: `python -m pointsman.runner.flink_worker`.

A Java operator starts it and exchanges frames with it over its standard input and output, each with its
length in front. It ends with its input, which ends with the task, however that ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import IO, Any, Final

from pointsman.base.clock import SystemClock
from pointsman.base.errors import MissingExtra, PointsmanError, SpecError, UsageError
from pointsman.runner import collector
from pointsman.runner.framed import Framed, ground_of
from pointsman.runner.logs import to_stream
from pointsman.runner.metrics import Metrics, Snapshot
from pointsman.runner.start import reach
from pointsman.spec import load

__all__ = ["Pipe", "from_json", "serve", "to_json"]

_LENGTH: Final = Struct("<i")
_ROOM: Final = 1 << 20
"""Bytes that the system keeps of each direction; a whole frame then passes without a pause."""
_FINAL: Final = (SpecError, UsageError, MissingExtra)
"""What will be the same when it is tried again."""


class Pipe:
    """Frames over a pair of files."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink

    def receive(self) -> bytes | None:
        """The next frame; None where there will be none."""
        head = self._source.read(4)
        if len(head) < 4:
            return None
        (size,) = _LENGTH.unpack(head)
        frame = self._source.read(size)
        return frame if len(frame) == size else None

    def send(self, *parts: bytes) -> None:
        """Sends one frame."""
        self._sink.write(_LENGTH.pack(sum(map(len, parts))))
        for part in parts:
            self._sink.write(part)
        self._sink.flush()

    def ask(self, frame: bytes) -> bytes:
        """Sends a frame and returns the answer.

        Raises:
            EOFError: There is nobody who answers.
        """
        self.send(frame)
        answer = self.receive()
        if answer is None:
            raise EOFError
        return answer


def serve(pipe: Pipe) -> None:
    """Answers frames until there are no more."""
    framed: Framed | None = None
    try:
        while (frame := pipe.receive()) is not None:
            kind = frame[:1]
            if kind == b"O":
                framed = _open(json.loads(frame[1:]), pipe)
                pipe.send(b"K{}")
                continue
            assert framed is not None, "a worker is told first what to open"
            if kind == b"R":
                pipe.send(framed.handle(frame))
            elif kind == b"M":
                framed.count()
                pipe.send(b"M", to_json(framed.metrics.snapshot()))
            else:
                raise ValueError(f"a frame of kind {kind!r} is none that a worker answers")
    finally:
        if framed is not None:
            framed.close()


def _open(told: dict[str, Any], pipe: Pipe) -> Framed:
    document = load(Path(told["document"]), tuple(map(Path, told["overlays"])))
    collector.calm()
    say = to_stream(SystemClock(), as_json=False)
    ground = ground_of(document, reach(document), told["role"])
    framed = Framed.open(document, ground, pipe.ask, role=told["role"], metrics=Metrics(), say=say)
    framed.own(told["partitions"])
    collector.settle(document.profile)
    return framed


def to_json(snapshot: Snapshot) -> bytes:
    """A snapshot as JSON: name, then pairs of labels and number."""
    found = {name: [[list(labels), value] for labels, value in by.items()] for name, by in snapshot.items()}
    return json.dumps(found).encode()


def from_json(found: dict[str, Any]) -> Snapshot:
    """The snapshot that was told so."""
    return {name: {tuple(labels): value for labels, value in pairs} for name, pairs in found.items()}


def main() -> None:
    """The whole life of a worker."""
    # Ctrl-C reaches every process of a terminal; whoever has the task decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = os.fdopen(os.dup(0), "rb", _ROOM), os.fdopen(os.dup(1), "wb", _ROOM)
    os.dup2(2, 1)  # what models print must not stand among frames
    sys.stdout = sys.stderr
    _widen(source, sink)
    pipe, code = Pipe(source, sink), 0
    try:
        serve(pipe)
    except (EOFError, BrokenPipeError):
        code = 1
    except Exception as error:
        code = 1
        final = error.exit_code if isinstance(error, _FINAL) else 0
        text = str(error) if isinstance(error, PointsmanError) else traceback.format_exc()
        with suppress(OSError):
            pipe.send(b"X", bytes([final]), text.encode("utf-8", "replace"))
    # An abandoned model call may sit in a thread that never ends.
    os._exit(code)


def _widen(*files: IO[bytes]) -> None:
    with suppress(ImportError, AttributeError, OSError):  # it is faster with it, and works without
        import fcntl

        for file in files:
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, _ROOM)


if __name__ == "__main__":
    main()
