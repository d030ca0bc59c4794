"""A process that only wakes up, a thousand times a second: how late it is tells how busy the machine is.

python -m benchmarks.still: for each line on standard input, the 99th percentile since the last one, in ms.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

STEP = 0.001


class Still:
    """Such a process beside what is measured."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.still"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def late(self) -> float:
        """The 99th percentile of its lateness since this was asked last, in ms."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())


def main() -> None:
    """Ends with its standard input."""
    late: list[float] = []
    due = time.perf_counter()
    while True:
        due += STEP
        asked, _, _ = select.select([sys.stdin], [], [], max(0.0, due - time.perf_counter()))
        if asked:
            if not sys.stdin.readline():
                return
            print(sorted(late)[int(0.99 * len(late))] * 1000 if late else 0.0, flush=True)
            late, due = [], time.perf_counter()
        else:  # after a pause it catches up: each step that it slept through was late in its turn
            late.append(time.perf_counter() - due)


if __name__ == "__main__":
    main()
