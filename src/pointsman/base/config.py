"""How a component declares its keys: once, with type, default, meaning, unit and example.

The loader, the lint, the JSON Schema and the reference documentation are all derived from these declarations,
so a key is written down in one place: the dataclass of the component that reads it.

    @dataclass(frozen=True, slots=True)
    class Split:
        split: Mapping[str, Fraction] = key(MapOf(Share(), names="models"), "Each model's share.")
        unit: Program | None = key(Expression("string"), "What sticks to its model.", default=None)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Anything",
    "ByExpression",
    "Choice",
    "Duration",
    "Expression",
    "FileName",
    "Flag",
    "Key",
    "Kind",
    "ListOf",
    "MapOf",
    "ModelName",
    "Nested",
    "Number",
    "OneOf",
    "PythonName",
    "Secret",
    "Share",
    "TableName",
    "Text",
    "TopicName",
    "Whole",
    "key",
    "keys_of",
]


class Kind:
    """What a key's value may be; the loader knows how to read each kind."""


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A literal string, such as `transactions`."""

    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Secret(Kind):
    """A text that nobody should read, such as a password; read as a `base.secret.Hidden`.

    It should come from `${…}`: one that stands in the document itself is warned of.
    """


@dataclass(frozen=True, slots=True)
class Whole(Kind):
    """A whole number within [low, high]."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number within [low, high]."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """`true` or `false`."""


@dataclass(frozen=True, slots=True)
class Duration(Kind):
    """`50ms`, `10s`, `5m`, `1h`, `30d`; read as seconds (float).

    Attributes:
        zero: Whether no time at all, `0s`, is one.
    """

    zero: bool = False


@dataclass(frozen=True, slots=True)
class Share(Kind):
    """`5%`; read as a Fraction in [0, 1], so that shares sum exactly."""


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expression(Kind):
    """A CEL expression; read as a compiled `cel.Program`.

    Attributes:
        result: The type it must have (`dyn` accepts any).
        over: The names it sees: `event` (the event, metadata and tables), `reply` (those and the reply),
            `feedback` (a feedback record and the decision it belongs to).
    """

    result: str = "dyn"
    over: str = "event"


@dataclass(frozen=True, slots=True)
class PythonName(Kind):
    """`module:function` or `module:Class`, importable from the document's folder."""


@dataclass(frozen=True, slots=True)
class FileName(Kind):
    """A path, relative to the document's folder; read as an absolute `Path`."""


@dataclass(frozen=True, slots=True)
class ModelName(Kind):
    """The name of a model of this document."""


@dataclass(frozen=True, slots=True)
class TableName(Kind):
    """The name of a table of this document."""


@dataclass(frozen=True, slots=True)
class TopicName(Kind):
    """A Kafka topic's name."""


@dataclass(frozen=True, slots=True)
class Anything(Kind):
    """Any YAML value, kept as it is."""


@dataclass(frozen=True, slots=True)
class ListOf(Kind):
    """A list; one value alone is not a list."""

    item: Kind
    least: int = 0


@dataclass(frozen=True, slots=True)
class MapOf(Kind):
    """A map from names to values.

    Attributes:
        names: What the names are: `text`, `models` (each must exist), `fields`.
    """

    value: Kind
    names: str = "text"
    least: int = 0


@dataclass(frozen=True, slots=True)
class ByExpression(Kind):
    """A map whose names are expressions, mostly a field's bare name; read as a tuple of (Program, value)."""

    value: Kind


@dataclass(frozen=True, slots=True)
class Nested(Kind):
    """A map with the keys of `cls`, a dataclass whose fields are made with `key`."""

    cls: type[Any]


@dataclass(frozen=True, slots=True)
class OneOf(Kind):
    """One of several kinds, told apart by the YAML value's shape (string, number, list, map)."""

    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """The declaration of one key.

    Attributes:
        kind: What the value may be.
        meaning: One sentence for the reference page.
        example: A value as it would stand in YAML.
        step: The version step that brings it; a later one than ours is refused as not available yet.
        required: Whether the document must give it.
        default: What stands where it is left out.
    """

    kind: Kind
    meaning: str
    example: str = ""
    step: int = 1
    required: bool = False
    default: Any = None


_REQUIRED = object()


def key(kind: Kind, meaning: str, *, default: Any = _REQUIRED, example: str = "", step: int = 1) -> Any:
    """Declares a key as a dataclass field; without a default it is required.

    Args:
        kind: What the value may be.
        meaning: One sentence for people, with the unit where there is one.
        default: The value where the key is left out.
        example: A value as it would stand in YAML.
        step: The version step that brings it.
    """
    required = default is _REQUIRED
    declared = Key(kind, meaning, example, step, required, None if required else default)
    if required:
        return dataclasses.field(metadata={"key": declared}, kw_only=True)
    if isinstance(default, (dict, list)):
        return dataclasses.field(
            default_factory=lambda: type(default)(default), metadata={"key": declared}, kw_only=True
        )
    return dataclasses.field(default=default, metadata={"key": declared}, kw_only=True)


def keys_of(cls: type[Any]) -> dict[str, Key]:
    """The declared keys of a config dataclass, by name, in order."""
    return {f.name: f.metadata["key"] for f in dataclasses.fields(cls) if "key" in f.metadata}
