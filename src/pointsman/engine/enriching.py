"""Writes the part of the generated function that adds an event's metadata, one field after another.

Most fields are computed where the event is. A field that remembers asks the store of the event's partition. A
field that is asked for in batches ends the loop over the events: what the rest of the function needs of them
is kept, all rows are handed over at once, and a second loop goes on with the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from pointsman.cel.values import MISSING
from pointsman.engine.parts import Parts
from pointsman.enrich.base import Batched, Binds, Enricher, Remembers, optional_of

__all__ = [
    "Segment",
    "absent",
    "bind_metadata",
    "carries",
    "head",
    "remembers",
    "segments",
    "write_answer",
    "write_asked",
    "write_asking",
    "write_fields",
    "write_memory",
    "write_onward",
    "write_recall",
    "write_restored",
    "write_watch",
]

FIRST_LOOP = (
    "for i, (raw, key, topic, partition, offset) in enumerate(zip(batch.values, batch.keys, "
    "batch.topics, batch.partitions, batch.offsets)):"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """The fields that are computed in one loop over the events.

    Attributes:
        fields: Their numbers.
        answered: The batched field whose answers the loop begins with; None for the first loop.
        asks: The batched field that the loop gathers rows for; None for the last loop.
    """

    fields: range
    answered: int | None
    asks: int | None


def segments(parts: Parts) -> list[Segment]:
    """The loops over a batch: one, and one more for each batched field."""
    found: list[Segment] = []
    first, answered = parts.leg.fields.start, None
    for n, _, enricher in _own(parts):
        if isinstance(enricher, Batched):
            found.append(Segment(range(first, n), answered, n))
            first, answered = n + 1, n
    return [*found, Segment(range(first, parts.leg.fields.stop), answered, None)]


def head(parts: Parts, segment: Segment) -> str:
    """The line that begins a loop."""
    n = segment.answered
    return FIRST_LOOP if n is None else f"for {_kept(parts, n)} in kept{n}:"


def bind_metadata(parts: Parts) -> None:
    """Makes the functions of fields, and the metadata's struct, known to the generated text."""
    code = parts.code
    for n, name, enricher in _own(parts):
        if isinstance(enricher, Binds):
            code.bind(f"bind{n}", enricher.bind)
            code.write(f"enrich{n} = bind{n}(tables)")
        elif isinstance(enricher, Batched):
            code.bind(f"ask{n}", enricher.asks(parts.functions[name]))
            code.write(f"kept{n}, waiting{n} = [], []")
    if carries(parts):
        code.write("here = there = None", f"max_ahead = {parts.max_ahead}")
        code.write("carried = list(batch.headers)", "stamps = list(batch.timestamps)")
    if parts.watched:
        code.write("watch = out.watch")
    if parts.enrichers:
        fields = [(f"m{n}", Any) for n in range(len(parts.enrichers))]
        names = {f"m{n}": name for n, (name, _) in enumerate(parts.enrichers)}
        code.bind("Metadata", msgspec.defstruct("Metadata", fields, gc=False, rename=names))


def carries(parts: Parts) -> bool:
    """Whether all headers and timestamps are at hand, as `carried` and `stamps`."""
    return remembers(parts) or parts.leg.onward is not None


def remembers(parts: Parts) -> bool:
    """Whether the function uses stores, whose failures end the batch."""
    return bool(_remembering(parts)) or _dedupes(parts)


def write_memory(parts: Parts) -> None:
    """What stores the event's partition has, and whether the event changes them."""
    remembering = _stores(parts)
    if remembering:
        _write_stores(parts, remembering, "topic", "partition")
    if parts.leg.begins and (remembering or parts.leg.onward is not None):
        _write_counts(parts)


def write_recall(parts: Parts, segment: Segment) -> None:
    """The stores of the event's partition in a later loop, which begins anew with the batch's first event."""
    if any(isinstance(parts.enrichers[n][1], Remembers) for n in segment.fields):
        _write_stores(parts, _stores(parts), "batch.topics[i]", "batch.partitions[i]")


def _write_stores(parts: Parts, names: list[str], topic: str, partition: str) -> None:
    """Takes the functions over the stores of a partition where it is not that of the event before."""
    write = parts.code.write
    with write.block(f"if {partition} != here or {topic} is not there:"):
        write("".join(f"{name}, " for name in names) + f"= out.recall({topic}, {partition})")
        write(f"here, there = {partition}, {topic}")


