"""From a checked document, its opened models and its Python conditions to a policy in force."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from pointsman.base.errors import EvalError
from pointsman.base.hashing import content_hash
from pointsman.cel.program import Program
from pointsman.codec.base import codecs
from pointsman.engine.codegen import Code, Slots
from pointsman.engine.dedupe import Dedupe
from pointsman.engine.generate import generate
from pointsman.engine.parts import Leg, Parts
from pointsman.engine.policy import Constant, Groups, Instead, ModelPlan, Policy, RoutePlan, encode
from pointsman.engine.project import hider, projector
from pointsman.enrich.base import Enricher, Remembers, enrichers, optional_of
from pointsman.enrich.model import ModelField
from pointsman.spec.document import Document, Enrich, ModelSpec, Route
from pointsman.spec.keyed import hops
from pointsman.state.base import StoreSpec
from pointsman.strategy.base import Strategy, strategies

__all__ = ["Condition", "build", "stores_of"]

Condition = Callable[[list[dict[str, Any]]], Sequence[Any]]
"""A Python condition: enriched events in, as many booleans out."""


def build(
    doc: Document,
    versions: Mapping[str, str | None] | None = None,
    conditions: Mapping[str, Condition] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    wrap: Callable[[Strategy], Strategy] = lambda strategy: strategy,
    *,
    away: Collection[str] = (),
) -> Policy:
    """Compiles a document.

    Args:
        doc: The checked document.
        versions: What each opened model says of its version; a document's `version` wins.
        conditions: The loaded Python conditions, by their name in the document.
        functions: What was opened for metadata fields that are asked for in batches, by field.
        wrap: What stands in for each route's strategy, for tests that fix a pick.
        away: Models whose events are handed over and not answered here: those records carry the event whole,
            whatever `write` says, and the models' inputs are left out.

    Returns:
        The policy; the same document gives the same decisions wherever it runs.
    """
    versions, conditions = versions or {}, conditions or {}
    models = tuple(_model(n, spec, versions.get(spec.name)) for n, spec in enumerate(doc.models.values()))
    routes = tuple(_route(n, route, conditions, wrap) for n, route in enumerate(doc.routes))
    made = [(spec.field, _enricher(doc, spec)) for spec in doc.enrich]
    groups = Groups(routes, models)
    tables = tuple(doc.tables)
    wanted = doc.source.dedupe
    dedupe = None if wanted is None else Dedupe(wanted.key, round(wanted.within * 1000))
    programs = list(_programs(doc, models, routes, [enricher for _, enricher in made]))
    slots = Slots.of(programs, [name for name, _ in made], tables)
    codec = codecs.get(doc.source.format)
    decoder = codec.decoder(tuple(slots.fields), doc.source.fields, doc.source.registry)
    slots.whole_event = slots.whole_event or decoder.single
    parts = Parts(
        id=doc.source.id,
        key=doc.source.key,
        time=doc.source.time,
        enrichers=made,
        routes=routes,
        groups=groups,
        version=doc.policy,
        tables=tables,
        decoder=decoder,
        max_bytes=doc.limits.bytes,
        project=projector(doc.write.event, doc.write.redact, decoder),
        code=Code(slots),
        away=frozenset(away),
        functions=functions or {},
        dedupe=dedupe,
        max_ahead=round(doc.source.max_ahead * 1000),
    )
    source, function = generate(parts)
    overloaded = None
    if doc.limits.max_lag is not None and doc.limits.max_lag.then is not None:
        instead = Instead(doc.limits.max_lag.then, routes, groups, doc.policy)
        _, overloaded = generate(replace(parts, code=Code(slots), instead=instead))
    whole = Policy(
        version=doc.policy,
        pipeline=doc.pipeline,
        models=models,
        groups=tuple(groups),
        routes=routes,
        enrichers=tuple(made),
        dedupe=dedupe,
        tables=tables,
        unmatched=doc.unmatched,
        headers=tuple(doc.write.headers),
        decide=function,
        overloaded=overloaded,
        source=source,
        decoder=decoder,
        hide=hider(doc.write.redact, decoder) if doc.write.redact else None,
        id=doc.source.id,
        key=doc.source.key,
        time=doc.source.time,
        stores=(*(() if dedupe is None else (dedupe.spec,)), *_stores(made)),
    )
    return replace(whole, stages=_stages(doc, whole, parts))


def _stages(doc: Document, whole: Policy, parts: Parts) -> tuple[Policy, ...]:
    """The policy in parts, where events go on by another key before some fields."""
    cuts = hops(doc.enrich, doc.source)
    if not cuts:
        return ()
    found = []
    limits = [0, *cuts, len(parts.enrichers)]
    for number, (first, stop) in enumerate(pairwise(limits)):
        last = number == len(cuts)
        onward = None if last else parts.enrichers[stop][1].inputs[0]
        own = replace(parts, part=Leg(range(first, stop), number == 0, onward), code=Code(parts.code.slots))
        source, function = generate(own)
        overloaded = None
        if last and doc.limits.max_lag is not None and doc.limits.max_lag.then is not None:
            instead = Instead(doc.limits.max_lag.then, parts.routes, parts.groups, doc.policy)
            _, overloaded = generate(replace(own, code=Code(parts.code.slots), instead=instead))
        made, dedupe = tuple(parts.enrichers[first:stop]), parts.dedupe if number == 0 else None
        found.append(
            replace(
                whole,
                enrichers=made,
                dedupe=dedupe,
                decide=function,
                overloaded=overloaded,
                source=source,
                stores=(*(() if dedupe is None else (dedupe.spec,)), *_stores(made)),
                onward=None if last else parts.enrichers[stop][0],
            )
        )
    return tuple(found)


def _enricher(doc: Document, spec: Enrich) -> Enricher:
    """The enricher of a field; one that asks a model knows what that is given and what it answers."""
    made: Any = enrichers.get(spec.enricher).from_config(spec.config)
    if isinstance(made, ModelField):
        common = doc.models[made.model].common
        outputs = None if common.outputs is None else tuple(common.outputs.items())
        mapped = _mapped(outputs)
        if mapped is _by_context:
            mapped = _of_reply(outputs or ())
        return made.given(None if common.inputs is None else tuple(common.inputs.values()), mapped)
    return made  # type: ignore[no-any-return]  # what the registry of enrichers makes


def _of_reply(outputs: Sequence[tuple[str, Program]]) -> Callable[[Any], dict[str, Any]]:
    """Outputs that read more than the reply: of a field they see the reply alone."""
    return lambda reply: {name: program.evaluate({"reply": reply}) for name, program in outputs}


def _stores(made: Iterable[tuple[str, Enricher]]) -> Iterable[StoreSpec]:
    """A store for each field that remembers, named by field and definition."""
    for field, enricher in made:
        if isinstance(enricher, Remembers):
            told = f"{enricher.name}\n{field}\n{enricher.definition}"  # topics of `Spend` and `spend` differ
            digest = content_hash(told.encode("utf-8", "surrogatepass"))
            yield StoreSpec(field, f"{field.lower()}-{digest[:8]}", enricher.store)


def _model(number: int, spec: ModelSpec, found: str | None) -> ModelPlan:
    version = spec.common.version or found
    name = encode(spec.name)
    closed = (
        b',"latency_ms":' if version is None else b',"model_version":%b,"latency_ms":' % encode(str(version))
    )
    outputs = None if spec.common.outputs is None else tuple(spec.common.outputs.items())
    return ModelPlan(
        name=spec.name,
        number=number,
        version=version,
        inputs=None if spec.common.inputs is None else tuple(spec.common.inputs.items()),
        outputs=outputs,
        mapped=_mapped(outputs),
        context=_mapped(outputs) is _by_context,
        opened=b'{"status":"ok","model":%b,"output":' % name,
        closed=closed,
        fallback=_chain(spec.common.fallback) or (),
    )


def _chain(named: Sequence[Any] | None) -> tuple[str | Constant, ...] | None:
    """A fallback chain: names of models, and constants as the JSON they answer with."""
    if named is None:
        return None
    return tuple(stop if isinstance(stop, str) else Constant(encode(stop.output)) for stop in named)


def _mapped(outputs: tuple[tuple[str, Program], ...] | None) -> Callable[[Any], dict[str, Any]] | None:
    """The function from a reply to its named outputs; it raises where one has no value."""
    if outputs is None:
        return None
    names: dict[str, Any] = {}
    items = []
    for name, program in outputs:
        if any(path.partition(".")[0] != "reply" for path in program.reads):
            return _by_context
        inline = program.inline({"reply": "reply"})
        names.update(inline.constants)
        items.append(f"{name!r}: {inline.fast}")
    text = f"lambda reply: {{{', '.join(items)}}}"
    made: Callable[[Any], dict[str, Any]] = eval(compile(text, "<outputs>", "eval"), names)  # our own text
    return made


def _by_context(_: Any) -> dict[str, Any]:
    """Stands where an output reads the event too: each is then evaluated with the event's names."""
    raise EvalError("the outputs read more than the reply")


