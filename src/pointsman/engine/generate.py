"""Writes the Python function that decides a batch: decode, enrich, route and choose, for one policy version.

One function per policy, so that an event costs no call, look-up or object that could have been settled when the policy was
built. What a policy generates, in outline:

    def decide(batch, out, tables):
        for i, raw in enumerate(values):
            try:
                e = decode(raw)                       # a Struct of the used fields only
                f0 = e.f0; ...
                ident, okey, when = ...               # id, key and time
                try: m0 = "high" if f1 > 5000 ...     # enrichers in order; an error leaves MISSING
                while True:                           # routes: the first true condition breaks out
                    try:
                        if f2 == "Singapore" and f1 > 1000: lane = lane3; break
                    except Exception as x: ...
                head = HEAD % (...)                   # everything of the record but its result
            except RecordError as x: ...              # dead letter

A condition is first run in its fast form; only when that raises does the exact form, with CEL's absorption of errors, decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pointsman.base.errors import RecordError
from pointsman.cel.program import Inline, Program
from pointsman.cel.values import MISSING, Timestamp
from pointsman.codec.base import EventDecoder
from pointsman.engine import support
from pointsman.engine.codegen import Code
from pointsman.engine.index import RouteIndex
from pointsman.engine.policy import Lanes, ModelPlan, RoutePlan, encode
from pointsman.enrich.base import Enricher

__all__ = ["Parts", "generate"]

CHAIN = 48
"""Up to so many routes are written out one after another; more go through the route index."""

HEAD = (
    b'{"v":1,"id":%b,"time":%d%b%b%d,"key":%b},"event":%b,"metadata":%b,"decision":%b,"result":'
)


@dataclass(slots=True)
class Parts:
    """What a policy is made of, before its function is written.

    Attributes:
        decoder: Reads a value's used fields.
    """

    id: Program | None
    key: Program | None
    time: Program | None
    enrichers: Sequence[tuple[str, Enricher]]
    routes: Sequence[RoutePlan]
    models: Sequence[ModelPlan]
    version: str
    tables: Sequence[str]
    decoder: EventDecoder
    max_bytes: int
    unmatched: str | None
    code: Code = field(init=False)

    def lanes(self, route: RoutePlan, reason: str) -> Lanes:
        """The lanes of `route` for `reason`."""
        return Lanes(route, reason, {model.name: model for model in self.models}, self.version)


def generate(parts: Parts, code: Code) -> tuple[str, Callable[..., None]]:
    """Writes and compiles the function for `parts`; `code` has the slots."""
    parts.code = code
    code.names.update(
        {
            **{name: getattr(support, name) for name in support.__all__},
            "HEAD": HEAD,
            "MISSING": MISSING,
            "RecordError": RecordError,
            "Timestamp": Timestamp,
            "decode": parts.decoder.decode,
            "decode_whole": parts.decoder.decode_whole,
            "encode": encode,
        }
    )
    write = code.write
    with write.block("def decide(batch, out, tables):"):
        _prologue(parts)
        with write.block(
            "for i, (raw, key, topic, partition, offset, when) in enumerate(zip(batch.values, batch.keys, "
            "batch.topics, batch.partitions, batch.offsets, batch.timestamps)):"
        ):
            with write.block("try:"):
                _decode(parts)
                _names(parts)
                _enrich(parts)
                _route(parts)
                _record(parts)
            with write.block("except RecordError as x:"):
                write("out.reject(batch, i, x)")
            with write.block("except Exception as x:"):
                write("out.broke(batch, i, x)")
    text = write.text()
    names = dict(code.names)
    exec(compile(text, "<policy>", "exec"), names)  # text of our own making; event content never enters it
    return text, names["decide"]


def _prologue(parts: Parts) -> None:
    code = parts.code
    code.write(
        "order = out.keys",
        "took = out.lanes.append",
        "at = b',\"decided_at\":%d,\"source\":' % batch.now_ms",
        "last_topic = last_partition = None",
    )
    for n, table in enumerate(parts.tables):
        if f"t{n}" in code.slots.roots.values():
            code.write(f"t{n} = tables[{table!r}]")
    for n, (_, enricher) in enumerate(parts.enrichers):
        code.bind(f"bind{n}", enricher.bind)
        code.write(f"enrich{n} = bind{n}(tables)")
    for model in parts.models:
        n = model.number
        code.write(
            f"call{n} = out.call({n})",
            f"index{n}, rows{n}, heads{n} = call{n}.indices.append, call{n}.rows.append, call{n}.heads.append",
        )
        if model.context:
            code.write(f"context{n} = call{n}.context.append")


def _decode(parts: Parts) -> None:
    code, slots = parts.code, parts.code.slots
    write = code.write
    with write.block(f"if raw is None or len(raw) > {parts.max_bytes}:"):
        write(f"raise unusable(raw, {parts.max_bytes})")
    write("e = decode(raw)")
    for name, local in slots.fields.items():
        write(f"{local} = e.{parts.decoder.attributes[name]}")
    if slots.whole_event or not parts.decoder.verbatim:
        write("whole = decode_whole(raw)")
    if "header_map" in slots.roots.values():
        write("header_map = headers_of(batch.headers[i])")
    if "kafka_key" in slots.roots.values():
        write("kafka_key = text_key(key)")
    write("errors = None")


def _names(parts: Parts) -> None:
    code, write = parts.code, parts.code.write
    default_id = 'ident = known(batch.headers[i]) or f"{topic}-{partition}-{offset}"'
    if parts.id is None:
        write(default_id)
    else:
        form = "ident = v if (v := {}).__class__ is str else id_of(v)"
        code.assign(form, parts.id, ["out.defaulted['id'] += 1", default_id], computed=0)
    if parts.key is None:
        write("okey = key")
    else:
        form = "order[i] = okey = v if (v := {}).__class__ is str else id_of(v)"
        code.assign(form, parts.key, ["out.defaulted['key'] += 1", "okey = key"], computed=0)
    if parts.time is not None:
        form = "moment = v if (v := {}).__class__ is int and 0 <= v < 253402300800000 else time_of(v)"
        code.assign(form, parts.time, ["out.defaulted['time'] += 1", "moment = -1"], computed=0)
        with write.block("if moment != -1:"):
            write("when = moment")
    with write.block("if when == -1:"):
        write("when = batch.now_ms")
    if "now" in code.slots.roots:
        write("now = Timestamp(when * 1000000)")


def _enrich(parts: Parts) -> None:
    code = parts.code
    names = [name for name, _ in parts.enrichers]
    for n, (name, enricher) in enumerate(parts.enrichers):
        inlines = [code.inline(program, n) for program in enricher.inputs]
        call = "m{n} = enrich{n}({args})" if enricher.bind({}) is not None or len(inlines) != 1 else "m{n} = {args}"
        fast = call.format(n=n, args=", ".join(x.fast for x in inlines))
        exact = call.format(n=n, args=", ".join(x.exact or x.fast for x in inlines))
        failed = [f"m{n} = MISSING", f"errors = (errors or Errors()).note({'enrich.' + name!r}, x)"]
        code.write(*code.guarded(fast, exact if any(x.exact for x in inlines) else None, failed))
    if not names:
        return
    struct = msgspec.defstruct(
        "Metadata",
        [(f"m{n}", Any) for n in range(len(names))],
        gc=False,
        rename={f"m{n}": name for n, name in enumerate(names)},
    )
    code.bind("Metadata", struct)


def _route(parts: Parts) -> None:
    code, write = parts.code, parts.code.write
    if any(route.strategy.sticky for route in parts.routes):
        write("unit = None")
    if len(parts.routes) <= CHAIN:
        with write.block("while True:"):
            for route in parts.routes:
                _tried(parts, route)
                if route.when is None and route.python is None:
                    break
            else:
                write("lane = out.unmatched(batch, i, ident, errors)", "break")
    else:
        _indexed(parts)
    with write.block("if lane is None:"):
        write("continue")


def _tried(parts: Parts, route: RoutePlan) -> None:
    """One route written out."""
    code, write = parts.code, parts.code.write
    if route.when is None and route.python is None:
        write(*_taken(parts, route, "default"))
        return
    inline = _condition(parts, route)
    taken = ["    " + line for line in _taken(parts, route, "rule")]
    failed = [f"errors = (errors or Errors()).note({'routes.' + route.name!r}, x)"]
    failed += _on_error(parts, route)
    exact = None if inline.exact is None else [f"if {inline.exact}:", *taken]
    write(*code.guarded([f"if {inline.fast}:", *taken], exact, failed))


def _on_error(parts: Parts, route: RoutePlan) -> list[str]:
    if route.on_error == "match":
        return _taken(parts, route, "on_error")
    if route.on_error == "dead_letter":
        return [f"lane = out.rule_error(batch, i, ident, {route.name!r}, x)", "break"]
    return []


def _condition(parts: Parts, route: RoutePlan) -> Inline:
    code = parts.code
    if route.python is not None:
        return Inline(f"verdict({code.bind(f'python{route.number}', route.python)}([{_enriched(parts)}]))", None, {})
    assert route.when is not None
    inline = code.inline(route.when)
    if route.when.result == "bool":
        return inline
    return Inline(f"bool_of({inline.fast})", inline.exact and f"bool_of({inline.exact})", {})


def _taken(parts: Parts, route: RoutePlan, reason: str) -> list[str]:
    """The lines that settle the lane of a route that was taken."""
    code, name = parts.code, f"lanes{route.number}_{reason}"
    lanes = parts.lanes(route, reason)
    if not route.strategy.sticky:
        lane = lanes.add(route.strategy.choose(""))
        return [f"lane = {code.bind(f'lane{route.number}_{reason}', lane)}", "break"]
    code.bind(name, lanes)
    choose = code.bind(f"choose{route.number}", route.strategy.choose)
    return [
        *_unit(parts, route),
        f"choice = {choose}(unit)",
        f"lane = {name}.get(id(choice)) or {name}.add(choice)",
        "break",
    ]


def _unit(parts: Parts, route: RoutePlan) -> list[str]:
    """The lines that find what sticks; without a value it is the record's key, and that is noted."""
    if route.unit is None:
        return ["unit = unit_of(okey, ident)"]
    form = "unit = v if (v := {}).__class__ is str else id_of(v)"
    inline = parts.code.inline(route.unit)
    failed = [
        f"errors = (errors or Errors()).note({'routes.' + route.name + '.unit'!r}, x)",
        "unit = unit_of(okey, ident)",
    ]
    return parts.code.guarded(form.format(inline.fast), inline.exact and form.format(inline.exact), failed)


