"""What the fields of a schema may hold, and whether that can be what a document declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["ANY", "Shape", "exact", "misfits"]

Shape = Mapping[str, frozenset[str]]
"""A schema's top-level fields, each with the kinds of values that it may hold: `null`, `bool`, `int`,
`double`, `string`, `bytes`, `timestamp`, `date`, `decimal`, `list`, `map`."""

ANY: Final = frozenset(
    ("null", "bool", "int", "double", "string", "bytes", "timestamp", "date", "decimal", "list", "map")
)

_FITS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset(("string", "date", "decimal")),
    "int": frozenset(("int", "double", "timestamp")),
    "double": frozenset(("double", "int", "decimal")),
    "bool": frozenset(("bool",)),
    "timestamp": frozenset(("timestamp", "date", "string", "int", "double")),
    "bytes": frozenset(("bytes", "string")),
    "list": frozenset(("list",)),
    "map": frozenset(("map",)),
    "dyn": ANY,
}
"""Declared type → the kinds of which some value has that type."""

_EXACT: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset(("string", "date", "decimal")),
    "int": frozenset(("int", "timestamp")),
    "double": frozenset(("double", "decimal")),
    "bool": frozenset(("bool",)),
    "timestamp": frozenset(("timestamp", "date")),
    "bytes": frozenset(("bytes",)),
    "list": frozenset(("list",)),
    "map": frozenset(("map",)),
    "dyn": ANY,
}
"""Declared type → the kinds whose every value is read as that type."""


def misfits(shape: Shape, fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The declared fields of which no value of the schema can be what is declared, and what they hold."""
    for name, declared in fields.items():
        kinds = shape.get(name, ANY) - {"null"}
        if kinds and not kinds & _FITS[declared]:
            yield name, " or ".join(sorted(kinds))


def exact(kinds: frozenset[str], declared: str) -> bool:
    """Whether every value of these kinds is read as the declared type, so that none needs a look."""
    return kinds - {"null"} <= _EXACT[declared]
