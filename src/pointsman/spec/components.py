"""Reads what names a component: a kind of table, an enricher, a model's protocol, a strategy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pointsman.base.config import Key, Text
from pointsman.base.errors import Misfit
from pointsman.base.registry import Registry
from pointsman.enrich.base import Remembers, enrichers
from pointsman.model.base import models
from pointsman.spec.dispatch import Constant, ConstantKeys, EndpointKeys
from pointsman.spec.document import EndpointSpec, Enrich, ModelSpec, Use, place_of
from pointsman.spec.keys import Common
from pointsman.spec.later import COMPONENTS, STEP
from pointsman.spec.node import Node
from pointsman.spec.read import BAD, Reader, build, declared, did_you_mean, listed, nearest
from pointsman.spec.rules import secret_properties
from pointsman.spec.tables.base import DECISIONS, tables
from pointsman.spec.tables.derived import Derived, windowed
from pointsman.strategy.base import strategies

__all__ = [
    "REGISTRIES",
    "SHORTHAND",
    "available",
    "read_endpoint",
    "read_enrich",
    "read_fallback",
    "read_model",
    "read_table",
    "read_use",
    "remote",
]

REGISTRIES: dict[str, Registry[Any]] = {
    "enricher": enrichers,
    "model": models,
    "strategy": strategies,
    "table": tables,
}
SHORTHAND = {"enricher": "expr", "strategy": "fixed"}
"""The components that are written as a value alone, and so never by their key."""

_WHAT = {
    "endpoint": "protocol",
    "enricher": "enricher",
    "model": "protocol",
    "strategy": "strategy",
    "table": "table kind",
}


def remote(component: Any) -> bool:
    """Whether a model's class reaches it over a wire."""
    return hasattr(component, "request")


def shareable(name: str, component: Any) -> bool:
    """Whether models of a protocol can share an endpoint: they are remote, and its key is an address."""
    return remote(component) and isinstance(declared(component.Config)[name].kind, Text)


def available(role: str) -> list[str]:
    """The components that a document may name by key."""
    if role == "endpoint":
        return [name for name, component in models if shareable(name, component)]
    return [name for name in REGISTRIES[role].names() if name != SHORTHAND.get(role)]


def _named(reader: Reader, role: str, node: Node, others: Mapping[str, Key]) -> str | None:
    """The component that a map names, or None where a finding says what is wrong.

    Args:
        reader: Takes the findings.
        role: Which registry.
        node: The map.
        others: Keys that the map may have besides the component's.
    """
    known = available(role)
    found = [name for name in node.members if name in known]
    if len(found) > 1:
        reader.tell(
            node.keys[found[1]],
            "E215",
            f"'{found[0]}' and '{found[1]}' are two {_WHAT[role]} keys",
            "keep one of them",
        )
        return None
    steps = COMPONENTS["model" if role == "endpoint" else role]
    later = [name for name, step in steps.items() if step > STEP and name not in known]
    for name in node.members:
        if name in later:
            reader.later(node.keys[name], name)
            return None
    if found:
        return found[0]
    if role == "endpoint" and (local := [name for name in node.members if name in models.names()]):
        message = f"a model of '{local[0]}' has no server to share"
        reader.tell(node.keys[local[0]], "E215", message, f"give one of these keys: {', '.join(known)}")
        return None
    short = SHORTHAND.get(role)
    if short in node.members:
        reader.tell(
            node.keys[short], "E201", f"'{short}' is not a key here", "write the value alone, without a map"
        )
        return None
    for name in node.members:
        near = "" if name in others else nearest(name, [*known, *later], 0.7)
        if near in known:
            return near
        if near:
            reader.tell(node.keys[name], "E201", f"'{name}' is not a key here", f"did you mean '{near}'?")
            return None
    reader.tell(
        node.file.place(node.start, node.start + 1),
        "E215",
        f"no {_WHAT[role]} is named here",
        f"give one of these keys: {', '.join(known)}",
    )
    return None


def _config(registry: Registry[Any], name: str) -> type[Any]:
    """The config dataclass of a component."""
    component: Any = registry.get(name)
    config: type[Any] = component.Config
    return config


def read_table(reader: Reader, name: str, node: Node) -> Any:
    """The config of a table, as one of `spec.tables` declares it; None where a finding says what is wrong."""
    if node.broken:
        return None
    if node.shape != "map":
        reader.wrong(node, "a map that says where the rows come from", "for example {topic: customers}")
        return None
    kind = _named(reader, "table", node, {})
    if kind is None:
        return None
    component: Any = tables.get(kind)
    over = node.members["from"].text if "from" in node.members else ""
    before = len(reader.findings)
    with reader.expressions.over_records(decisions=over == DECISIONS, here=kind == "from"):
        config = reader.config(component.Config, node, f"the table '{name}'")
    if config is BAD:
        return None
    if isinstance(config, Derived.Config) and len(reader.findings) == before:
        try:
            windowed(config)
        except Misfit as misfit:
            _tell(reader, node, misfit)
            return None
    return config


