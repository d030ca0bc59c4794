"""The JSON Schema of a document, made from the declarations, so that editors complete keys."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pointsman.base import config as kinds
from pointsman.base.config import Key, Kind
from pointsman.spec.components import REGISTRIES, SHORTHAND, available
from pointsman.spec.dispatch import EndpointKeys
from pointsman.spec.keys import Common, Component, Keys
from pointsman.spec.later import STEP, WORDS
from pointsman.spec.node import Node
from pointsman.spec.place import File
from pointsman.spec.read import declared
from pointsman.spec.yaml import parse

__all__ = ["ALSO_REQUIRED", "example_of", "pipeline_schema", "sentence"]

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SUBSTITUTED: Schema = {"type": "string", "pattern": r"\$\{"}
"""What stands for any scalar: `${NAME}`."""

ALSO_REQUIRED = {"RouteKeys": ("name", "use")}
"""Keys that this version always needs, and a later one not in every form of the map."""


def pipeline_schema() -> Schema:
    """The schema of a whole document, draft 2020-12."""
    maker = _Maker()
    whole = maker.object("Keys", declared(Keys))
    return {
        "$schema": DRAFT,
        "title": "Pointsman pipeline",
        "description": "What to consume, which model gets which event, and what is written.",
        **whole,
        "$defs": dict(sorted(maker.found.items())),
    }


def sentence(thing: Any) -> str:
    """The first sentence of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def example_of(text: str) -> Any:
    """An example as it stands in YAML, as data."""
    root, findings = parse(File("example", f"x: {text}"))
    if findings or not isinstance(root, Node):
        raise ValueError(f"the example {text!r} is not YAML: {findings}")
    return root.members["x"].plain()