def _indexed(parts: Parts) -> None:
    """Many routes: the index names those that can match, each tried by a function of its own."""
    code, write = parts.code, parts.code.write
    every = [*code.slots.fields.values(), *code.slots.metadata.values(), *code.slots.roots.values()]
    every += ["whole"] if code.slots.whole_event else []
    args = ", ".join(dict.fromkeys(every))
    index = RouteIndex([route.when if route.python is None else None for route in parts.routes])
    code.bind("candidates", index.candidates)
    tries, exacts = [], []
    for route in parts.routes:
        if route.when is None or route.python is not None:
            tries.append(None)
            exacts.append(None)
            continue
        inline = _condition(parts, route)
        tries.append(f"lambda {args}: {inline.fast}")
        exacts.append(inline.exact and f"lambda {args}: {inline.exact}")
    code.bind("tries", _compiled(tries, code.names))
    code.bind("exacts", _compiled(exacts, code.names))
    code.bind("routes", parts.routes)
    reasons = ("rule", "default", "on_error")
    code.bind("lanes", {(route.number, why): parts.lanes(route, why) for route in parts.routes for why in reasons})
    paths = code.slots.paths()
    looked = ", ".join(paths[path] for path in index.paths)
    with write.block(f"for number in candidates({looked}):"):
        write("route = routes[number]", "reason = 'rule'")
        with write.block("try:"):
            write("test = tries[number]")
            with write.block("if test is not None:"):
                with write.block(f"if not test({args}):"):
                    write("continue")
            with write.block("elif route.python is not None:"):
                with write.block(f"if not verdict(route.python([{_enriched(parts)}])):"):
                    write("continue")
            with write.block("else:"):
                write("reason = 'default'")
        with write.block("except Exception as first:"):
            with write.block("try:"):
                write("test = exacts[number]")
                with write.block("if test is None:"):
                    write("raise first")
                with write.block(f"if not test({args}):"):
                    write("continue")
            with write.block("except Exception as x:"):
                write("errors = (errors or Errors()).note('routes.' + route.name, x)")
                with write.block("if route.on_error == 'next':"):
                    write("continue")
                with write.block("if route.on_error == 'dead_letter':"):
                    write("lane = out.rule_error(batch, i, ident, route.name, x)", "break")
                write("reason = 'on_error'")
        if any(route.strategy.sticky for route in parts.routes):
            with write.block("if route.strategy.sticky:"):
                write(f"unit = unit_for(route.unit, lambda: {_context(parts)}, okey, ident)")
            write("choice = route.strategy.choose(unit)")
        else:
            write("choice = route.strategy.choose('')")
        write("taken = lanes[number, reason]", "lane = taken.get(id(choice)) or taken.add(choice)", "break")
    with write.block("else:"):
        write("lane = out.unmatched(batch, i, ident, errors)")


