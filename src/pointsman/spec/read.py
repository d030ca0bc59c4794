"""Reads nodes as the declared kinds say, and gathers every finding on the way.

A value that cannot be used becomes BAD, and what depends on it stays silent: one mistake, one finding.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pointsman.base import config
from pointsman.base.config import Key, Kind, keys_of
from pointsman.base.errors import Finding
from pointsman.spec.expressions import Expressions
from pointsman.spec.later import STEP, WORDS
from pointsman.spec.place import Place
from pointsman.spec.unquoted import quoted
from pointsman.spec.yaml import Node

__all__ = ["BAD", "Reader", "nearest"]

T = TypeVar("T")


class _Bad:
    """What stands for a value that cannot be used; a finding says why."""

    def __repr__(self) -> str:
        return "BAD"


BAD: Final = _Bad()

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,12})?)%")
_PYTHON = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that `name` was meant to be, or an empty string."""
    found = difflib.get_close_matches(name, list(known), 1, cutoff)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The hint for a name that is not known."""
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else otherwise


class Reader:
    """Reads the values of one document.

    Attributes:
        folder: What relative paths start from.
        expressions: Compiles expressions in the scopes as they stand.
        models: The names of the document's models, or None where they cannot be known.
        findings: What was found so far, in the order of reading.
    """

    def __init__(self, folder: Path, expressions: Expressions, models: frozenset[str] | None) -> None:
        self.folder = folder
        self.expressions = expressions
        self.models = models
        self.findings: list[Finding] = []
        self._told: set[tuple[Place, str]] = set()
        self._methods: dict[type[Kind], Callable[[Any, Node], Any]] = {
            config.Text: self._text,
            config.Whole: self._whole,
            config.Number: self._number,
            config.Flag: self._flag,
            config.Duration: self._duration,
            config.Share: self._share,
            config.Choice: self._choice,
            config.Expression: self._expression,
            config.PythonName: self._python,
            config.FileName: self._file,
            config.ModelName: self._model,
            config.TopicName: self._topic,
            config.Anything: self._anything,
            config.ListOf: self._list,
            config.MapOf: self._map,
            config.Nested: self._nested,
            config.OneOf: self._one_of,
            config.TableName: self._table,
        }

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
        if (place, code) not in self._told:
            self._told.add((place, code))
            self.findings.append(place.finding(code, message, hint, severity))
        return BAD

    def add_kind(self, kind: type[Kind], method: Callable[[Any, Node], Any]) -> None:
        """Says how a further kind is read."""
        self._methods[kind] = method

    def read(self, kind: Kind, node: Node) -> Any:
        """The value of `node` as `kind`, or BAD."""
        if node.broken:
            return BAD
        return self._methods[type(kind)](kind, node)

    def wrong(self, node: Node, expected: str, hint: str = "") -> _Bad:
        """Refuses a value of the wrong type."""
        return self.tell(node, "E204", f"expected {expected}, found {node.found}", hint)

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
                self.later(node.keys.get(name, member), name, key.step)
                member = None
                usable = usable and not key.required
            if member is None:
                if key.required:
                    usable = False
                    if name not in members:
                        self.missing(node, name, key, what)
                continue
            value = self.word(owner, name, key, member)
            if value is not BAD:
                values[name] = value
            elif key.required:
                usable = False
        return values if usable else BAD

    def word(self, owner: str, name: str, key: Key, member: Node) -> Any:
        """The value of one key, which may be a word that only a later version takes."""
        later = WORDS.get((owner, name), {})
        if later and member.shape == "scalar" and member.text in later and not member.broken:
            self.later(member, member.text, later[member.text])
            return BAD
        return self.read(key.kind, member)

    def adopt(self, node: Node, known: Iterable[str]) -> dict[str, Node]:
        """A map's members by known key; an unknown key is refused and, where it is clear what was meant, read as that."""
        known = list(known)
        members: dict[str, Node] = {}
        for name, member in node.members.items():
            if name in known:
                members[name] = member
        for name, member in node.members.items():
            if name in members:
                continue
            near = nearest(name, known, 0.6)
            listed = f"known keys: {', '.join(known)}" if len(known) <= 12 else ""
            hint = f"did you mean '{near}'?" if near else listed
            self.tell(node.keys[name], "E201", f"'{name}' is not a key here", hint)
            if near and near not in node.members:
                members.setdefault(near, member)
        return members

    def missing(self, node: Node, name: str, key: Key, what: str) -> None:
        """Says that a required key is missing."""
        place = node.file.place(node.start, node.start + 1) if node.shape != "scalar" else node.place
        example = f", for example {name}: {key.example}" if key.example else ""
        whose = f" of {what}" if what else ""
        self.tell(place, "E202", f"the key '{name}'{whose} is missing", f"add it{example}")

    def later(self, node: Node, name: str, step: int) -> _Bad:  # noqa: ARG002  # the step is for the reference page
        """Refuses what a later version brings."""
        return self.tell(
            node,
            "E206",
            f"'{name}' is not available in this version",
            "remove it, or wait for the version that brings it",
        )

    # Kinds

    def _text(self, kind: config.Text, node: Node) -> Any:
        if node.shape != "scalar" or node.empty:
            return self.wrong(node, "text")
        if not isinstance(node.value, str) and not node.pieces:
            return self.wrong(node, "text", f'write it in quotes: "{node.raw}"')
        if not node.text.strip():
            return self.tell(node, "E205", "this text is empty", "write something, or leave the key out")
        if kind.pattern and not re.fullmatch(kind.pattern, node.text):
            return self.tell(
                node, "E207", f"{node.found} is not a name that may stand here", _pattern(kind.pattern)
            )
        return node.text

    def _whole(self, kind: config.Whole, node: Node) -> Any:
        value = node.value if node.shape == "scalar" else None
        if isinstance(value, bool) or not isinstance(value, int):
            return self.wrong(node, "a whole number", _unquote(node))
        return self._within(node, value, kind.low, kind.high)

    def _number(self, kind: config.Number, node: Node) -> Any:
        value = node.value if node.shape == "scalar" else None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return self.wrong(node, "a number", _unquote(node))
        return self._within(node, value, kind.low, kind.high)

    def _within(self, node: Node, value: float, low: float | None, high: float | None) -> Any:
        if low is not None and value < low:
            return self.tell(node, "E205", f"{node.raw} is too small", f"write at least {low}")
        if high is not None and value > high:
            return self.tell(node, "E205", f"{node.raw} is too large", f"write at most {high}")
        return value

    def _flag(self, kind: config.Flag, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        value = node.value if node.shape == "scalar" else None
        return value if isinstance(value, bool) else self.wrong(node, "true or false")

    def _duration(self, kind: config.Duration, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        if node.shape != "scalar" or node.empty:
            return self.wrong(node, "a duration such as 50ms, 10s, 5m, 1h or 30d")
        found = _DURATION.fullmatch(node.text)
        if found is None:
            unit = (
                f"write {node.raw}s or {node.raw}ms"
                if re.fullmatch(r"\d+", node.raw)
                else "write 50ms, 10s, 5m, 1h or 30d"
            )
            return self.tell(node, "E208", f"'{node.raw}' is not a duration", unit)
        seconds = float(found[1]) * _SECONDS[found[2]]
        if not seconds:
            return self.tell(node, "E208", f"'{node.raw}' is no time at all", "write at least 1ms")
        return seconds

    def _share(self, kind: config.Share, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        found = _SHARE.fullmatch(node.text) if node.shape == "scalar" else None
        if found is None:
            if node.shape != "scalar" or node.empty:
                return self.wrong(node, "a share such as 5%")
            percent = f"write {node.raw}%" if re.fullmatch(r"\d+", node.raw) else "write 5% or 0.5%"
            return self.tell(node, "E209", f"'{node.raw}' is not a share", percent)
        share = Fraction(found[1]) / 100
        if share > 1:
            return self.tell(node, "E209", f"{node.raw} is more than the whole", "write at most 100%")
        return share

    def _choice(self, kind: config.Choice, node: Node) -> Any:
        words = kind.words
        if node.shape != "scalar" or node.empty:
            return self.wrong(node, _either(words))
        if node.text not in words:
            return self.tell(
                node, "E205", f"{node.found} is not one of {', '.join(words)}", did_you_mean(node.text, words)
            )
        return node.text

    def _expression(self, kind: config.Expression, node: Node) -> Any:
        if node.shape != "scalar":
            source = node.file.text[node.start : node.end]
            hint = "an expression that begins with [ or { stands in quotes"
            if node.style == "flow" and "\n" not in source and len(source) < 200:
                hint += f": {quoted(source)}"
            return self.wrong(node, "a CEL expression", hint)
        if not node.text.strip():
            return self.wrong(node, "a CEL expression", "a # begins a comment" if node.raw else "")
        program = self.expressions.compile(node, kind.over, kind.result, self.tell)
        return BAD if program is None else program

    def _python(self, kind: config.PythonName, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        if node.shape != "scalar" or not isinstance(node.value, str):
            return self.wrong(node, "a Python name such as module:function")
        if not _PYTHON.fullmatch(node.text):
            return self.tell(
                node, "E207", f"{node.found} is not a Python name", "write it as module:function"
            )
        return node.text

    def _file(self, kind: config.FileName, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        if node.shape != "scalar" or not isinstance(node.value, str):
            return self.wrong(node, "a file's path")
        path = self.folder / node.text
        if path.is_file():
            return path
        if path.is_dir():
            return self.tell(node, "E216", f"{node.found} is a folder", "name a file in it")
        return self.tell(node, "E216", f"there is no file {node.found}", self._near_file(path))

    def _near_file(self, path: Path) -> str:
        hint = "paths are relative to the document's folder"
        try:
            near = nearest(path.name, (other.name for other in path.parent.iterdir()))
        except OSError:
            return hint
        return f"did you mean '{near}'?" if near else hint

    def _model(self, kind: config.ModelName, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        if node.shape != "scalar" or node.empty:
            return self.wrong(node, "a model's name")
        return self.model(node, node.text)

    def model(self, where: Node, name: str) -> Any:
        """`name` where a model is called so; else a finding at `where`."""
        if self.models is None or name in self.models:
            return name
        otherwise = f"models: {', '.join(sorted(self.models))}" if self.models else "declare it under models"
        return self.tell(
            where, "E203", f"no model is called {where.found}", did_you_mean(name, self.models, otherwise)
        )

    def _table(self, kind: config.TableName, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        if node.shape != "scalar" or node.empty:
            return self.wrong(node, "a table's name")
        known = self.expressions.tables
        if node.text in known:
            return node.text
        otherwise = f"tables: {', '.join(known)}" if known else "declare it under tables"
        return self.tell(
            node, "E218", f"no table is called {node.found}", did_you_mean(node.text, known, otherwise)
        )

    def _topic(self, kind: config.TopicName, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        if node.shape != "scalar" or node.empty:
            return self.wrong(node, "a topic's name")
        if not _TOPIC.fullmatch(node.text) or node.text in (".", ".."):
            hint = "a topic's name has at most 249 letters, digits, '.', '_' and '-'"
            return self.tell(node, "E207", f"{node.found} cannot name a topic", hint)
        return node.text

    def _anything(self, kind: config.Anything, node: Node) -> Any:  # noqa: ARG002  # the same for every kind
        return node.plain()

    def _list(self, kind: config.ListOf, node: Node) -> Any:
        if node.shape != "list":
            one = node.file.text[node.start : node.end] if node.shape == "scalar" and not node.empty else ""
            short = one and "\n" not in one and len(one) < 80
            return self.wrong(node, "a list", f"write [{one}]" if short else "")
        values = [self.read(kind.item, item) for item in node.items]
        if len(node.items) < kind.least:
            return self.tell(
                node, "E205", f"the list has {len(node.items)} values", f"give at least {kind.least}"
            )
        return [value for value in values if value is not BAD]

    def _map(self, kind: config.MapOf, node: Node) -> Any:
        if node.shape != "map":
            return self.wrong(node, "a map of names to values")
        values: dict[str, Any] = {}
        usable = True
        for name, member in node.members.items():
            if kind.names == "models" and self.model(node.keys[name], name) is BAD:
                usable = False
            value = self.read(kind.value, member)
            if value is BAD:
                usable = False
            else:
                values[name] = value
        if len(node.members) < kind.least:
            found = len(node.members)
            return self.tell(
                node, "E205", f"the map has {found} value{'s'[: found != 1]}", f"give at least {kind.least}"
            )
        return values if usable or kind.names == "fields" else BAD

    def _nested(self, kind: config.Nested, node: Node) -> Any:
        return self.config(kind.cls, node)

    def _one_of(self, kind: config.OneOf, node: Node) -> Any:
        fitting = [one for one in kind.kinds if _fits(one, node)]
        if not fitting:
            return self.wrong(node, _either([_word_for(one) for one in kind.kinds]))
        for one in fitting[:-1]:
            kept, told = list(self.findings), set(self._told)
            value = self.read(one, node)
            if value is not BAD:
                return value
            self.findings, self._told = kept, told
        return self.read(fitting[-1], node)


def declared(cls: type[Any]) -> dict[str, Key]:
    """The declared keys by the name they have in YAML: a field `from_` is the key `from`."""
    return {name.rstrip("_"): key for name, key in keys_of(cls).items()}


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance of a config dataclass from values by YAML key."""
    fields = {name.rstrip("_"): name for name in keys_of(cls)}
    return cls(**{fields[name]: value for name, value in values.items()})


def _fits(kind: Kind, node: Node) -> bool:
    """Whether a node has the shape of a kind."""
    if isinstance(kind, config.Anything):
        return True
    if isinstance(kind, (config.Nested, config.MapOf)):
        return node.shape == "map"
    if isinstance(kind, config.ListOf):
        return node.shape == "list"
    if node.shape != "scalar":
        return False
    if isinstance(kind, config.Text):
        return isinstance(node.value, str)
    if isinstance(kind, (config.Whole, config.Number)):
        return isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    return not isinstance(kind, config.Flag) or isinstance(node.value, bool)


_WORDS: Final = {
    config.Text: "text",
    config.Whole: "a whole number",
    config.Number: "a number",
    config.Flag: "true or false",
    config.Expression: "a CEL expression",
    config.ListOf: "a list",
    config.MapOf: "a map",
    config.Nested: "a map",
    config.Duration: "a duration",
    config.Share: "a share",
}


def _word_for(kind: Kind) -> str:
    return _WORDS.get(type(kind), "a value")


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _unquote(node: Node) -> str:
    """The hint for a number in quotes."""
    if (
        node.shape == "scalar"
        and node.style in ("single", "double")
        and re.fullmatch(r"-?\d+(\.\d+)?", node.text)
    ):
        return f"write it without quotes: {node.raw}"
    return ""


def _pattern(pattern: str) -> str:
    """What a name's pattern wants, in words."""
    if pattern.startswith("[a-z0-9]"):
        return "use small letters, digits, '-' and '_'; the first is a letter or digit"
    if pattern.startswith("[A-Za-z_]"):
        return "use letters, digits and '_'; the first is not a digit"
    return "use letters, digits, '.', '-' and '_'; the first is a letter or digit"