class _Maker:
    """Makes schemas of kinds, and keeps those of classes and components under `$defs`."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}
        self.kinds: dict[type[Kind], Callable[[Any], Schema]] = {
            kinds.Anything: lambda _: {},
            kinds.ByExpression: self.map_of,
            kinds.Choice: lambda kind: {"enum": list(kind.words)},
            kinds.Duration: lambda _: _text(r"\d+(\.\d+)?(ms|s|m|h|d)"),
            kinds.Expression: lambda _: {"type": ["string", "number", "boolean"]},
            kinds.FileName: lambda _: {"type": "string"},
            kinds.Flag: lambda _: {"anyOf": [{"type": "boolean"}, SUBSTITUTED]},
            kinds.ListOf: self.list_of,
            kinds.MapOf: self.map_of,
            kinds.ModelName: lambda _: {"type": "string"},
            kinds.Nested: lambda kind: self.ref(kind.cls.__name__, declared(kind.cls), sentence(kind.cls)),
            kinds.Number: lambda kind: _number("number", kind),
            kinds.OneOf: lambda kind: {"anyOf": [self.kind(one) for one in kind.kinds]},
            kinds.PythonName: lambda _: _text(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"),
            kinds.Secret: lambda _: {"type": "string"},
            kinds.Share: lambda _: _text(r"\d+(\.\d+)?%"),
            kinds.TableName: lambda _: {"type": "string"},
            kinds.Text: lambda kind: _text(kind.pattern) if kind.pattern else {"type": "string"},
            kinds.TopicName: lambda _: _text(r"[A-Za-z0-9._-]{1,249}"),
            kinds.Whole: lambda kind: _number("integer", kind),
            Component: self.component,
        }

    def kind(self, kind: Kind) -> Schema:
        """The schema of a kind."""
        return self.kinds[type(kind)](kind)

    def list_of(self, kind: kinds.ListOf) -> Schema:
        """A list."""
        least = {"minItems": kind.least} if kind.least else {}
        return {"type": "array", "items": self.kind(kind.item), **least}

    def map_of(self, kind: kinds.MapOf | kinds.ByExpression) -> Schema:
        """A map from names."""
        fewest = getattr(kind, "least", 0)
        least = {"minProperties": fewest} if fewest else {}
        return {"type": "object", "additionalProperties": self.kind(kind.value), **least}

    def ref(self, name: str, known: Mapping[str, Key], meaning: str) -> Schema:
        """A reference to the map with these keys."""
        if name not in self.found:
            self.found[name] = {}
            self.found[name] = {"description": meaning, **self.object(name, known)}
        return {"$ref": f"#/$defs/{name}"}

    def object(self, owner: str, known: Mapping[str, Key]) -> Schema:
        """A map with declared keys, without those of later versions: editors do not offer them."""
        now = {name: key for name, key in known.items() if key.step <= STEP}
        required = [name for name, key in now.items() if key.required or name in ALSO_REQUIRED.get(owner, ())]
        return {
            "type": "object",
            "properties": {name: self.property(owner, name, key) for name, key in now.items()},
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def property(self, owner: str, name: str, key: Key) -> Schema:
        """One key with its meaning, default and example."""
        found = self.kind(key.kind)
        later = WORDS.get((owner, name), {})
        if "enum" in found and later:
            found = {"enum": [word for word in found["enum"] if word not in later]}
        meaning = key.meaning + (" A CEL expression." if _is_expression(key.kind) else "")
        said: Schema = {"description": meaning}
        if (
            isinstance(key.default, (str, int, bool))
            and key.default != ""
            and isinstance(key.kind, _AS_WRITTEN)
        ):
            said["default"] = key.default
        if key.example:
            said["examples"] = [example_of(key.example)]
        return {**said, **found}

    def component(self, kind: Component) -> Schema:
        """A value that stands for a component, or a map that names one."""
        if kind.role == "endpoint":
            return self.endpoint()
        registry = REGISTRIES[kind.role]
        choices: list[Schema] = []
        short = SHORTHAND.get(kind.role)
        if short is not None:
            component: Any = registry.get(short)
            key = declared(component.Config)[short]
            choices.append({"description": sentence(component), **self.kind(key.kind)})
        for name in available(kind.role):
            component = registry.get(name)
            known = {**declared(component.Config), **(declared(Common) if kind.role == "model" else {})}
            choices.append(self.ref(f"{kind.role}.{name}", known, sentence(component)))
        if kind.role == "model" and available("endpoint"):
            choices.append(self.served())
        return {"anyOf": choices}

    def endpoint(self) -> Schema:
        """A server that models share: one protocol's address, and the keys of every endpoint."""
        choices = []
        for name in available("endpoint"):
            component: Any = REGISTRIES["model"].get(name)
            known = {name: declared(component.Config)[name], **declared(EndpointKeys)}
            choices.append(self.ref(f"endpoint.{name}", known, f"A server of the protocol {name}."))
        return {"anyOf": choices} if choices else {"type": "object"}

    def served(self) -> Schema:
        """A model at an endpoint: the keys of every model, and those of whatever protocol it speaks."""
        known: dict[str, Key] = {}
        for name in available("endpoint"):
            component: Any = REGISTRIES["model"].get(name)
            for own, key in declared(component.Config).items():
                if own != name:
                    before = known.get(own)
                    either = key.kind if before is None else kinds.OneOf((before.kind, key.kind))
                    same = before is None or before.kind == key.kind
                    known[own] = replace(key if same else replace(key, kind=either), required=False)
        known |= {name: key for name, key in declared(Common).items() if name not in known}
        known["endpoint"] = replace(declared(Common)["endpoint"], required=True)
        return self.ref("model.endpoint", known, "A model that an endpoint serves.")


_AS_WRITTEN = (kinds.Choice, kinds.Flag, kinds.Text, kinds.Whole)
"""Kinds whose default stands in a document as it does in Python."""


def _is_expression(kind: Kind) -> bool:
    if isinstance(kind, kinds.OneOf):
        return any(_is_expression(one) for one in kind.kinds)
    return isinstance(kind, kinds.Expression)


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": rf"^(?:{pattern})$|\$\{{"}


def _number(word: str, kind: Any) -> Schema:
    bounds = {"minimum": kind.low, "maximum": kind.high}
    given = {name: value for name, value in bounds.items() if value is not None}
    return {"anyOf": [{"type": word, **given}, SUBSTITUTED]}
