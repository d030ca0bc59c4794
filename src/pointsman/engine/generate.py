"""Writes the Python function that decides a batch: decode, enrich, route and choose, for one policy version.

One function per policy, so that an event costs no call, look-up or object that could have been settled when
the policy was built. What a policy generates, in outline:

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

A condition is first run in its fast form; only when that raises does the exact form, with CEL's absorption of
errors, decide.
"""

from __future__ import annotations

from collections.abc import Callable

from pointsman.base.errors import EnvironmentFault, LateEvent, RecordError, StateError
from pointsman.cel.values import MISSING, Mistyped, Timestamp
from pointsman.codec.cloudevents import MARK
from pointsman.engine import support
from pointsman.engine.decide import Kept
from pointsman.engine.enriching import (
    Segment,
    absent,
    bind_metadata,
    carries,
    head,
    remembers,
    segments,
    write_answer,
    write_asked,
    write_asking,
    write_fields,
    write_memory,
    write_onward,
    write_recall,
    write_restored,
    write_watch,
)
from pointsman.engine.hops import Hop
from pointsman.engine.parts import Parts
from pointsman.engine.policy import encode
from pointsman.engine.routing import write_routes

__all__ = ["generate"]

HEAD = b'{"v":1,"id":%b,"time":%d%b%b%d,"key":%b},"event":%b,"metadata":%b,"decision":%b,"result":'


def generate(parts: Parts) -> tuple[str, Callable[..., None]]:
    """The text of the function for `parts`, and the function."""
    code = parts.code
    code.names.update(
        {
            **{name: getattr(support, name) for name in support.__all__},
            "HEAD": HEAD,
            "MISSING": MISSING,
            "Mistyped": Mistyped,
            "BROKEN": (StateError, EnvironmentFault),
            "LateEvent": LateEvent,
            "RecordError": RecordError,
            "Kept": Kept,
            "Hop": Hop,
            "Timestamp": Timestamp,
            "decode": parts.decoder.decode,
            "fast": parts.decoder.fast,
            "decode_whole": parts.decoder.decode_whole,
            "unpack": parts.decoder.open,
            "encode": encode,
        }
    )
    write = code.write
    with write.block("def decide(batch, out, tables):"):
        _prologue(parts)
        for segment in segments(parts):
            _loop(parts, segment)
    text = write.text()
    names = dict(code.names)
    exec(compile(text, "<policy>", "exec"), names)  # text of our own making; event content never enters it
    return text, names["decide"]


def _loop(parts: Parts, segment: Segment) -> None:
    """One loop over the events: mostly the only one; see `engine.enriching` for the others."""
    write = parts.code.write
    with write.block(head(parts, segment)):
        with write.block("try:"):
            if segment.answered is not None:
                write_answer(parts, segment.answered)
                write_recall(parts, segment)
            elif parts.leg.begins:
                _decode(parts)
                _names(parts)
                write_memory(parts)
            else:
                write_memory(parts)
                _decode(parts)
                write_restored(parts)
            write_fields(parts, segment)
            if segment.asks is not None:
                write_asking(parts, segment.asks)
            elif parts.leg.onward is not None:
                write_onward(parts)
            else:
                write_watch(parts)
                write_routes(parts)
                if parts.instead is not None:
                    _instead(parts)
                _record(parts)
        with write.block("except RecordError as x:"):
            write("out.reject(batch, i, x)")
        with write.block("except Exception as x:"):
            if remembers(parts):
                write("if isinstance(x, BROKEN):", "    raise")
            write("out.broke(batch, i, x)")
    if segment.asks is not None:
        write_asked(parts, segment.asks)


def _prologue(parts: Parts) -> None:
    code = parts.code
    code.write(
        "order = out.keys",
        "took = out.lanes.append",
        'at = b\',"decided_at":%d,"source":\' % batch.now_ms',
        "last_topic = last_partition = None",
    )
    if not parts.leg.begins:
        code.write("hops = batch.hops")
    if parts.leg.onward is not None:
        code.write("move = out.moved.add")
    for n, table in enumerate(parts.tables):
        if f"t{n}" in code.slots.roots.values():
            code.write(f"t{n} = tables[{table!r}]")
    bind_metadata(parts)
    for group in parts.groups:
        n = group.number
        code.write(
            f"call{n} = out.call({n})",
            f"index{n}, rows{n} = call{n}.indices.append, call{n}.rows.append",
            f"heads{n} = call{n}.heads.append",
        )
        if group.keeps or group.model.name in parts.away:
            code.write(f"keep{n} = call{n}.kept.append")


def _decode(parts: Parts) -> None:
    code, slots = parts.code, parts.code.slots
    write = code.write
    with write.block(f"if raw is None or len(raw) > {parts.max_bytes}:"):
        write(f"raise unusable(raw, {parts.max_bytes})")
    if parts.decoder.open is not None:
        write("came = None")
        marked = f"carried[i] and {MARK!r} in raw" if carries(parts) else f"raw.find({MARK!r}) >= 0"
        with write.block(f"if {marked} and (opened := unpack(raw, batch.headers[i])) is not None:"):
            write("raw, came = opened")
    if parts.decoder.single:
        write("whole = decode_whole(raw)")
        for name, local in slots.fields.items():
            write(f"{local} = whole.get({name!r}, MISSING)")
    else:
        _decode_fields(parts)
    if "header_map" in slots.roots.values():
        write(f"header_map = headers_of({_headers(parts)})")
    if "kafka_key" in slots.roots.values():
        write("kafka_key = text_key(key)")
    write("errors = None")


