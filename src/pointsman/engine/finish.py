"""From replies to records: what a model answered completes a decision record, or makes a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pointsman.base.errors import InvalidReply, ModelError
from pointsman.base.records import DeadLetter
from pointsman.cel.program import describe
from pointsman.engine.decide import Call, Decided
from pointsman.engine.policy import ModelPlan, encode

__all__ = ["finish"]


def finish(decided: Decided, call: Call, replies: Sequence[Any], latency_ms: float) -> None:
    """Completes the records of one call.

    Args:
        decided: The batch's decisions; its `values` and `dead` are filled for the call's events.
        call: The call that was answered.
        replies: A reply or a ModelError for each row of `call.ready()`, in order.
        latency_ms: How long the call took.
    """
    plan, values = call.plan, decided.values
    closed = b"%b%.3f}}" % (plan.closed, latency_ms)
    opened, mapped = plan.opened, plan.mapped
    good = 0
    rows = zip(range(len(call.rows)), call.indices, call.heads, call.spread(replies), strict=True)
    for place, index, head, reply in rows:
        try:
            output = encode(reply if mapped is None else mapped(reply))
        except Exception:
            try:
                output = encode(_exactly(plan, reply, call.context[place] if call.context else {}))
            except ModelError as error:
                _failed(decided, plan, index, head, error, latency_ms)
                continue
            except Exception as error:
                _failed(decided, plan, index, head, InvalidReply(f"not JSON: {describe(error)}"), latency_ms)
                continue
        values[index] = b"".join((head, opened, output, closed))
        good += 1
    decided.statuses[plan.name, "ok"] += good


def _exactly(plan: ModelPlan, reply: Any, context: dict[str, Any]) -> Any:
    """The output of one reply; outputs are evaluated one by one, so that an error can name its output."""
    if isinstance(reply, ModelError):
        raise reply
    if plan.outputs is None:
        return reply
    names = {**context, "reply": reply}
    output = {}
    for name, program in plan.outputs:
        try:
            output[name] = program.evaluate(names)
        except Exception as error:
            raise InvalidReply(f"output {name!r} ({program.shown()}): {describe(error)}") from None
    return output


def _failed(
    decided: Decided, plan: ModelPlan, index: int, head: bytes, error: ModelError, latency_ms: float
) -> None:
    """The record says failed, and a dead letter with the same id keeps the event."""
    attempt: dict[str, Any] = {
        "model": plan.name,
        "status": "failed",
        "class": error.failure,
        "latency_ms": round(latency_ms, 3),
    }
    result = {"status": "failed", "model": plan.name, "attempts": [attempt]}
    decided.values[index] = head + encode(result) + b"}"
    decided.statuses[plan.name, "failed"] += 1
    decided.failures[plan.name, error.failure] += 1
    message = f"{plan.name}: {error.failure}: {error}"
    ident = _id_of(head + b"0}").id
    decided.dead.append(
        (index, DeadLetter(decided.batch.record(index), ident, "model_failed", message, [attempt]))
    )


class _Identified(msgspec.Struct):
    id: str


_id_of = msgspec.json.Decoder(_Identified).decode
