"""What the guard adds to a call of a remote model, in this process: `python -m benchmarks.guard`.

The model answers at once, so that everything that is measured is overhead. *Many at once*: 2,000 rows are
submitted and waited for, each a request with a deadline, a timeout, a retry budget, a breaker and a place
among 64. *One by one*: a row is submitted and waited for before the next, which costs two changes of thread
whatever is done in between. Beside it, in the same rounds, the least that code without a guard pays for the
same: a task with `asyncio.timeout` and a semaphore for each call, and a coroutine handed to another thread.
"""

from __future__ import annotations

import asyncio
import platform
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pointsman.model.batching import BatchKeys
from pointsman.model.breaker import Breaker, BreakerKeys
from pointsman.model.caller import Caller
from pointsman.model.gate import CONCURRENCY, Gate, Terms
from pointsman.model.limits import Limits
from pointsman.model.remote import Ask
from pointsman.runner import collector

ROWS, ROUNDS, SINGLES = 2000, 21, 500


class Nothing:
    """A remote model that answers at once."""

    batches = True
    version = None

    async def request(self, rows: Sequence[Any], ask: Ask) -> Sequence[Any]:  # noqa: ARG002  # the role's signature
        return rows

    async def close(self) -> None:
        return


def _terms(batch: BatchKeys | None) -> Terms:
    gate = Gate(Breaker(BreakerKeys()), Limits(CONCURRENCY))
    return Terms(timeout=1.0, batch=batch, gates=(gate,))


def _many(caller: Caller, model: str, deadline: float | None) -> None:
    rows = [(n,) for n in range(ROWS)]
    parts = caller.submit(model, rows, None, None if deadline is None else time.monotonic() + deadline)
    caller.wait([part.ticket for part in parts], 30)


async def _bare_many() -> None:
    model, places = Nothing(), asyncio.Semaphore(CONCURRENCY)

    async def one(row: tuple[int]) -> Any:
        async with places, asyncio.timeout(1.0):
            return await model.request([row], Ask(1.0, [""], {}))

    await asyncio.gather(*[one((n,)) for n in range(ROWS)])


def _singles(call: Callable[[], object]) -> float:
    """The median microseconds of a call that is waited for."""
    took = []
    for _ in range(SINGLES):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e6


def _row(work: Callable[[], object]) -> float:
    """CPU microseconds a row, of all threads."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / ROWS * 1e6


def main() -> None:
    """Measures in interleaved rounds and prints medians with their range."""
    collector.calm()
    models = {"single": Nothing(), "batched": Nothing()}
    caller = Caller(
        models, {"single": _terms(None), "batched": _terms(BatchKeys(size=32, wait=0.0))}, 1_000_000
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def one() -> None:
        caller.wait([part.ticket for part in caller.submit("single", [(1,)])], 30)

    def bare() -> None:
        asyncio.run_coroutine_threadsafe(models["single"].request([(1,)], Ask(1.0, [""], {})), loop).result()

    contenders: dict[str, Callable[[], float]] = {
        "many at once, guarded": lambda: _row(lambda: _many(caller, "single", None)),
        "many at once, guarded, with a deadline": lambda: _row(lambda: _many(caller, "single", 0.5)),
        "many at once, guarded, 32 a request": lambda: _row(lambda: _many(caller, "batched", 0.5)),
        "many at once, task + timeout + semaphore": lambda: _row(lambda: asyncio.run(_bare_many())),
        "one by one, guarded": lambda: _singles(one),
        "one by one, run_coroutine_threadsafe": lambda: _singles(bare),
    }
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            found[name].append(run())
    caller.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    print(f"Python {platform.python_version()}, {ROUNDS} interleaved rounds; no-op model")
    print(f"\n{'µs a row':42}{'median':>8}{'min':>8}{'max':>8}")
    for name, values in found.items():
        print(f"{name:42}{statistics.median(values):8.1f}{min(values):8.1f}{max(values):8.1f}")


if __name__ == "__main__":
    main()