def _write_counts(parts: Parts) -> None:
    """Whether the event changes what is remembered."""
    write = parts.code.write
    write("counts = 1")
    with write.block("if (found := carried[i]) and redriven(found):"):
        write("counts = 0")
    if parts.time is not None:
        write("stamp = stamps[i]")
        with write.block("if when > (batch.now_ms if stamp == -1 else stamp) + max_ahead:"):
            write("counts = -1")
    if _dedupes(parts):
        assert parts.dedupe is not None
        parts.code.assign(
            "repeat = repeats(when, counts, {})",
            parts.dedupe.key,
            ["if isinstance(x, BROKEN):", "    raise", "repeat = False"],
            computed=0,
        )
        with write.block("if repeat:"):
            write("counts = 0")


def write_fields(parts: Parts, segment: Segment) -> None:
    """The fields of one loop, in order."""
    for n in segment.fields:
        _, enricher = parts.enrichers[n]
        fast, exact = _arguments(parts, n, enricher)
        first = ["age_of(batch, i, when)"] if getattr(enricher, "aged", False) else []
        if isinstance(enricher, Remembers):
            first = ["when", "counts", *first]
            called = True
        else:
            called = not isinstance(enricher, Binds) or enricher.bind({}) is not None or len(fast) != 1
        form = f"m{n} = enrich{n}({{}})" if called else f"m{n} = {{}}"
        text = form.format(", ".join([*first, *fast]))
        again = form.format(", ".join([*first, *exact])) if exact != fast else None
        parts.code.write(*parts.code.guarded(text, again, _failed(parts, n)))


def write_asking(parts: Parts, n: int) -> None:
    """Gathers the row of a batched field, and keeps what the next loop needs of the event."""
    code, (_, enricher) = parts.code, parts.enrichers[n]
    assert isinstance(enricher, Batched)
    fast, exact = _arguments(parts, n, enricher)
    if enricher.whole:
        text, again = f"row = {parts.enriched(n)}", None
    else:
        text = f"row = ({''.join(x + ', ' for x in fast)})"
        again = f"row = ({''.join(x + ', ' for x in exact)})" if exact != fast else None
    code.write("asked = True")
    code.write(*code.guarded(text, again, ["asked = False", *_failed(parts, n)]))
    with code.write.block("if asked:"):
        code.write(f"waiting{n}.append(row)", f"m{n} = None")
    code.write(f"kept{n}.append(({_kept(parts, n)}))")


def write_asked(parts: Parts, n: int) -> None:
    """Hands over the rows of all events at once, between two loops."""
    parts.code.write(f"answers{n} = answered(ask{n}, waiting{n})")


def write_answer(parts: Parts, n: int) -> None:
    """Takes the event's own answer."""
    write = parts.code.write
    with write.block("if asked:"):
        write(f"m{n} = next(answers{n})")
        with write.block(f"if isinstance(m{n}, Exception):"):
            write(f"x = m{n}", *_failed(parts, n))


def write_watch(parts: Parts) -> None:
    """Tells whoever watches what the fields are: `explain`, as asking a store twice would count twice."""
    if parts.watched:
        with parts.code.write.block("if watch is not None:"):
            parts.code.write(f"watch(i, {parts.code.slots.metadata_map()}, errors)")


def absent(parts: Parts) -> str:
    """Text that is true where a field is absent though nothing erred; empty where there is no such field."""
    return "".join(
        f" and m{n} is not MISSING"
        for n, (_, enricher) in enumerate(parts.enrichers)
        if n < parts.leg.fields.start or not isinstance(enricher, Binds)
    )


def write_restored(parts: Parts) -> None:
    """Takes over what an event brings along from the stage before."""
    write = parts.code.write
    write("hop = hops[i]")
    with write.block("if hop.__class__ is not Hop:"):
        write("raise hop")
    write(
        "topic, partition, offset = hop.topic, hop.partition, hop.offset",
        "ident, when, counts, repeat, errors = hop.id, hop.time, hop.counts, hop.repeat, hop.noted()",
        "order[i] = okey = hop.order",
    )
    if "now" in parts.code.slots.roots:
        write("now = Timestamp(when * 1000000)")
    for n in range(parts.leg.fields.start):
        write(f"m{n} = hop.metadata.get({parts.enrichers[n][0]!r}, MISSING)")