def _route(
    number: int, route: Route, conditions: Mapping[str, Condition], wrap: Callable[[Strategy], Strategy]
) -> RoutePlan:
    strategy = strategies.get(route.use.strategy).from_config(route.use.config, route.name)
    return RoutePlan(
        name=route.name,
        number=number,
        line=route.line,
        when=route.when if isinstance(route.when, Program) else None,
        python=None if route.python is None else conditions[route.python],
        on_error=route.on_error,
        strategy=wrap(strategy),
        unit=getattr(route.use.config, "unit", None),
        fallback=_chain(route.fallback),
        deadline=route.deadline,
    )


def _programs(
    doc: Document, models: Iterable[ModelPlan], routes: Iterable[RoutePlan], made: Iterable[Enricher]
) -> Iterable[Program]:
    """Every expression that is evaluated over an event."""
    yield from (p for p in (doc.source.id, doc.source.key, doc.source.time) if p is not None)
    if doc.source.dedupe is not None:
        yield doc.source.dedupe.key
    for enricher in made:
        yield from enricher.inputs
        yield from optional_of(enricher)
    for route in routes:
        yield from (p for p in (route.when, route.unit) if p is not None)
    for model in models:
        yield from (program for _, program in model.inputs or ())
        yield from (program for _, program in (model.outputs or ()) if model.context)


def stores_of(doc: Document) -> tuple[StoreSpec, ...]:
    """What every partition of the source needs for fields that remember; nothing is opened for it."""
    wanted = doc.source.dedupe
    dedupe = () if wanted is None else (Dedupe(wanted.key, round(wanted.within * 1000)).spec,)
    return (*dedupe, *_stores((spec.field, _enricher(doc, spec)) for spec in doc.enrich if spec.remembers))
