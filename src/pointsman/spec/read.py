"""Reads nodes as the declared kinds say, and gathers every finding on the way.

A value that cannot be used becomes BAD, and what depends on it stays silent: one mistake, one finding.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pointsman.base.config import Key, Kind, keys_of
from pointsman.base.errors import Finding
from pointsman.spec.expressions import Expressions
from pointsman.spec.keys import Limits, RouteKeys, Source, Write
from pointsman.spec.later import STEP, WORDS
from pointsman.spec.node import Node
from pointsman.spec.place import Place

__all__ = ["BAD", "Reader", "nearest"]

T = TypeVar("T")


class _Bad:
    """What stands for a value that cannot be used; a finding says why."""

    def __repr__(self) -> str:
        return "BAD"


BAD: Final = _Bad()


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that `name` was meant to be, or an empty string."""
    found = difflib.get_close_matches(name, list(known), 1, cutoff)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The hint for a name that is not known."""
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else otherwise


def listed(what: str, names: Iterable[str]) -> str:
    """The first names there are, for a hint; empty where there are none."""
    first = sorted(names)
    more = f" and {len(first) - 12} more" if len(first) > 12 else ""
    return f"{what}: {', '.join(first[:12])}{more}" if first else ""


class Reader:
    """Reads the values of one document.

    Attributes:
        folder: What relative paths start from.
        expressions: Compiles expressions in the scopes as they stand.
        models: The names of the document's models, or None where they cannot be known.
        findings: What was found so far, in the order of reading.
    """

    def __init__(
        self,
        folder: Path,
        expressions: Expressions,
        models: frozenset[str] | None,
        read: Callable[[Reader, Kind, Node], Any],
    ) -> None:
        """Args:
        folder: What relative paths start from.
        expressions: Compiles expressions in the scopes as they stand.
        models: The names of the document's models.
        read: Reads a node as a kind, as `kinds.read`.
        """
        self._read = read
        self.folder = folder
        self.expressions = expressions
        self.models = models
        self.findings: list[Finding] = []
        self.told: set[tuple[Place, str]] = set()

    def tell(
        self,
        where: Node | Place,
        code: str,
        message: str,
        hint: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> _Bad:
        """Adds a finding, once for each place and code, and returns BAD."""
        place = where.place if isinstance(where, Node) else where
        if (place, code) not in self.told:
            self.told.add((place, code))
            self.findings.append(place.finding(code, message, hint, severity))
        return BAD

    def model(self, where: Node, name: str) -> Any:
        """`name` where a model is called so; else a finding at `where`."""
        if self.models is None or name in self.models:
            return name
        otherwise = listed("models", self.models) or "declare it under models"
        return self.tell(
            where, "E203", f"no model is called {where.found}", did_you_mean(name, self.models, otherwise)
        )

    def read(self, kind: Kind, node: Node) -> Any:
        """The value of `node` as `kind`, or BAD."""
        return self._read(self, kind, node)

    def wrong(self, node: Node, expected: str, hint: str = "") -> _Bad:
        """Refuses a value of the wrong type."""
        return self.tell(node, "E204", f"expected {expected}, found {node.found}", hint)

    def exposed(self, node: Node) -> None:
        """Warns where a secret stands in the document itself."""
        if not node.pieces:
            self.tell(
                node,
                "W231",
                "a secret stands in the document itself",
                "take it from the environment or a file: ${NAME} or ${file:PATH}",
                "warning",
            )

    # Maps with declared keys

    def config(self, cls: type[T], node: Node, what: str = "") -> T | _Bad:
        """An instance of the config dataclass `cls` read from a map, or BAD."""
        values = self.keys(declared(cls), node, cls.__name__, what)
        return BAD if isinstance(values, _Bad) else build(cls, values)

    def keys(
        self, known: Mapping[str, Key], node: Node, owner: str = "", what: str = ""
    ) -> dict[str, Any] | _Bad:
        """The values of a map with the keys of `known`; BAD where a required one is missing or wrong.

        Args:
            known: The declared keys.
            node: The map.
            owner: The name of the class that declares them, for words that come later.
            what: What the map is, for messages.
        """
        if node.broken:
            return BAD
        if node.shape != "map":
            example = next(iter(known), "key")
            return self.wrong(node, f"a map with keys such as '{example}'")
        members = self.adopt(node, known)
        values: dict[str, Any] = {}
        usable = True
        for name, key in known.items():
            member = members.get(name)
            if member is not None and key.step > STEP:
                self.later(node.keys.get(name, member), name)
                member = None
                usable = usable and not key.required
            if member is None:
                if key.required:
                    usable = False
                    if name not in members:
                        self.missing(node, name, key, what)
                continue
            value = self.word(owner, name, key, member)
            if value is BAD and name not in node.members and member.shape == "scalar":
                self.forget(member)  # it was read under a name that is only likely
            if value is not BAD:
                values[name] = value
            elif key.required:
                usable = False
        return values if usable else BAD

    def word(self, owner: str, name: str, key: Key, member: Node) -> Any:
        """The value of one key, which may be a word that only a later version takes."""
        later = WORDS.get((owner, name), {})
        if later and member.shape == "scalar" and member.text in later and not member.broken:
            self.later(member, member.text)
            return BAD
        return self.read(key.kind, member)

    def forget(self, node: Node) -> None:
        """Takes back what was found about a scalar."""
        self.findings = [one for one in self.findings if (one.file, one.line, one.column) != _at(node)]

    def adopt(self, node: Node, known: Mapping[str, Key]) -> dict[str, Node]:
        """A map's members by known key; an unknown key is refused and, where clear, read as it was meant."""
        members = {name: member for name, member in node.members.items() if name in known}
        for name, member in node.members.items():
            if name in members:
                continue
            now = [other for other, key in known.items() if key.step <= STEP]
            home = _HOMES.get(name)
            elsewhere = f"it stands under {home}; check the indentation" if home else ""
            hint = did_you_mean(name, known, elsewhere or f"known keys: {', '.join(now)}")
            self.tell(node.keys[name], "E201", f"'{name}' is not a key here", hint)
            near = nearest(name, known)
            if near in now and near not in node.members:
                members.setdefault(near, member)
        return members

    def missing(self, node: Node, name: str, key: Key, what: str) -> None:
        """Says that a required key is missing."""
        place = node.file.place(node.start, node.start + 1) if node.shape != "scalar" else node.place
        example = f", for example {name}: {key.example}" if key.example else ""
        whose = f" of {what}" if what else ""
        self.tell(place, "E202", f"the key '{name}'{whose} is missing", f"add it{example}")

    def later(self, node: Node, name: str) -> _Bad:
        """Refuses what a later version brings."""
        return self.tell(
            node,
            "E206",
            f"'{name}' is not available in this version",
            "remove it, or wait for the version that brings it",
        )


def _at(node: Node) -> tuple[str, int, int]:
    place = node.place
    return place.file, place.line, place.column


_HOMES = {
    name: section
    for section, cls in {"write": Write, "limits": Limits, "routes": RouteKeys, "source": Source}.items()
    for name in keys_of(cls)
} | {"auth": "endpoints", "tls": "endpoints"}
"""Where a key stands that is found at the wrong place."""

_declared: dict[type[Any], Mapping[str, Key]] = {}


def declared(cls: type[Any]) -> Mapping[str, Key]:
    """The declared keys by the name they have in YAML: a field `from_` is the key `from`."""
    if cls not in _declared:
        _declared[cls] = {name.rstrip("_"): key for name, key in keys_of(cls).items()}
    return _declared[cls]


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance of a config dataclass from values by YAML key."""
    fields = {name.rstrip("_"): name for name in keys_of(cls)}
    return cls(**{fields[name]: value for name, value in values.items()})