def read_enrich(reader: Reader, field: str, node: Node) -> Enrich | None:
    """The enricher of a metadata field."""
    found = _read(reader, "enricher", node, "a CEL expression or a map that names an enricher")
    if found is None:
        return None
    return Enrich(field, found.name, found.config, found.made.result, isinstance(found.made, Remembers))


def read_use(reader: Reader, route: str, node: Node) -> Use | None:
    """The strategy of a route."""
    found = _read(reader, "strategy", node, "a model's name or a map that names a strategy", route)
    return None if found is None else Use(found.name, found.config)


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """A component that a document names.

    Attributes:
        made: What its config makes of it.
    """

    name: str
    config: Any
    made: Any


def _read(reader: Reader, role: str, node: Node, expected: str, *more: Any) -> _Found | None:
    """The component that a node names, or None where a finding says what is wrong.

    Args:
        reader: Takes the findings.
        role: Which registry.
        node: A map, or the value alone that the role's shorthand is written as.
        expected: What the node may be, for people.
        more: What the component is made with besides its config.
    """
    if node.broken:
        return None
    registry, before = REGISTRIES[role], len(reader.findings)
    if node.shape == "map":
        name = _named(reader, role, node, {})
        if name is None:
            return None
        config = reader.config(_config(registry, name), node, name)
    elif node.shape == "scalar":
        name = SHORTHAND[role]
        config = _short(reader, registry.get(name), name, node)
    else:
        reader.wrong(node, expected)
        return None
    if config is BAD:
        return None
    try:
        component: Any = registry.get(name)
        return _Found(name, config, component.from_config(config, *more))
    except Misfit as misfit:
        if not any(found.severity == "error" for found in reader.findings[before:]):
            _tell(reader, node, misfit)  # else a key that is wrong was read as left out
        return None


def read_endpoint(reader: Reader, name: str, node: Node) -> EndpointSpec | None:
    """A server that models share: a protocol with its address, and the keys of every endpoint."""
    if node.broken:
        return None
    if node.shape != "map":
        known = ", ".join(available("endpoint"))
        reader.wrong(node, "a map that names a protocol and its address", f"give one of these keys: {known}")
        return None
    shared = declared(EndpointKeys)
    protocol = _named(reader, "endpoint", node, shared)
    if protocol is None:
        return None
    own = declared(_config(models, protocol))
    address = own[protocol]
    values = reader.keys({protocol: dataclasses.replace(address, required=True), **shared}, node, "endpoint")
    if not isinstance(values, dict):
        return None
    given = {key: value for key, value in values.items() if key in shared}
    return EndpointSpec(name, protocol, values[protocol], build(EndpointKeys, given))


def read_model(
    reader: Reader,
    name: str,
    node: Node,
    defaults: Node | None,
    endpoints: Mapping[str, EndpointSpec | None],
) -> ModelSpec | None:
    """A model with its protocol's keys and the common ones; what it leaves out, `defaults` gives."""
    if node.broken:
        return None
    if node.shape != "map":
        reader.wrong(
            node, "a map that names a protocol", f"give one of these keys: {', '.join(available('model'))}"
        )
        return None
    common = declared(Common)
    whole = _with_defaults(node, defaults, common)
    served = "endpoint" in whole.members and not _protocols(node)
    endpoint = _endpoint(reader, whole, endpoints) if served else None
    protocol = endpoint.protocol if endpoint else None if served else _named(reader, "model", node, common)
    if protocol is None:
        _read_common(reader, node, common)
        return None
    cls: Any = models.get(protocol)
    own = {key: one for key, one in declared(cls.Config).items() if not (endpoint and key == protocol)}
    values = reader.keys({**own, **common}, whole, protocol)
    if getattr(cls, "tensor", False) and "inputs" not in reader.adopt(whole, {**own, **common}):
        reader.tell(
            node.keys.get(protocol, node.keys.get("endpoint", node)),
            "E214",
            f"a model of '{protocol}' needs 'inputs'",
            "name each input and its expression, for example inputs: {amount: amount}",
        )
        return None
    if not isinstance(values, dict) or not _one_home(reader, node, protocol, endpoint):
        return None
    if not remote(cls):
        _without_effect(reader, node, protocol, own)
    if "properties" in own and "properties" in node.members:
        secret_properties(reader, node.members["properties"])
    if endpoint is not None:
        values[protocol] = endpoint.address
        own[protocol] = declared(cls.Config)[protocol]
    if (version := values.get("version")) is not None:
        values["version"] = str(version)
    shared = {key: value for key, value in values.items() if key in common and key not in own}
    if "fallback" in shared:
        mine = "fallback" in node.members
        shared["fallback"] = read_fallback(reader, whole.members["fallback"], shared["fallback"], name, mine)
    return ModelSpec(
        name,
        protocol,
        build(cls.Config, {key: value for key, value in values.items() if key in own}),
        build(Common, shared),
        endpoint.name if endpoint else None,
    )


