"""The pipeline document as typed objects: what is left once every key was read, checked and compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pointsman.base.errors import Finding
from pointsman.cel.program import Program, Scope
from pointsman.spec.dispatch import Constant, EndpointKeys
from pointsman.spec.keys import Common, Limits, Source, Write
from pointsman.spec.node import Node
from pointsman.spec.place import Place

__all__ = ["Document", "EndpointSpec", "Enrich", "ModelSpec", "Route", "Use", "place_of"]


@dataclass(frozen=True, slots=True)
class Enrich:
    """One metadata field: the enricher's registered name, its own config and the type of what it adds.

    Attributes:
        remembers: Whether its value depends on earlier events: it has state.
    """

    field: str
    enricher: str
    config: Any
    result: str = "dyn"
    remembers: bool = False


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A server that models share: connections, identity and limits.

    Attributes:
        protocol: The registered name of the protocol its models speak.
        address: Where it is, such as `grpc://localhost:8500`; may hold a secret, so it is not to be shown.
        config: What its models share.
    """

    name: str
    protocol: str
    address: str = field(repr=False)
    config: EndpointKeys


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A named model: its protocol's registered name, that protocol's own config, and the common keys.

    Attributes:
        endpoint: The endpoint that serves it; its protocol is the endpoint's, and its config has the
            endpoint's address. None where the model names its own.
    """

    name: str
    protocol: str
    config: Any
    common: Common
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """How a route picks: the strategy's registered name and config; a model's name alone is `fixed`."""

    strategy: str
    config: Any


@dataclass(frozen=True, slots=True)
class Route:
    """A name, a condition, and what to use.

    Attributes:
        when: A CEL condition, the name of a Python one (`module:function`), or None: always.
        line: Where it stands in the document, for explain.
        fallback: Who answers when the picked model does not; None leaves that to the model's own.
        deadline: Seconds for the whole event, from when it was polled.
    """

    name: str
    when: Program | str | None
    use: Use
    on_error: str = "next"
    line: int = 0
    fallback: tuple[str | Constant, ...] | None = None
    deadline: float | None = None

    @property
    def python(self) -> str | None:
        """The Python condition's name, where it has one."""
        return self.when if isinstance(self.when, str) else None


@dataclass(frozen=True, slots=True)
class Document:
    """A whole pipeline, checked.

    Attributes:
        path: The file it was read from; its folder is what relative paths and Python names start from.
        content_hash: SHA-256 (hex) of the document before `${…}` is resolved, and of its local model files.
        scope: The names and types that expressions over an event see.
        reply_scope: The same and `reply`.
        tables: The config of each table, as one of `spec.tables` declares it.
        warnings: What `check` warns of; nothing that stops the pipeline.
        tree: The document as it was written, with the place of every value.
    """

    path: Path
    pipeline: str
    kafka: Mapping[str, str] = field(repr=False)
    source: Source
    tables: Mapping[str, Any]
    enrich: Sequence[Enrich]
    models: Mapping[str, ModelSpec]
    routes: Sequence[Route]
    unmatched: str | None
    limits: Limits
    write: Write
    profile: str
    delivery: str
    content_hash: str
    scope: Scope
    reply_scope: Scope
    version: int = 1
    endpoints: Mapping[str, EndpointSpec] = field(default_factory=dict)
    warnings: Sequence[Finding] = ()
    tree: Node | None = field(default=None, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """What relative paths and Python names start from."""
        return self.path.parent

    @property
    def policy(self) -> str:
        """The policy version in force where no versions are kept on a topic: revision 0 and the hash."""
        return f"0@{self.content_hash[:8]}"

    @property
    def raw(self) -> Any:
        """The document as data, before `${…}` was resolved."""
        return None if self.tree is None else self.tree.plain(raw=True)

    def where(self, path: Sequence[str | int]) -> Place:
        """Where a key stands, such as `("models", "baseline", "inputs")`.

        What is not there is placed at what holds it; a model's key that `defaults` gives is placed there.
        """
        keys = tuple(path)
        if len(keys) > 2 and keys[0] == "models" and self.tree is not None:
            model = self.tree.members["models"].members[str(keys[1])]
            defaults = self.tree.members.get("defaults")
            if defaults is not None and keys[2] in defaults.members and keys[2] not in model.members:
                keys = ("defaults", *keys[2:])
        return place_of(self.tree, keys)


def place_of(node: Node | None, path: Sequence[str | int]) -> Place:
    """Where `path` stands below `node`; a map or list of several lines is placed at its key."""
    if node is None:
        return Place("", 1, 1, 1)
    place = node.place
    for step in path:
        if node.shape == "map" and str(step) in node.members:
            key_place = node.keys[str(step)].place
            node = node.members[str(step)]
            place = key_place if node.shape != "scalar" and node.style == "block" else node.place
        elif node.shape == "list" and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            place = node.place
        else:
            break
    return place
