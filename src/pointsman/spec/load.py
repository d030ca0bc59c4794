"""Loads a pipeline document: reads, merges, resolves, checks, compiles; and tells all that is wrong with it at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pointsman.base.errors import EnvironmentFault, Finding, SpecError
from pointsman.base.hashing import content_hash
from pointsman.spec import rules
from pointsman.spec.components import read_enrich, read_model, read_use
from pointsman.spec.document import (
    IDENTIFIER,
    MODEL_NAME,
    Common,
    Component,
    Document,
    Enrich,
    Keys,
    Limits,
    ModelSpec,
    PythonCondition,
    Route,
    RouteKeys,
    Source,
    Table,
    Write,
)
from pointsman.spec.expressions import Expressions
from pointsman.spec.later import STEP
from pointsman.spec.overlay import merge
from pointsman.spec.place import File
from pointsman.spec.read import BAD, Reader, declared
from pointsman.spec.substitute import substitute
from pointsman.spec.yaml import Node, parse

__all__ = ["check", "load", "read_file"]


def load(
    path: str | Path, overlays: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None
) -> Document:
    """The document at `path`, checked.

    Args:
        path: The document's file; its folder is what relative paths start from.
        overlays: Files merged over it, in order.
        environment: What `${NAME}` is looked up in; the process's environment by default.

    Raises:
        SpecError: The document is wrong; carries every error.
        EnvironmentFault: A file cannot be read.
    """
    document, findings = _load(path, overlays, environment)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors or document is None:
        raise SpecError(errors)
    return document


def check(
    path: str | Path, overlays: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None
) -> list[Finding]:
    """Every error and warning of the document at `path`, in the order of its files; arguments as for `load`."""
    return _load(path, overlays, environment)[1]


def read_file(path: str | Path, order: int = 0) -> tuple[File, list[Finding]]:
    """A file's text.

    Raises:
        EnvironmentFault: It cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        return File(str(path), content.decode("utf-8-sig").removeprefix("\ufeff"), order), []
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        file = File(str(path), before + "\ufffd", order)
        finding = file.place(len(before)).finding("E101", "this byte is not UTF-8", "save the file as UTF-8")
        return file, [finding]


def _load(
    path: str | Path, overlays: Sequence[str | Path], environment: Mapping[str, str] | None
) -> tuple[Document | None, list[Finding]]:
    names = [str(path), *map(str, overlays)]
    root, findings = _tree(names)
    if root is None:
        return None, _sorted(findings, names)
    folder = Path(path).resolve().parent
    findings += substitute(root, os.environ if environment is None else environment, folder)
    reader = Reader(folder, Expressions(), _model_names(root))
    document = _Sections(reader, root, Path(path).resolve(), findings).read()
    findings = _sorted(findings + reader.findings, names)
    if document is not None:
        warnings = [finding for finding in findings if finding.severity == "warning"]
        document = replace(document, warnings=warnings)
    return document, findings


def _tree(names: Sequence[str]) -> tuple[Node | None, list[Finding]]:
    """The merged tree of all files, or None where one cannot be read as a map."""
    findings: list[Finding] = []
    merged: Node | None = None
    readable = True
    for order, name in enumerate(names):
        file, found = read_file(name, order)
        findings += found
        if found:
            readable = False
            continue
        root, found = parse(file)
        findings += found
        if root is None or root.shape != "map":
            readable = False
            if not found:
                message = (
                    "the file is empty" if root is None else f"expected a map of keys, found {root.found}"
                )
                findings.append(file.place(0).finding("E204", message, "begin with 'pipeline: NAME'"))
            continue
        merged = root if merged is None else merge(merged, root)
    return (merged if readable else None), findings


def _sorted(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    order = {name: number for number, name in reversed(list(enumerate(names)))}
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda f: (order.get(f.file, len(order)), f.line, f.column, f.code))


def _model_names(root: Node) -> frozenset[str] | None:
    """The names of the models, known before anything else is read; None where they cannot be."""
    node = root.members.get("models")
    if node is None or node.shape != "map":
        return None
    return frozenset(node.members)


