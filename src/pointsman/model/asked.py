"""Expressions of a protocol over the enriched event: what a request carries, and what its reply gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pointsman.base.errors import EvalError, InvalidInput, InvalidReply, Misfit
from pointsman.cel.program import Program
from pointsman.cel.values import Timestamp
from pointsman.model.base import Row

__all__ = ["event_only", "given", "names_of", "taken"]


def names_of(row: Row) -> Mapping[str, Any]:
    """The names that expressions see: of an enriched event, or none where a row is values of inputs."""
    if not isinstance(row, dict):
        return {}
    return {
        "event": row["event"],
        "metadata": row["metadata"],
        "key": row["key"],
        "now": Timestamp(row["time"] * 1_000_000),
    }


def given(what: str, program: Program, names: Mapping[str, Any]) -> Any:
    """What a request carries.

    Raises:
        InvalidInput: The expression has no value for this event.
    """
    try:
        return program.evaluate(names)
    except EvalError as error:
        raise InvalidInput(f"{what} ({program.shown()}): {error}") from None


def taken(what: str, program: Program, reply: Any, names: Mapping[str, Any]) -> Any:
    """What is taken from a reply.

    Raises:
        InvalidReply: The expression has no value for this reply.
    """
    try:
        return program.evaluate({**names, "reply": reply})
    except EvalError as error:
        raise InvalidReply(f"{what} ({program.shown()}): {error}") from None


def event_only(inputs: Any, programs: Iterable[tuple[tuple[str, ...], Program]]) -> None:
    """Refuses expressions over what a request does not have.

    Args:
        inputs: The model's inputs; where they are named, they stand in place of the event.
        programs: Each with its place.

    Raises:
        Misfit: One reads the event of a model with inputs, or the headers or topic of its record.
    """
    for path, program in programs:
        roots = {name.partition(".")[0] for name in program.reads} - {"reply"}
        if inputs is not None and roots:
            text = f"'{path[0]}' reads the event, and the model has 'inputs', which stand in its place"
            raise Misfit("E402", text, "leave the inputs out, or make them metadata", path)
        strange = sorted(roots - {"event", "metadata", "key", "now"})
        if strange:
            text = f"'{path[0]}' reads '{strange[0]}', which a request does not have"
            raise Misfit("E402", text, "read it in a metadata field under enrich", path)
