"""The tree of a YAML file: what each value is, and where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from pointsman.spec.place import File, Place

__all__ = ["Node", "Value", "resolve"]

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,400}\Z")
_OCTAL = re.compile(r"0o[0-7]{1,400}\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,400}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")

Value = None | bool | int | float | str


def resolve(text: str) -> Value:
    """What a plain scalar means under the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    if _OCTAL.match(text):
        return int(text[2:], 8)
    if _HEX.match(text):
        return int(text[2:], 16)
    if found := _NOT_FINITE.match(text):
        return float(f"{found[1] or ''}inf" if found[1] is not None else "nan")
    return text


@dataclass(slots=True, eq=False)
class Node:
    """One YAML value and where it stands.

    Attributes:
        shape: `map`, `list` or `scalar`.
        style: `block` or `flow` for maps and lists; `plain`, `single`, `double`, `literal`, `folded` for
            scalars; `unquoted` for an expression that YAML misread, whose text is what was meant.
        text: A scalar's text, after `${…}` was resolved.
        raw: The same before.
        pieces: What `${…}` became: start and end in `text`, start and end in `raw`.
        members: A map's values by key.
        keys: The nodes of a map's keys.
        items: A list's values.
        weight: How many nodes it stands for, aliases counted each time.
        broken: A finding says already that this is wrong; nothing more is said about it.
    """

    file: File
    start: int
    end: int
    shape: Literal["map", "list", "scalar"] = "scalar"
    style: str = "plain"
    text: str = ""
    raw: str = ""
    pieces: tuple[tuple[int, int, int, int], ...] = ()
    members: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    weight: int = 1
    broken: bool = False

    @property
    def value(self) -> Value:
        """A scalar's value: only a plain scalar, or one made by `${…}`, is anything but a string."""
        return resolve(self.text) if self.style == "plain" or self.pieces else self.text

    @property
    def empty(self) -> bool:
        """Whether this is null."""
        return self.shape == "scalar" and self.value is None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.file.place(self.start, self.end)

    def plain(self, raw: bool = False) -> Any:
        """The whole as dicts, lists and scalars.

        Args:
            raw: Whether `${…}` stands as it was written.
        """
        if self.shape == "map":
            return {name: member.plain(raw) for name, member in self.members.items()}
        if self.shape == "list":
            return [item.plain(raw) for item in self.items]
        text = self.raw if raw else self.text
        return resolve(text) if self.style == "plain" else text

    @property
    def found(self) -> str:
        """What this is, in words for people; never what `${…}` became."""
        if self.shape == "map":
            return "a map"
        if self.shape == "list":
            return "a list"
        value = self.value
        if value is None:
            return "nothing"
        if isinstance(value, bool):
            return f"`{self.raw}`"
        short = self.raw if len(self.raw) <= 60 else self.raw[:57] + "…"
        return f"the number {short}" if isinstance(value, (int, float)) else f"'{short}'"