class _Sections:
    """Reads a document section by section, in the order in which names become known."""

    def __init__(self, reader: Reader, root: Node, path: Path, before: Sequence[Finding]) -> None:
        self.reader = reader
        self.before = before
        self.root = root
        self.path = path
        self.members: dict[str, Node] = {}
        reader.add_kind(Component, lambda _, node: node)

    def read(self) -> Document | None:
        """The document, or None where something it needs is wrong."""
        reader, known = self.reader, declared(Keys)
        self.members = reader.adopt(self.root, known)
        for name, key in known.items():
            if name in self.members and key.step > STEP:
                reader.later(self.root.keys.get(name, self.members[name]), name, key.step)
            elif key.required and name not in self.members:
                reader.missing(self.root, name, key, "the document")
        if reader.models is None and "models" in self.members and self.members["models"].shape == "map":
            reader.models = frozenset(self.members["models"].members)
        top = {name: self.plain(name) for name in ("version", "pipeline", "profile", "delivery", "unmatched")}
        expressions = reader.expressions
        expressions.declare(self.field_types(), self.table_names())
        source = self.config("source", Source)
        tables = self.tables()
        enrich = self.enrich()
        scope, reply_scope = expressions.scope(), expressions.scope(reply=True)
        self.config("defaults", Common)
        models = self.models()
        routes = self.routes()
        limits = self.config("limits", Limits) or Limits()
        write = self.config("write", Write) or Write()
        kafka = self.kafka()
        if source is not None:
            write = rules.topics(reader, self.members, str(top["pipeline"] or "<p>"), source, write)
        if source is None or any(finding.severity == "error" for finding in [*self.before, *reader.findings]):
            return None
        document = Document(
            path=self.path,
            pipeline=top["pipeline"],
            kafka=kafka,
            source=source,
            tables=tables,
            enrich=enrich,
            models=models,
            routes=routes,
            unmatched=top["unmatched"],
            limits=limits,
            write=write,
            profile=top["profile"],
            delivery=top["delivery"],
            content_hash=self.hash(models),
            scope=scope,
            reply_scope=reply_scope,
            tree=self.root,
        )
        reader.findings += rules.unused(document, self.members)
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
        """Declared fields and types; a type that is wrong counts as dyn, and a broken map as not given."""
        source = self.members.get("source")
        node = source.members.get("fields") if source is not None else None
        if node is None or node.shape != "map":
            return None
        types = declared(Source)["fields"].kind.value.words  # type: ignore[attr-defined]  # it is MapOf(Choice(…))
        return {name: member.text if member.text in types else "dyn" for name, member in node.members.items()}

    def table_names(self) -> tuple[str, ...]:
        node = self.members.get("tables")
        return tuple(node.members) if node is not None and node.shape == "map" else ()

    def tables(self) -> dict[str, Table]:
        """The tables; each has a file and a key."""
        found: dict[str, Table] = {}
        for name, node in self.entries("tables", "tables").items():
            rules.identifier(self.reader, self.key("tables", name), name, "table", IDENTIFIER)
            rules.names_apart(self.reader, self.key("tables", name), name, "table")
            table = self.reader.config(Table, node, name)
            if isinstance(table, Table) and rules.table(self.reader, node, table):
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
                found.append(made)
            self.reader.expressions.add(field, "dyn" if made is None else made.result)
        return found

    def models(self) -> dict[str, ModelSpec]:
        """The models by name."""
        found: dict[str, ModelSpec] = {}
        defaults = self.members.get("defaults")
        for name, node in self.entries("models", "models").items():
            rules.identifier(self.reader, self.key("models", name), name, "model", MODEL_NAME)
            made = read_model(self.reader, name, node, defaults)
            if made is not None:
                found[name] = made
        return found

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
        return name, conditional, Route(name, condition, use, values.get("on_error", "next"), node.place.line)

    def kafka(self) -> dict[str, str]:
        """The client's properties as text; their names and values are librdkafka's matter."""
        found: dict[str, str] = {}
        for name, node in self.entries("kafka", "properties").items():
            if node.shape != "scalar" or node.empty:
                self.reader.wrong(node, "a property's value")
            elif not node.broken:
                found[name] = node.text
        return found

    def hash(self, models: Mapping[str, ModelSpec]) -> str:
        """The hash of the document as written, before `${…}` is resolved, and of the files its models name."""
        digests: dict[str, str] = {}
        for name, spec in models.items():
            for key in declared(type(spec.config)):
                value = getattr(spec.config, key, None)
                if isinstance(value, Path):
                    digests[f"{name}.{key}"] = _digest(value)
        whole = {"document": self.root.plain(raw=True), "files": digests}
        return content_hash(json.dumps(whole, ensure_ascii=True, separators=(",", ":")).encode())


def _digest(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
