"""Reads a document section by section, in the order in which names become known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pointsman.base.errors import Finding
from pointsman.spec import keyed, rules
from pointsman.spec.components import (
    read_endpoint,
    read_enrich,
    read_fallback,
    read_model,
    read_table,
    read_use,
)
from pointsman.spec.digest import document_hash
from pointsman.spec.dispatch import MaxLag
from pointsman.spec.document import Document, EndpointSpec, Enrich, ModelSpec, Route, place_of
from pointsman.spec.foreseen import unforeseen
from pointsman.spec.keys import (
    FIELD_TYPES,
    IDENTIFIER,
    MODEL_NAME,
    Common,
    Keys,
    Limits,
    PythonCondition,
    RouteKeys,
    Source,
    Write,
)
from pointsman.spec.later import STEP
from pointsman.spec.node import Node
from pointsman.spec.place import Place
from pointsman.spec.read import BAD, Reader, declared

__all__ = ["Sections"]


class Sections:
    """Reads a document section by section, in the order in which names become known."""

    def __init__(self, reader: Reader, root: Node, path: Path, before: Sequence[Finding]) -> None:
        self.reader = reader
        self.before = before
        self.root = root
        self.path = path
        self.members: dict[str, Node] = {}

    def read(self) -> Document | None:
        """The document, or None where something it needs is wrong."""
        reader, known = self.reader, declared(Keys)
        self.members = reader.adopt(self.root, known)
        for name, key in known.items():
            if name in self.members and key.step > STEP:
                reader.later(self.root.keys.get(name, self.members[name]), name)
            elif key.required and name not in self.members:
                reader.missing(self.root, name, key, "the document")
        if reader.models is None and "models" in self.members and self.members["models"].shape == "map":
            reader.models = frozenset(self.members["models"].members)
        top = {name: self.plain(name) for name in ("version", "pipeline", "profile", "delivery", "unmatched")}
        expressions = reader.expressions
        expressions.declare(self.field_types(), tuple(self.table_nodes()))
        expressions.functions = frozenset(
            name for name, node in self.table_nodes().items() if "python" in node.members
        )
        expressions.coming = frozenset(self.entries("enrich", "metadata fields"))
        source = self.config("source", Source)
        tables = self.tables()
        enrich = self.enrich()
        scope, reply_scope = expressions.scope(), expressions.scope(reply=True)
        self.config("defaults", Common)
        endpoints = self.endpoints()
        models = self.models(endpoints)
        rules.model_fields(reader, self.members, enrich, models)
        routes = self.routes()
        limits = self.limits()
        write = self.config("write", Write) or Write()
        kafka = self.kafka()
        if source is not None:
            write = rules.topics(reader, self.members, str(top["pipeline"] or "<p>"), source, write)
            rules.redaction(reader, self.members, source)
            rules.registry_patience(reader, self.members, source, kafka)
            rules.model_topics(reader, models, self.place_of_model, source, write)
            keyed.window_keys(reader, self.members, source, enrich)
            last = (models, routes, write)
            keyed.partition_tables(reader, self.members, source, tables, enrich, last)
        if source is None or any(finding.severity == "error" for finding in [*self.before, *reader.findings]):
            return None
        document = Document(
            path=self.path,
            pipeline=top["pipeline"],
            kafka=kafka,
            source=source,
            tables=tables,
            enrich=enrich,
            endpoints={name: spec for name, spec in endpoints.items() if spec is not None},
            models=models,
            routes=routes,
            unmatched=top["unmatched"],
            limits=limits,
            write=write,
            profile=top["profile"],
            delivery=top["delivery"] or rules.delivery(source, enrich),
            content_hash=document_hash(self.root, models, self.reader.folder),
            scope=scope,
            reply_scope=reply_scope,
            tree=self.root,
        )
        reader.findings += rules.unused(document, self.members)
        reader.findings += keyed.delivery_warnings(document, self.members)
        return document

    def plain(self, name: str) -> Any:
        """The value of a key at the top, its default where it is left out or wrong."""
        key = declared(Keys)[name]
        node = self.members.get(name)
        if node is None:
            return key.default
        value = self.reader.word("Keys", name, key, node)
        return key.default if value is BAD else value

    def config(self, name: str, cls: type[Any]) -> Any:
        """The config dataclass of a section, or None where it is left out or wrong."""
        node = self.members.get(name)
        if node is None:
            return None
        value = self.reader.config(cls, node, name)
        return None if value is BAD else value

    def entries(self, name: str, what: str) -> dict[str, Node]:
        """The members of a section that is a map from names."""
        node = self.members.get(name)
        if node is None or node.broken:
            return {}
        if node.shape != "map":
            self.reader.wrong(node, f"a map from {what} to their keys")
            return {}
        return node.members

    def key(self, section: str, name: str) -> Node:
        """The node of a name in a section."""
        return self.members[section].keys[name]

    def field_types(self) -> dict[str, str] | None:
        """Declared fields and types; a type that is wrong counts as dyn, and a broken map as not given.

        With `format: text` the one field is known without being declared.
        """
        source = self.members.get("source")
        members = {} if source is None else source.members
        node = members.get("fields")
        if node is None and "format" in members and members["format"].text == "text":
            return {"text": "string"}
        if node is None or node.shape != "map":
            return None
        return {
            name: member.text if member.text in FIELD_TYPES else "dyn"
            for name, member in node.members.items()
        }

    def table_nodes(self) -> dict[str, Node]:
        """The tables as they are written, by name."""
        node = self.members.get("tables")
        return node.members if node is not None and node.shape == "map" else {}

    def tables(self) -> dict[str, Any]:
        """The config of each table."""
        found: dict[str, Any] = {}
        for name, node in self.entries("tables", "tables").items():
            rules.identifier(self.reader, self.key("tables", name), name, "table", IDENTIFIER)
            rules.names_apart(self.reader, self.key("tables", name), name, "table")
            table = read_table(self.reader, name, node)
            if table is not None:
                found[name] = table
        return found

    def enrich(self) -> list[Enrich]:
        """The metadata fields in order; each is known to those behind it, also where it is wrong."""
        found: list[Enrich] = []
        for field, node in self.entries("enrich", "metadata fields").items():
            rules.identifier(self.reader, self.key("enrich", field), field, "metadata field", IDENTIFIER)
            rules.names_apart(self.reader, self.key("enrich", field), field, "metadata field")
            made = read_enrich(self.reader, field, node)
            if made is not None:
                unforeseen(self.reader, node, made, found)
                found.append(made)
            self.reader.expressions.add(field, "dyn" if made is None else made.result)
        return found

    def endpoints(self) -> dict[str, EndpointSpec | None]:
        """The endpoints by name; None for one that a finding was told of."""
        found: dict[str, EndpointSpec | None] = {}
        for name, node in self.entries("endpoints", "endpoints").items():
            rules.identifier(self.reader, self.key("endpoints", name), name, "endpoint", MODEL_NAME)
            found[name] = read_endpoint(self.reader, name, node)
        return found

    def models(self, endpoints: Mapping[str, EndpointSpec | None]) -> dict[str, ModelSpec]:
        """The models by name."""
        found: dict[str, ModelSpec] = {}
        defaults = self.members.get("defaults")
        for name, node in self.entries("models", "models").items():
            rules.identifier(self.reader, self.key("models", name), name, "model", MODEL_NAME)
            rules.not_constant(self.reader, self.key("models", name), name)
            made = read_model(self.reader, name, node, defaults, endpoints)
            if made is not None:
                found[name] = made
        return found

    def place_of_model(self, name: str, key: str) -> Place:
        """The place of a model's key."""
        return place_of(self.members["models"], (name, key))

    def routes(self) -> list[Route]:
        """The routes in order."""
        node = self.members.get("routes")
        if node is None or node.broken:
            return []
        if node.shape != "list":
            self.reader.wrong(node, "a list of routes", "begin each route with '- '")
            return []
        if not node.items:
            self.reader.tell(
                node, "E205", "there are no routes", "add one, for example - {name: all, use: MODEL}"
            )
        read = [self.route(number, item) for number, item in enumerate(node.items)]
        names = [name for name, _, _ in read]
        rules.routes(self.reader, self.members, node, names, [has for _, has, _ in read])
        return [route for _, _, route in read if route is not None]

    def route(self, number: int, node: Node) -> tuple[str, bool, Route | None]:
        """A route's name, whether it has a condition, and the route where nothing is wrong with it."""
        known = declared(RouteKeys)
        values = self.reader.keys(known, node, "RouteKeys")
        if not isinstance(values, dict):
            return f"route-{number + 1}", True, None
        members = self.reader.adopt(node, known)
        name = rules.route_name(self.reader, node, values, number)
        conditional = "when" in members or "table" in members
        if "use" not in members:
            if not any(known[key].step > STEP for key in members):
                self.reader.missing(node, "use", known["use"], f"the route '{name}'")
            return name, conditional, None
        use = read_use(self.reader, name, values["use"]) if "use" in values else None
        if use is None or conditional != ("when" in values):
            return name, conditional, None
        when = values.get("when")
        condition = when.python if isinstance(when, PythonCondition) else when
        fallback = values.get("fallback")
        if fallback is not None:
            picked = members["use"].text if use.strategy == "fixed" else None
            fallback = read_fallback(self.reader, members["fallback"], fallback, picked, True)
        made = Route(
            name,
            condition,
            use,
            values.get("on_error", "next"),
            node.place.line,
            fallback,
            values.get("deadline"),
        )
        return name, conditional, made

    def limits(self) -> Limits:
        """What may be under way at once."""
        limits: Limits | None = self.config("limits", Limits)
        if limits is None or limits.max_lag is None:
            return limits or Limits()
        lag: Any = limits.max_lag
        then = None if lag.then == "wait" else lag.then
        return dataclasses.replace(limits, max_lag=MaxLag(lag.events, then))

    def kafka(self) -> dict[str, str]:
        """The client's properties as text; their names and values are librdkafka's matter."""
        found: dict[str, str] = {}
        for name, node in self.entries("kafka", "properties").items():
            if node.broken:
                continue
            if node.shape != "scalar" or (node.empty and not node.pieces):
                self.reader.wrong(node, "a property's value")
            else:
                found[name] = node.text
        if "kafka" in self.members:
            rules.secret_properties(self.reader, self.members["kafka"])
        return found