def _compiled(texts: Sequence[str | None], names: dict[str, Any]) -> list[Any]:
    body = ",\n".join(text or "None" for text in texts)
    return list(eval(compile(f"[\n{body}\n]", "<routes>", "eval"), names))  # text of our own making


def _record(parts: Parts) -> None:
    """The head of the decision record, and the event's place in its model's call."""
    code, write = parts.code, parts.code.write
    sticky = any(route.strategy.sticky for route in parts.routes)
    if parts.enrichers:
        fields = "".join(f"{local}, " for local in code.slots.metadata.values())
        write(f"meta = encode(Metadata({fields})) if errors is None else encode({code.slots.metadata_map()})")
    else:
        write("meta = b'{}'")
    plain = "errors is None and unit is None" if sticky else "errors is None"
    unit = "unit" if sticky else "None"
    write(f"decision = lane.decision if {plain} else with_more(lane.opened, {unit}, errors)")
    with write.block("if errors is not None:"):
        write("out.erred(errors)")
    with write.block("if partition != last_partition or topic is not last_topic:"):
        write("last_topic, last_partition = topic, partition")
        write("source = b'{\"topic\":%b,\"partition\":%d,\"offset\":' % (encode(topic), partition)")
    with write.block("try:"):
        write("told = b'null' if key is None else encode(key.decode())")
    with write.block("except UnicodeDecodeError:"):
        write("told = json_key(key)")
    event = "raw" if parts.decoder.verbatim else "encode(whole)"
    write(f"head = HEAD % (encode(ident), when, at, source, offset, told, {event}, meta, decision)")
    _rows(parts)
    write("took(lane)")


