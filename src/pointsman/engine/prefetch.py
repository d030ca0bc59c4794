"""Which keys a batch will look up in tables whose rows must be asked for, found before it is decided.

Deciding never waits, so a table's Python function is asked first. What its look-ups' keys are made of (the
event, expressions, other look-ups) is computed here by a function generated like that of the policy, without
routes and records; nothing of it is kept, and errors are left to the deciding that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pointsman.base.records import Batch
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING, Timestamp
from pointsman.codec.cloudevents import MARK
from pointsman.engine import support
from pointsman.engine.codegen import Code, Slots
from pointsman.engine.policy import Policy
from pointsman.enrich.base import Binds, Tables

__all__ = ["Look", "looking"]

Look = Callable[[Batch, Tables], None]
"""Looks up what a batch will look up, in these tables, and forgets what it finds."""


def looking(policy: Policy, fields: Collection[str]) -> Look:
    """The function that computes these metadata fields of each event of a batch.

    Args:
        policy: The version in force.
        fields: Look-ups, and the fields that their keys need; all are expressions or look-ups.
    """
    enrichers = [
        (name, enricher)
        for name, enricher in policy.enrichers
        if name in fields and isinstance(enricher, Binds)
    ]
    programs = [program for _, enricher in enrichers for program in enricher.inputs]
    uses_now = any("now" in program.reads for program in programs)
    if uses_now and policy.time is not None:
        programs.append(policy.time)
    slots = Slots.of(programs, [name for name, _ in enrichers], policy.tables)
    code = Code(slots)
    code.names.update({name: getattr(support, name) for name in support.__all__})
    code.names.update(
        MISSING=MISSING,
        Timestamp=Timestamp,
        decode=policy.decoder.decode,
        decode_whole=policy.decoder.decode_whole,
        unpack=policy.decoder.open,
    )
    _write(code, policy, enrichers, policy.time if uses_now else None, uses_now=uses_now)
    names = dict(code.names)
    exec(compile(code.write.text(), "<look>", "exec"), names)  # our own text; event content never enters it
    look: Look = names["look"]
    return look


def _write(
    code: Code,
    policy: Policy,
    enrichers: Sequence[tuple[str, Binds]],
    time: Program | None,
    *,
    uses_now: bool,
) -> None:
    write, slots = code.write, code.slots
    with write.block("def look(batch, tables):"):
        for n, table in enumerate(policy.tables):
            if f"t{n}" in slots.roots.values():
                write(f"t{n} = tables[{table!r}]")
        for n, (_, enricher) in enumerate(enrichers):
            code.bind(f"bind{n}", enricher.bind)
            write(f"enrich{n} = bind{n}(tables)")
        with write.block(
            "for i, (raw, key, topic) in enumerate(zip(batch.values, batch.keys, batch.topics)):"
        ):
            with write.block("try:"):
                _decode(code, policy)
                if "header_map" in slots.roots.values():
                    write(f"header_map = headers_of({_headers(policy)})")
                if "kafka_key" in slots.roots.values():
                    write("kafka_key = text_key(key)")
            with write.block("except Exception:"):
                write("continue")
            if uses_now:
                _now(code, policy, time)
            for n, (_, enricher) in enumerate(enrichers):
                _field(code, n, enricher)


def _decode(code: Code, policy: Policy) -> None:
    write, slots, decoder = code.write, code.slots, policy.decoder
    if decoder.open is not None:
        write("came = None")
        with write.block(f"if {MARK!r} in raw and (opened := unpack(raw, batch.headers[i])) is not None:"):
            write("raw, came = opened")
    if decoder.single or slots.whole_event:
        write("whole = decode_whole(raw)")
    if not decoder.single:
        write("e = decode(raw)")
    for name, local in slots.fields.items():
        write(
            f"{local} = whole.get({name!r}, MISSING)"
            if decoder.single
            else f"{local} = e.{decoder.attributes[name]}"
        )


def _headers(policy: Policy) -> str:
    """The text of an event's headers: those of its record, or what its envelope said."""
    return "batch.headers[i]" if policy.decoder.open is None else "(came or batch.headers[i])"


def _now(code: Code, policy: Policy, time: Program | None) -> None:
    default = f"when = record_time(batch, i, {_headers(policy)})"
    if time is None:
        code.write(default)
    else:
        code.assign("when = time_of({})", time, [default], computed=0)
    code.write("now = Timestamp(when * 1000000)")


def _field(code: Code, n: int, enricher: Binds) -> None:
    """The value of one field; MISSING or its default where it has none."""
    inlines = [code.inline(program, n) for program in enricher.inputs]
    called = enricher.bind({}) is not None or len(inlines) != 1
    form = f"m{n} = enrich{n}({{}})" if called else f"m{n} = {{}}"
    fast = form.format(", ".join(one.fast for one in inlines))
    exact = form.format(", ".join(one.exact or one.fast for one in inlines))
    absent: Any = code.bind(f"default{n}", enricher.default)
    failed = [f"m{n} = {absent}"]
    code.write(*code.guarded(fast, exact if any(one.exact for one in inlines) else None, failed))
