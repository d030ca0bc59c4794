"""Whatever servers do, each event is answered once, with its own reply or an error, and by its deadline."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model.guard.virtual import Bench, Scripted, terms
from pointsman.base.errors import (
    InvalidInput,
    InvalidReply,
    ModelError,
    ModelInternal,
    ModelOverloaded,
    ModelRefused,
    ModelTimeout,
)
from pointsman.model.batching import BatchKeys
from pointsman.model.breaker import BreakerKeys
from pointsman.model.gate import Gate
from pointsman.model.limits import Limits

ERRORS = [
    ModelTimeout("x"), ModelRefused("x"), ModelOverloaded("x", 0.2), InvalidInput("x"), InvalidReply("x"),
    ModelInternal("x"),
]  # fmt: skip


def server(seed: int) -> Scripted:
    """A server that answers, is slow, hangs, fails, fails some rows, answers too few, or goes on."""
    chance = random.Random(seed)

    async def answer(rows: Sequence[Any]) -> Sequence[Any]:
        what = chance.randrange(9)
        if what == 0:
            raise chance.choice(ERRORS)
        if what == 1:
            await asyncio.sleep(chance.choice([0.05, 0.3, 2.0]))
        if what == 2:
            return [chance.choice(ERRORS) if chance.random() < 0.5 else ["to", row] for row in rows]
        if what == 3:
            return [["to", row] for row in rows[1:]]
        if what == 4:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                await asyncio.sleep(chance.choice([0.0, 0.1]))
        if what == 5:
            raise ConnectionResetError
        return [["to", row] for row in rows]

    def begin(rows: Sequence[Any]) -> Any:
        return answer(rows)

    return Scripted(begin, batches=chance.random() < 0.8)


@given(
    seed=st.integers(0, 2**32),
    batch=st.sampled_from(
        [None, BatchKeys(size=1), BatchKeys(size=3, wait=0.01), BatchKeys(size=16, wait=0.0)]
    ),
    attempts=st.integers(1, 4),
    concurrency=st.sampled_from([1, 3, 64]),
    rate=st.sampled_from([None, 50.0]),
    shared=st.booleans(),
    submissions=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.004, 0.1]),
            st.integers(1, 20),
            st.sampled_from([None, 0.0, 0.02, 0.25, 3.0]),
            st.integers(0, 1),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_each_row_is_answered_once_and_in_time(
    seed: int,
    batch: BatchKeys | None,
    attempts: int,
    concurrency: int,
    rate: float | None,
    shared: bool,
    submissions: list[tuple[float, int, float | None, int]],
) -> None:
    """No row is lost, answered twice or given another's reply; none is answered after its deadline; its
    attempts are told in order; and when all is over, nothing is held of any limit."""
    with Bench(random.Random(seed).random) as bench:
        gate = Gate(limits=Limits(2)) if shared else None
        breaker = BreakerKeys(calls=8, wait=0.3)
        models = [server(seed), server(seed + 1)]
        guards = [
            bench.guard(
                model,
                terms(
                    0.2,
                    attempts=attempts,
                    batch=batch,
                    breaker=breaker,
                    concurrency=concurrency,
                    rate=rate,
                    shared=gate,
                ),
                f"m{n}",
            )
            for n, model in enumerate(models)
        ]
        tickets, number = [], 0
        for passed, rows, left, which in submissions:
            bench.pass_(passed)
            deadline = float("inf") if left is None else bench.loop.time() + left
            tickets += bench.add(guards[which], range(number, number + rows), deadline)
            number += rows
            for ticket in tickets:
                assert bench.loop.time() <= ticket.deadline or ticket.claimed
        bench.pass_(60.0)
        finished = bench.finished()
        assert len(finished) == len(set(map(id, finished))) == len(tickets)
        for ticket in tickets:
            for row, (value,) in enumerate(ticket.rows):
                reply = ticket.replies[row]
                assert isinstance(reply, ModelError) or reply == ["to", value]
                told = ticket.attempts_of(row)
                oks = [attempt for attempt in told if attempt["status"] == "ok"]
                assert len(oks) == (not isinstance(reply, ModelError))
                assert not oks or told[-1] is oks[0]
            if ticket.began is not None and ticket.deadline < float("inf"):
                assert ticket.began + ticket.latency_ms / 1000 <= ticket.deadline + 1e-6
        for guard, model in zip(guards, models, strict=True):
            numbers = guard.numbers()
            assert (numbers.queued, numbers.under_way, model.under_way) == (0, 0, 0)
            assert sum(numbers.attempts.values()) == sum(numbers.sizes.values())
        assert gate is None or gate.limits.under_way == 0
