"""From replies to records: a reply completes a decision record; without one the next model is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pointsman.base.errors import InvalidInput, InvalidReply, ModelError
from pointsman.cel.program import describe
from pointsman.engine.decide import Call, Decided, Kept
from pointsman.engine.policy import Constant, ModelPlan, encode
from pointsman.engine.support import input_error, text_of
from pointsman.model.base import DISPATCHED, Costed, Row

__all__ = ["Attempts", "finish", "row_of"]

Attempts = Callable[[int], Sequence[dict[str, Any]]]
"""The attempts that a row took part in, as in `result.attempts`."""


def finish(
    decided: Decided,
    call: Call,
    replies: Sequence[Any],
    latency_ms: float,
    attempts: Attempts | None = None,
    *,
    expired: bool = False,
) -> list[Call]:
    """Completes the records of one call.

    Args:
        decided: The batch's decisions; its `values` and `dead` are filled for the call's events.
        call: The call that was answered.
        replies: A reply or a ModelError for each row of `call.ready()`, in order.
        latency_ms: How long the call took.
        attempts: The attempts made for each row, where a guard made them; all rows are then ready.
        expired: Whether the call's deadline has passed: no further model is asked.

    Returns:
        Calls to the models that stand in for this one; their events are not finished yet.
    """
    plan, values = call.plan, decided.values
    told = _Told(decided, call, latency_ms, attempts, expired)
    closed = b"%b%.3f}}" % (plan.closed, latency_ms)
    opened, mapped = plan.opened, plan.mapped
    plain = call.first
    good = 0
    rows = zip(range(len(call.rows)), call.indices, call.heads, call.spread(replies), strict=True)
    for place, index, head, reply in rows:
        try:
            output = encode(reply if mapped is None else mapped(reply))
        except Exception:
            told.slowly(place, reply)
            continue
        if plain and (attempts is None or len(attempts(place)) < 2):
            values[index] = b"".join((head, opened, output, closed))
            good += 1
        else:
            told.answered(place, output)
    decided.statuses[plan.name, "ok"] += good
    return list(told.follow.values())


class _Told:
    """What is out of the ordinary about the events of one call."""

    def __init__(
        self,
        decided: Decided,
        call: Call,
        latency_ms: float,
        attempts: Attempts | None,
        expired: bool,
    ) -> None:
        self.decided = decided
        self.call = call
        self.latency_ms = round(latency_ms, 3)
        self.attempts = attempts
        self.expired = expired
        self.follow: dict[str, Call] = {}

    def slowly(self, place: int, reply: Any) -> None:
        """An event whose reply is an error, or does not encode at once."""
        if isinstance(reply, ModelError):  # raised again, it and the frames of the call would hold each other
            self.unanswered(place, reply)
            return
        plan, kept = self.call.plan, self._kept(place)
        cost = None
        if isinstance(reply, Costed):
            reply, cost = reply.reply, reply.cost
        try:
            if reply is DISPATCHED:
                self._write(place, "dispatched", None)
            else:
                output = encode(_exactly(plan, reply, kept.names if kept else {}))
                self.answered(place, output, cost)
        except ModelError as error:
            self.unanswered(place, error)
        except Exception as error:
            self.unanswered(place, InvalidReply(f"not JSON: {describe(error)}"))

    def answered(self, place: int, output: bytes, cost: float | None = None) -> None:
        """An event that was answered, though not at the first attempt of the chosen model."""
        self._write(place, "ok" if self.call.first else "fallback", output, cost)

    def unanswered(self, place: int, error: ModelError) -> None:
        """The next one is asked; where there is none the record says so and a letter keeps the event."""
        name = self.call.plan.name
        self.decided.failures[name, error.failure] += 1
        history = self._history(place, error)
        kept = self._kept(place)
        while kept is not None and kept.next < len(kept.lane.rest):
            stop = kept.lane.rest[kept.next]
            kept.next += 1
            if isinstance(stop, Constant):
                self._constant(place, stop, history)
                return
            if not self.expired:
                kept.history = history
                self._ask(place, stop, kept)
                return
        status = "expired" if self.expired else "failed"
        self._result(place, {"status": status, "model": name, "attempts": history})
        self._bury(
            place, "expired" if self.expired else "model_failed", f"{name}: {error.failure}: {error}", history
        )

    def _kept(self, place: int) -> Kept | None:
        return self.call.kept[place] if self.call.kept else None

    def _history(self, place: int, error: ModelError | None) -> list[dict[str, Any]]:
        """All attempts made for an event, those of earlier models first; `error` is how it ended."""
        kept, name = self._kept(place), self.call.plan.name
        history = list(kept.history) if kept else []
        made = [] if self.attempts is None else list(self.attempts(place))
        if error is None:
            return history + (made or [{"model": name, "status": "ok", "latency_ms": self.latency_ms}])
        if made and made[-1]["status"] != "ok":
            return history + made
        last = {"model": name, "status": "failed", "class": error.failure, "latency_ms": self.latency_ms}
        return history + made[:-1] + [last]

    def _write(self, place: int, status: str, output: bytes | None, cost: float | None = None) -> None:
        plan, history = self.call.plan, self._history(place, None)
        result: dict[str, Any] = {"status": status, "model": plan.name}
        if output is not None:
            result["output"] = msgspec.Raw(output)
        if plan.version is not None:
            result["model_version"] = str(plan.version)
        result["latency_ms"] = self.latency_ms
        if len(history) > 1:
            result["attempts"] = history
        if cost is not None:
            result["cost"] = cost
        self._result(place, result)

    def _constant(self, place: int, constant: Constant, history: list[dict[str, Any]]) -> None:
        output = msgspec.Raw(constant.output)
        self._result(
            place, {"status": "fallback", "model": "constant", "output": output, "attempts": history}
        )

    def _result(self, place: int, result: dict[str, Any]) -> None:
        self.decided.values[self.call.indices[place]] = self.call.heads[place] + encode(result) + b"}"
        self.decided.statuses[result["model"], result["status"]] += 1

    def _ask(self, place: int, model: ModelPlan, kept: Kept) -> None:
        """Puts an event on the call of the model that stands in."""
        call = self.follow.get(model.name)
        if call is None:
            call = self.follow[model.name] = Call(model, self.call.deadline, first=False)
        index, head = self.call.indices[place], self.call.heads[place]
        call.indices.append(index)
        call.heads.append(head)
        call.kept.append(kept)
        call.rows.append(row_of(model, kept.names, head, self.decided.keys[index]))

    def _bury(self, place: int, reason: str, message: str, history: list[dict[str, Any]]) -> None:
        index, ident = self.call.indices[place], _record_of(self.call.heads[place] + b"0}").id
        self.decided.bury(index, ident, reason, message, history)


class _Head(msgspec.Struct):
    id: str
    time: int


_record_of = msgspec.json.Decoder(_Head).decode


def row_of(
    model: ModelPlan, names: dict[str, Any], head: bytes, key: str | bytes | None
) -> Row | InvalidInput:
    """What a model that stands in is given of an event."""
    if model.inputs is None:
        record = _record_of(head + b"0}")
        enriched = {"id": record.id, "time": record.time, "key": text_of(key)}
        return enriched | {"event": names["event"], "metadata": names["metadata"]}
    try:
        return tuple(program.evaluate(names) for _, program in model.inputs)
    except Exception as error:
        return input_error(model.name, error)


def _exactly(plan: ModelPlan, reply: Any, names: dict[str, Any]) -> Any:
    """The output of one reply; outputs are evaluated one by one, so that an error can name its output."""
    if plan.outputs is None:
        return reply
    names = {**names, "reply": reply}
    output = {}
    for name, program in plan.outputs:
        try:
            output[name] = program.evaluate(names)
        except Exception as error:
            raise InvalidReply(f"output {name!r} ({program.shown()}): {describe(error)}") from None
    return output