def _rows(parts: Parts) -> None:
    """What the lane's model gets of the event."""
    code, write = parts.code, parts.code.write
    write("number = lane.model.number")
    for model in parts.models:
        n = model.number
        with write.block(f"{'if' if model is parts.models[0] else 'elif'} number == {n}:"):
            if model.inputs is None:
                write(f"row = {_enriched(parts)}")
            else:
                inlines = [code.inline(program) for _, program in model.inputs]
                fast = "row = (" + "".join(f"{x.fast}, " for x in inlines) + ")"
                exact = "row = (" + "".join(f"{x.exact or x.fast}, " for x in inlines) + ")"
                failed = [f"row = input_error({model.name!r}, x)"]
                write(*code.guarded(fast, exact if any(x.exact for x in inlines) else None, failed))
            if model.context:
                write(f"context{n}({_context(parts)})")
            write(f"index{n}(i)", f"rows{n}(row)", f"heads{n}(head)")


def _enriched(parts: Parts) -> str:
    slots = parts.code.slots
    return (
        f'{{"id": ident, "time": when, "key": text_of(okey), "event": {slots.event_map()}, '
        f'"metadata": {slots.metadata_map()}}}'
    )


def _context(parts: Parts) -> str:
    """The names an expression evaluated on the side sees."""
    slots = parts.code.slots
    roots = "".join(f', {root!r}: {local}' for root, local in slots.roots.items())
    return f'{{"event": {slots.event_map()}, "metadata": {slots.metadata_map()}{roots}}}'