def _protocols(node: Node) -> list[str]:
    """The protocols that a map names, also those of later versions."""
    known = {*available("model"), *COMPONENTS["model"]}
    return [name for name in node.members if name in known]


def _endpoint(
    reader: Reader, node: Node, endpoints: Mapping[str, EndpointSpec | None]
) -> EndpointSpec | None:
    """The endpoint that a model names, or None where a finding says what is wrong."""
    member = node.members["endpoint"]
    name = reader.read(declared(Common)["endpoint"].kind, member)
    if name is BAD:
        return None
    if name not in endpoints:
        otherwise = listed("endpoints", endpoints) or "declare it under endpoints"
        message = f"no endpoint is called {member.found}"
        reader.tell(member, "E224", message, did_you_mean(name, endpoints, otherwise))
        return None
    return endpoints[name]


def _one_home(reader: Reader, node: Node, protocol: str, endpoint: EndpointSpec | None) -> bool:
    """A model has an endpoint or an address of its own, not both."""
    if endpoint is not None or "endpoint" not in node.members:
        return True
    reader.tell(
        node.keys["endpoint"],
        "E215",
        f"'{protocol}' and 'endpoint' both say where the model is",
        "keep one of them",
    )
    return False


_GUARDED = ("batch", "retry", "breaker", "concurrency", "rate", "model")
"""The keys that only mean something where a model is reached over a wire."""


def _without_effect(reader: Reader, node: Node, protocol: str, own: Mapping[str, Key]) -> None:
    """Warns of keys that a model in this process has no use for; `defaults` may give them to it."""
    for name in _GUARDED:
        if name in node.members and name not in own:
            reader.tell(
                node.keys[name],
                "W228",
                f"'{name}' has no effect on a model of '{protocol}', which runs in this process",
                "remove it",
                "warning",
            )


def read_fallback(
    reader: Reader, node: Node, found: Sequence[Any], picked: str | None, own: bool
) -> tuple[str | Constant, ...]:
    """A fallback list as it is followed: no model twice, nothing behind a constant.

    Args:
        reader: Takes the findings.
        node: The list.
        found: Its values as they were read.
        picked: The model that it stands in for; None where a strategy picks one of several.
        own: Whether the list is that model's own; it may stand in `defaults` too, for every model.
    """
    kept: list[str | Constant] = []
    for number, step in enumerate(found):
        item = node.items[number] if len(node.items) == len(found) else node
        if kept and isinstance(kept[-1], Constant):
            message = "what stands behind a constant is never asked"
            reader.tell(item, "W227", message, "put the constant last", "warning")
            break
        if isinstance(step, ConstantKeys):
            kept.append(Constant(step.constant))
        elif step == picked:
            if own:
                message = f"the model '{step}' cannot stand in for itself"
                reader.tell(item, "E226", message, "remove it, or name another model; retry asks it again")
        elif step in kept:
            message = f"the model '{step}' is named twice; it is asked once"
            reader.tell(item, "W227", message, "remove one", "warning")
        else:
            kept.append(step)
    return tuple(kept)


def _read_common(reader: Reader, node: Node, common: Mapping[str, Key]) -> None:
    """Finds what is wrong with the common keys of a model whose protocol is not known."""
    for name, member in node.members.items():
        if name in common and common[name].step <= STEP:
            reader.read(common[name].kind, member)


def _with_defaults(node: Node, defaults: Node | None, common: Mapping[str, Key]) -> Node:
    """The model's map with what `defaults` adds."""
    if defaults is None or defaults.shape != "map":
        return node
    added = {
        name: member
        for name, member in defaults.members.items()
        if name in common and name not in node.members
    }
    if not added:
        return node
    whole = Node(node.file, node.start, node.end, "map", node.style)
    whole.members = {**node.members, **added}
    whole.keys = {**node.keys, **{name: defaults.keys[name] for name in added}}
    return whole


def _short(reader: Reader, component: Any, name: str, node: Node) -> Any:
    """The config of a component that is written as a value alone."""
    key = declared(component.Config)[name]
    value = reader.read(key.kind, node)
    return BAD if value is BAD else build(component.Config, {name: value})


def _tell(reader: Reader, node: Node, misfit: Misfit) -> None:
    place = place_of(node, misfit.path)
    reader.tell(place, misfit.code, str(misfit), misfit.hint)