def _decode_fields(parts: Parts) -> None:
    """The used fields by themselves, for formats where that is quicker than the whole event."""
    slots, write = parts.code.slots, parts.code.write
    if parts.decoder.fast is None:
        write("e = decode(raw)")
    else:
        with write.block("try:"):
            write("if raw.isascii() or raw.decode() is not None:")
            write("    e = fast(raw)")
        with write.block("except Exception:"):
            write("e = decode(raw)")
    for name, local in slots.fields.items():
        write(f"{local} = e.{parts.decoder.attributes[name]}")
    if slots.whole_event:
        write("whole = decode_whole(raw)")


def _headers(parts: Parts) -> str:
    """The text of an event's headers: those of its record, or what its envelope said."""
    return (
        "batch.headers[i]" if parts.decoder.open is None else "(batch.headers[i] if came is None else came)"
    )


def _names(parts: Parts) -> None:
    code, write = parts.code, parts.code.write
    headers = _headers(parts)
    default_id = f'ident = known({headers}) or f"{{topic}}-{{partition}}-{{offset}}"'
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
    default_time = f"when = record_time(batch, i, {headers})"
    if parts.time is None:
        write(default_time)
    else:
        form = "when = v if (v := {}).__class__ is int and 0 <= v < 253402300800000 else time_of(v)"
        code.assign(form, parts.time, ["out.defaulted['time'] += 1", default_time], computed=0)
    if "now" in code.slots.roots:
        write("now = Timestamp(when * 1000000)")


def _instead(parts: Parts) -> None:
    """The lane that stands for the one that was taken, while too much waits in the log."""
    code, write = parts.code, parts.code.write
    code.bind("instead", parts.instead)
    write("lane = instead.get(id(lane)) or instead.add(lane)")
    if any(route.strategy.sticky for route in parts.routes):
        with write.block("if lane.reason == 'overload':"):
            write("unit = None")


def _record(parts: Parts) -> None:
    """The head of the decision record, and the event's place in its model's call."""
    code, write = parts.code, parts.code.write
    sticky = any(route.strategy.sticky for route in parts.routes)
    if parts.enrichers:
        fields = "".join(f"{local}, " for local in code.slots.metadata.values())
        whole = f"errors is None{absent(parts)}"
        write(f"meta = encode(Metadata({fields})) if {whole} else encode({code.slots.metadata_map()})")
    else:
        write("meta = b'{}'")
    plain = "errors is None and unit is None" if sticky else "errors is None"
    unit = "unit" if sticky else "None"
    write(f"decision = lane.decision if {plain} else with_more(lane.opened, {unit}, errors)")
    with write.block("if errors is not None:"):
        write("out.erred(errors)")
    with write.block("if partition != last_partition or topic is not last_topic:"):
        write("last_topic, last_partition = topic, partition")
        write('source = b\'{"topic":%b,"partition":%d,"offset":\' % (encode(topic), partition)')
    with write.block("try:"):
        write("told = b'null' if key is None else encode(key.decode())")
    with write.block("except UnicodeDecodeError:"):
        write("told = json_key(key)")
    spliced = f"raw[{parts.decoder.head}:]" if parts.decoder.head else "raw"
    event = spliced if parts.decoder.verbatim else "encode(whole)"
    if parts.project is not None:
        shown = f"{code.bind('project', parts.project)}(raw)"
        if not parts.away:
            event = shown
        else:  # a request carries the event whole, a decision does not
            here = [f"lane.model.name not in {code.bind('away', parts.away)}"]
            here += ["repeat"] if parts.dedupe is not None else []
            event = f"({shown} if {' or '.join(here)} else {event})"
    write(f"head = HEAD % (encode(ident), when, at, source, offset, told, {event}, meta, decision)")
    if parts.dedupe is None:
        _rows(parts)
    else:
        with write.block("if repeat:"):
            write("out.repeated(i, head, lane)")
        with write.block("else:"):
            _rows(parts)
    write("took(lane)")


def _rows(parts: Parts) -> None:
    """What the lane's model gets of the event."""
    code, write = parts.code, parts.code.write
    write("number = lane.group.number")
    for group in parts.groups:
        n, model = group.number, group.model
        with write.block(f"{'if' if n == 0 else 'elif'} number == {n}:"):
            if model.name in parts.away:
                write("row = None")
            elif model.inputs is None:
                write(f"row = {parts.enriched()}")
            else:
                inlines = [code.inline(program) for _, program in model.inputs]
                fast = "row = (" + "".join(f"{x.fast}, " for x in inlines) + ")"
                exact = "row = (" + "".join(f"{x.exact or x.fast}, " for x in inlines) + ")"
                failed = [f"row = input_error({model.name!r}, x)"]
                write(*code.guarded(fast, exact if any(x.exact for x in inlines) else None, failed))
            if model.name in parts.away:
                write(f"keep{n}(Kept(lane, {{}}))")
            elif group.keeps:
                write(f"keep{n}(Kept(lane, {parts.context()}))")
            write(f"index{n}(i)", f"rows{n}(row)", f"heads{n}(head)")
