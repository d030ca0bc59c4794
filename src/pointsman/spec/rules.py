"""What must hold between the parts of a document: names differ, routes can be reached, topics do not meet."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from pointsman.base.config import TopicName
from pointsman.base.errors import Finding
from pointsman.cel.program import Program
from pointsman.model.base import models as registered
from pointsman.spec.document import Document, Enrich, ModelSpec
from pointsman.spec.expressions import ROOTS
from pointsman.spec.keys import IDENTIFIER, RouteKeys, Source, Write
from pointsman.spec.node import Node
from pointsman.spec.place import Place
from pointsman.spec.read import Reader, declared, did_you_mean

__all__ = [
    "delivery",
    "identifier",
    "model_fields",
    "model_topics",
    "names_apart",
    "not_constant",
    "redaction",
    "registry_patience",
    "route_name",
    "routes",
    "secret_properties",
    "topics",
    "unused",
]


Where = Callable[[str, str], Place]
"""The place of a model's key."""


def identifier(reader: Reader, node: Node, name: str, what: str, pattern: str) -> None:
    """The name of a table, model or metadata field is made of the right signs."""
    if not re.fullmatch(pattern, name):
        signs = "letters, digits and '_'" if pattern == IDENTIFIER else "letters, digits, '.', '-' and '_'"
        first = "is not a digit" if pattern == IDENTIFIER else "is a letter or digit"
        reader.tell(node, "E207", f"'{name}' cannot name a {what}", f"use {signs}; the first {first}")


def names_apart(reader: Reader, node: Node, name: str, what: str) -> None:
    """A table or metadata field does not take the name of anything else that expressions see."""
    taken = ""
    if name in ROOTS:
        taken = "a name that expressions always have"
    elif name in (reader.expressions.fields or {}):
        taken = "a field of the event"
    elif what != "table" and name in reader.expressions.tables:
        taken = "a table"
    if taken:
        reader.tell(node, "E217", f"'{name}' is already {taken}", f"give the {what} another name")


def not_constant(reader: Reader, node: Node, name: str) -> None:
    """No model is called like the constants of fallbacks in records."""
    if name == "constant":
        message = f"'{name}' is what records say where a constant answered"
        reader.tell(node, "E217", message, "give the model another name")


def route_name(reader: Reader, node: Node, members: Mapping[str, Any], number: int) -> str:
    """The route's name; every route has one, except rows of a table."""
    name = members.get("name")
    if isinstance(name, str):
        return name
    if "name" not in node.members and "table" not in node.members:
        reader.missing(node, "name", declared(RouteKeys)["name"], f"route {number + 1}")
    return f"route-{number + 1}"


def routes(
    reader: Reader, members: Mapping[str, Node], node: Node, names: Sequence[str], conditions: Sequence[bool]
) -> None:
    """Names differ, each route can be reached, and it is said what becomes of an event that none takes.

    Args:
        reader: Takes the findings.
        members: The document's sections.
        node: The list of routes.
        names: The name of each.
        conditions: Whether each has a condition.
    """
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        item = node.items[number].members.get("name")
        if item is None or item.broken:
            continue
        if name in first:
            line = node.items[first[name]].place.line
            reader.tell(
                item,
                "E210",
                f"two routes are called '{name}'",
                f"the other stands in line {line}; rename one",
            )
        first.setdefault(name, number)
    last = len(names) - 1
    always = next((number for number, has in enumerate(conditions) if not has), None)
    if always is not None and always < last:
        behind = last - always
        which = "the route behind it is" if behind == 1 else f"the {behind} routes behind it are"
        reader.tell(
            node.items[always + 1].members.get("name", node.items[always + 1]),
            "W220",
            f"the route '{names[always]}' has no condition, so {which} never reached",
            "put it last, or give it a condition",
            "warning",
        )
    if always is None and names and "unmatched" not in members:
        item = node.items[last]
        reader.tell(
            item.keys.get("when", item),
            "E212",
            f"the last route, '{names[last]}', has a condition; nothing says what becomes of other events",
            "add unmatched: dead_letter or unmatched: skip, or a last route without when",
        )
    if always is not None and "unmatched" in members and members["unmatched"].text in ("dead_letter", "skip"):
        reader.tell(
            members["unmatched"],
            "W223",
            f"no event is left unmatched, because the route '{names[always]}' has no condition",
            "remove unmatched",
            "warning",
        )


