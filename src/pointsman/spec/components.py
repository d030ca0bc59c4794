"""Reads the parts of a document that name a component: an enricher, a model's protocol, a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.base.config import Key
from pointsman.base.errors import Misfit
from pointsman.base.registry import Registry
from pointsman.enrich.base import enrichers
from pointsman.model.base import models
from pointsman.spec.document import Enrich, ModelSpec, Use, place_of
from pointsman.spec.keys import Common
from pointsman.spec.later import COMPONENTS, STEP
from pointsman.spec.node import Node
from pointsman.spec.read import BAD, Reader, build, declared, nearest
from pointsman.strategy.base import strategies

__all__ = ["REGISTRIES", "SHORTHAND", "read_enrich", "read_model", "read_use"]

REGISTRIES: dict[str, Registry[Any]] = {"enricher": enrichers, "model": models, "strategy": strategies}
SHORTHAND = {"enricher": "expr", "strategy": "fixed"}
"""The components that are written as a value alone, and so never by their key."""

_WHAT = {"enricher": "enricher", "model": "protocol", "strategy": "strategy"}


def available(role: str) -> list[str]:
    """The components that a document may name by key."""
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
    later = COMPONENTS[role]
    for name in node.members:
        if name in later:
            reader.later(node.keys[name], name)
            return None
    if found:
        return found[0]
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


def read_enrich(reader: Reader, field: str, node: Node) -> Enrich | None:
    """The enricher of a metadata field."""
    if node.broken:
        return None
    if node.shape == "map":
        name = _named(reader, "enricher", node, {})
        if name is None:
            return None
        config = reader.config(_config(enrichers, name), node, name)
    elif node.shape == "scalar":
        name = "expr"
        config = _short(reader, enrichers.get(name), name, node)
    else:
        reader.wrong(node, "a CEL expression or a map that names an enricher")
        return None
    if config is BAD:
        return None
    try:
        component: Any = enrichers.get(name)
        made = component.from_config(config)
    except Misfit as misfit:
        _tell(reader, node, misfit)
        return None
    return Enrich(field, name, config, made.result)


def read_use(reader: Reader, route: str, node: Node) -> Use | None:
    """The strategy of a route."""
    if node.broken:
        return None
    if node.shape == "map":
        name = _named(reader, "strategy", node, {})
        if name is None:
            return None
        config = reader.config(_config(strategies, name), node, name)
    elif node.shape == "scalar":
        name = "fixed"
        config = _short(reader, strategies.get(name), name, node)
    else:
        reader.wrong(node, "a model's name or a map that names a strategy")
        return None
    if config is BAD:
        return None
    try:
        component: Any = strategies.get(name)
        component.from_config(config, route)
    except Misfit as misfit:
        _tell(reader, node, misfit)
        return None
    return Use(name, config)


def read_model(reader: Reader, name: str, node: Node, defaults: Node | None) -> ModelSpec | None:
    """A model with its protocol's keys and the common ones; what it leaves out, `defaults` gives."""
    if node.broken:
        return None
    if node.shape != "map":
        reader.wrong(
            node, "a map that names a protocol", f"give one of these keys: {', '.join(available('model'))}"
        )
        return None
    common = declared(Common)
    protocol = _named(reader, "model", node, common)
    if protocol is None:
        _read_common(reader, node, common)
        return None
    cls: Any = models.get(protocol)
    own = declared(cls.Config)
    whole = _with_defaults(node, defaults, common)
    values = reader.keys({**own, **common}, whole, protocol)
    if getattr(cls, "tensor", False) and "inputs" not in reader.adopt(whole, {**own, **common}):
        reader.tell(
            node.keys.get(protocol, node),
            "E214",
            f"a model of '{protocol}' needs 'inputs'",
            "name each input and its expression, for example inputs: {amount: amount}",
        )
        return None
    if not isinstance(values, dict):
        return None
    version = values.get("version")
    if version is not None:
        values["version"] = str(version)
    return ModelSpec(
        name,
        protocol,
        build(cls.Config, {key: value for key, value in values.items() if key in own}),
        build(Common, {key: value for key, value in values.items() if key in common and key not in own}),
    )


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
