"""What a window is given of the records of another topic, by a function generated for its expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pointsman.base.errors import RecordError
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING, Timestamp
from pointsman.engine.codegen import Code, Slots
from pointsman.engine.support import text_key
from pointsman.state.topic_table import Record

__all__ = ["reading"]

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def reading(
    required: Sequence[Program], optional: Sequence[Program], topic: str, *, decisions: bool
) -> Callable[[Record], tuple[Any, ...]]:
    """The function from a record to the values of these expressions, in order.

    It raises EvalError, or what an expression raises, where a required one has no value; an optional one is
    then MISSING. It raises RecordError where the record is no JSON object.

    Args:
        topic: The records' topic.
        decisions: Whether they are decision records, whose parts have names of their own.
    """
    programs = [*required, *optional]
    code = Code(Slots())
    code.names.update(
        MISSING=MISSING, Timestamp=Timestamp, opened=_opened, member=_member, text_key=text_key, topic=topic
    )
    slots: dict[str, str] = {}
    with code.write.block("def read(record):"):
        code.write("whole = opened(record.value)")
        for n, path in enumerate(sorted({path for program in programs for path in program.reads})):
            slots[path] = f"p{n}"
            code.write(f"p{n} = {_source(path, decisions)}")
        for n, program in enumerate(programs):
            inline = program.inline(slots)
            code.names.update(inline.constants)
            failed = ["raise"] if n < len(required) else [f"v{n} = MISSING"]
            exact = None if inline.exact is None else f"v{n} = {inline.exact}"
            code.write(*code.guarded(f"v{n} = {inline.fast}", exact, failed))
        code.write(f"return ({''.join(f'v{n}, ' for n in range(len(programs)))})")
    names = dict(code.names)
    exec(compile(code.write.text(), "<read>", "exec"), names)  # our own text; no record enters it
    read: Callable[[Record], tuple[Any, ...]] = names["read"]
    return read


def _source(path: str, decisions: bool) -> str:
    """The text of a slot's value."""
    root, _, name = path.partition(".")
    known = {
        "key": "text_key(record.key)",
        "topic": "topic",
        "now": "Timestamp(record.time * 1000000)",
    }
    if root in known:
        return known[root]
    part = f"member(whole, {root!r})" if decisions else "whole"
    return f"{part}.get({name!r}, MISSING)" if name else part


def _opened(value: bytes | None) -> dict[str, Any]:
    """A record's value as a map."""
    if value is None:
        raise RecordError("empty", "it has no value")
    try:
        if not value.isascii():
            value.decode()
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError("undecodable", f"it is no JSON object: {error}") from None


def _member(whole: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a decision record; an empty map where it has none."""
    found = whole.get(name)
    return found if isinstance(found, dict) else {}