def topics(reader: Reader, members: Mapping[str, Node], pipeline: str, source: Source, write: Write) -> Write:
    """Decisions and dead letters go to topics of their own; those left out get their default names."""
    full = dataclasses.replace(
        write,
        decisions=write.decisions or f"{pipeline}.decisions",
        dead_letters=write.dead_letters or f"{pipeline}.dead-letters",
    )
    node = members.get("write")
    given = node.members if node is not None else {}
    at_source = members["source"].members.get("topics", members["source"])
    for name in ("decisions", "dead_letters", "results", "enriched"):
        topic = getattr(full, name)
        if topic in source.topics:
            reader.tell(
                given.get(name, at_source),
                "E213",
                f"'{topic}' is a topic that this pipeline reads",
                f"write to a topic of its own, for example {pipeline}.{name.replace('_', '-')}",
            )
    written = {"decisions": full.decisions, "dead letters": full.dead_letters, "results": full.results}
    written["enriched events"] = full.enriched
    for (one, topic), (other, same) in combinations(written.items(), 2):
        if topic is not None and topic == same:
            keys = [what.replace(" ", "_").removesuffix("_events") for what in (other, one)]
            at = next((given[key] for key in keys if key in given), at_source)
            message = f"{one} and {other} both go to '{topic}'"
            reader.tell(at, "E213", message, "give each a topic of its own")
    for number, item in enumerate(at_source.items):
        if item.text in [other.text for other in at_source.items[:number]]:
            reader.tell(item, "E205", f"the topic '{item.raw}' is named twice", "remove one")
    return full


def model_topics(
    reader: Reader, models: Mapping[str, ModelSpec], where: Where, source: Source, write: Write
) -> None:
    """What is sent to a model does not come back as an event, nor stand among decisions."""
    taken = dict.fromkeys(source.topics, "which this pipeline reads")
    written = {"decisions": write.decisions, "dead letters": write.dead_letters, "results": write.results}
    written["enriched events"] = write.enriched
    taken |= {topic: f"to which {what} go" for what, topic in written.items() if topic is not None}
    for name, spec in models.items():
        for key, declaration in declared(type(spec.config)).items():
            topic = getattr(spec.config, key, None)
            if isinstance(declaration.kind, TopicName) and topic in taken:
                message = f"the model '{name}' uses '{topic}', {taken[topic]}"
                reader.tell(where(name, key), "E213", message, "give it a topic of its own")


def model_fields(
    reader: Reader, members: Mapping[str, Node], enrich: Sequence[Enrich], models: Mapping[str, ModelSpec]
) -> None:
    """A field that asks a model asks one in this process, whose inputs are known by then."""
    before: list[str] = []
    for one in enrich:
        spec = models.get(one.config.model) if one.enricher == "model" else None
        if spec is not None:
            node = members["enrich"].members[one.field].members["model"]
            if hasattr(registered.get(spec.protocol), "request"):
                message = f"the model '{spec.name}' is reached over a wire; fields are added before any call"
                reader.tell(node, "E242", message, "name a model of 'python' or 'onnx', or make it a route's")
            late = [name for name in _metadata_read(spec) if name not in before]
            if late:
                message = (
                    f"the inputs of '{spec.name}' read '{late[0]}', which is not added before this field"
                )
                reader.tell(node, "E242", message, f"put '{late[0]}' before '{one.field}'")
        before.append(one.field)


def _metadata_read(spec: ModelSpec) -> list[str]:
    """The metadata fields that a model's inputs read."""
    paths = sorted(path for program in (spec.common.inputs or {}).values() for path in program.reads)
    return [path.split(".")[1] for path in paths if path.startswith("metadata.")]


def secret_properties(reader: Reader, node: Node) -> None:
    """Warns of secrets among the properties of a Kafka client that stand in the document itself."""
    for name, member in node.members.items():
        if member.shape == "scalar" and not member.empty and _SECRET.search(name):
            reader.exposed(member)


_SECRET = re.compile(r"password|secret|^sasl\.jaas|\.pem$")
"""Properties of the Kafka client that nobody should read."""