def write_onward(parts: Parts) -> None:
    """Sends the event on by the key of the window that comes next."""
    code, leg = parts.code, parts.leg
    assert leg.onward is not None
    n = leg.fields.stop
    code.assign("via = {}", leg.onward, ["via = MISSING"], computed=n)
    fields = "".join(f"({name!r}, m{number}), " for number, (name, _) in enumerate(parts.enrichers[:n]))
    repeat = "False" if parts.dedupe is None else "repeat"
    code.write(
        "move(batch, i, via, ident, when, okey, (key, topic, partition, offset), "
        f"counts, {repeat}, ({fields}), errors)"
    )


def _own(parts: Parts) -> list[tuple[int, str, Enricher]]:
    """The fields that the function computes, by number."""
    return [(n, *parts.enrichers[n]) for n in parts.leg.fields]


def _stores(parts: Parts) -> list[str]:
    """The names of the functions over stores, in the order in which `recall` gives them."""
    return [f"enrich{n}" for n in _remembering(parts)] + ["repeats"][: _dedupes(parts)]


def _remembering(parts: Parts) -> list[int]:
    return [n for n, _, enricher in _own(parts) if isinstance(enricher, Remembers)]


def _dedupes(parts: Parts) -> bool:
    """Whether the function tells repeats; a later stage is told."""
    return parts.dedupe is not None and parts.leg.begins


def _arguments(parts: Parts, n: int, enricher: Enricher) -> tuple[list[str], list[str]]:
    """The texts of what a field's function is given, fast and exact; optional ones are settled before."""
    code = parts.code
    inlines = [code.inline(program, n) for program in enricher.inputs]
    settled = []
    mistyped = getattr(enricher, "mistyped", False)
    for number, program in enumerate(optional_of(enricher)):
        text = code.inline(program, n).fast
        if not text.isidentifier():  # a name, or a constant, cannot fail
            failed = "MISSING"
            local = (
                code.slots.fields.get(next(iter(program.reads)).removeprefix("event.")) if mistyped else None
            )
            if local is not None and len(program.reads) == 1:
                failed = f"{local} if {local}.__class__ is Mistyped else MISSING"
            code.assign(f"o{n}_{number} = {{}}", program, [f"o{n}_{number} = {failed}"], computed=n)
            text = f"o{n}_{number}"
        settled.append(text)
    return [*(x.fast for x in inlines), *settled], [*(x.exact or x.fast for x in inlines), *settled]


def _failed(parts: Parts, n: int) -> list[str]:
    """The lines for a field that has no value because of the error `x`."""
    name, enricher = parts.enrichers[n]
    broken = []
    if isinstance(enricher, Remembers):
        broken = ["if isinstance(x, BROKEN):", "    raise"]
        broken += ["if x.__class__ is LateEvent:", f"    out.late[{name!r}] += 1"]
    if enricher.default is MISSING:
        return [*broken, f"m{n} = MISSING", f"errors = (errors or Errors()).note({'enrich.' + name!r}, x)"]
    default = parts.code.bind(f"default{n}", enricher.default)
    return [*broken, f"m{n} = {default}", f"out.defaulted[{'enrich.' + name!r}] += 1"]


def _kept(parts: Parts, n: int) -> str:
    """The locals that live on in the loop after the batched field `n`."""
    slots = parts.code.slots
    names = ["i", "raw", "key", "topic", "partition", "offset", "ident", "okey", "when", "errors", "asked"]
    names += slots.fields.values()
    names += list(slots.metadata.values())[: n + 1]
    names += [local for local in slots.roots.values() if not _table(local)]
    others = {
        "whole": slots.whole_event,
        "came": parts.decoder.open is not None,
        "counts": bool(_remembering(parts)) or parts.leg.onward is not None,
        "repeat": parts.dedupe is not None,
    }
    names += [name for name, there in others.items() if there]
    return ", ".join(dict.fromkeys(names))


def _table(local: str) -> bool:
    return local[0] == "t" and local[1:].isdigit()