def registry_patience(
    reader: Reader, members: Mapping[str, Node], source: Source, kafka: Mapping[str, str]
) -> None:
    """While a worker waits for the registry it polls no events, and the group waits only so long for it."""
    given, registry = kafka.get("max.poll.interval.ms", ""), source.registry
    most = int(given) / 1000 if given.isdecimal() else _POLL_SECONDS
    if registry is not None and registry.patience + registry.timeout >= most:
        reader.tell(
            members["source"].members["registry"].members.get("patience", members["source"]),
            "E205",
            f"a worker that waits so long for the registry is shut out of its group after {most:g} s",
            "make patience shorter, or kafka's max.poll.interval.ms longer",
        )


_POLL_SECONDS = 300.0
"""The client's default."""


def redaction(reader: Reader, members: Mapping[str, Node], source: Source) -> None:
    """Warns of fields to write or hide that no event is declared to have, and of hiding what names it."""
    node = members.get("write")
    if node is None:
        return
    hidden, shown = node.members.get("redact"), node.members.get("event")
    named = dict(hidden.keys) if hidden is not None else {}
    for name, key in named.items():
        _declared_field(reader, key, name, source)
    for item in shown.items if shown is not None else ():
        if item.shape == "scalar":
            _declared_field(reader, item, item.text, source)
    for what, program in {"key": source.key, "id": source.id}.items():
        for name, at in named.items():
            if program is not None and f"event.{name}" in {_member(path) for path in program.reads}:
                reader.tell(
                    at,
                    "W230",
                    f"'{name}' is hidden in the event, but source.{what} shows it in every record",
                    f"take another field for source.{what}, or leave '{name}' as it is",
                    "warning",
                )


def _member(path: str) -> str:
    """`event.card` of `event.card.number`."""
    return ".".join(path.split(".")[:2])


def _declared_field(reader: Reader, node: Node, name: str, source: Source) -> None:
    if source.fields is not None and name not in source.fields:
        otherwise = "a field that only some events have may stay; else correct the name"
        message = f"'{name}' is not a declared field"
        reader.tell(node, "W229", message, did_you_mean(name, source.fields, otherwise), "warning")


def delivery(source: Source, enrich: Sequence[Enrich]) -> str:
    """How sure writing is where the document does not say: a count that repeats events is no count."""
    remembers = any(spec.remembers for spec in enrich) or source.dedupe is not None
    return "exactly_once" if remembers else "at_least_once"


def unused(document: Document, members: Mapping[str, Node]) -> list[Finding]:
    """Warnings about models and tables that nothing uses; asked only where there is no error."""
    found: list[Finding] = []
    used = {text for node in members["routes"].items for text in _texts(node.members.get("use"))}
    chains = [route.fallback for route in document.routes]
    chains += [spec.common.fallback for spec in document.models.values()]
    used |= {step for chain in chains for step in chain or () if isinstance(step, str)}
    if document.limits.max_lag is not None and document.limits.max_lag.then is not None:
        used.add(document.limits.max_lag.then)
    used |= {one.config.model for one in document.enrich if one.enricher == "model"}
    for name in document.models:
        if name not in used:
            place = members["models"].keys[name].place
            found.append(
                place.finding(
                    "W221", f"no route uses the model '{name}'", "remove it, or add a route", "warning"
                )
            )
    served = {spec.endpoint for spec in document.models.values()}
    for name in document.endpoints:
        if name not in served:
            place = members["endpoints"].keys[name].place
            message = f"no model is served by the endpoint '{name}'"
            found.append(place.finding("W225", message, "remove it, or name it in a model", "warning"))
    read = {path.partition(".")[0] for program in programs(document) for path in program.reads}
    looked_up = {getattr(enricher.config, "lookup", None) for enricher in document.enrich}
    for name in document.tables:
        if name not in read and name not in looked_up:
            place = members["tables"].keys[name].place
            found.append(
                place.finding(
                    "W222", f"nothing reads the table '{name}'", "remove it, or look something up", "warning"
                )
            )
    return found


def _texts(node: Node | None) -> Iterator[str]:
    """Every text of a tree, keys too."""
    if node is None:
        return
    if node.shape == "scalar":
        yield node.text
    yield from node.members
    for inner in [*node.items, *node.members.values()]:
        yield from _texts(inner)


def programs(value: Any) -> Iterator[Program]:
    """Every compiled expression inside configs, lists and maps."""
    if isinstance(value, Program):
        yield value
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            if one.name not in ("tree", "scope", "reply_scope", "warnings"):
                yield from programs(getattr(value, one.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from programs(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from programs(inner)
