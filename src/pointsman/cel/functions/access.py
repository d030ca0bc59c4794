"""Slots, members, elements and the entries of literals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.faults import checked, no_overload
from pointsman.cel.values import (
    FALSE_KEY,
    INT_MAX,
    INT_MIN,
    MISSING,
    TRUE_KEY,
    BoolKey,
    Mistyped,
    Optional,
    Uint,
    article,
    key_in,
    type_name,
)

__all__ = [
    "field",
    "has",
    "index",
    "make_map",
    "map_key",
    "maybe_field",
    "need",
    "position",
    "spread",
    "spread_entry",
]


def need(value: Any, path: str) -> Any:
    """Returns a slot's value; raises with the field's name where it has none."""
    if value is MISSING:
        raise EvalError(f"no such field: {path}")
    if value.__class__ is Mistyped:
        raise EvalError(Mistyped(value.value, path, value.declared).complaint())
    if value.__class__ is int and not INT_MIN <= value <= INT_MAX:
        raise EvalError(f"{path} is an integer beyond 64 bits")
    return value


def field(operand: Any, name: str) -> Any:
    """Returns `operand.name`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        if name in operand:
            return checked(operand[name], name)
        raise EvalError(f"no such key: {name}")
    if operand.__class__ is Optional:
        return maybe_field(operand, name)
    raise no_overload(f"member '{name}'", operand)


def has(operand: Any, name: str) -> bool:
    """Returns `has(operand.name)`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        return name in operand
    if operand.__class__ is Optional:
        return bool(maybe_field(operand, name).present)
    raise no_overload(f"has(…{name})", operand)


def maybe_field(operand: Any, name: Any) -> Optional:
    """Returns `operand.?name` or `operand[?name]`: the member, or none where it is absent."""
    if operand.__class__ is Optional:
        if not operand.present:
            return operand
        operand = operand.value
    if operand.__class__ is dict or isinstance(operand, Mapping):
        key = key_in(name)
        if key.__class__ in _KEYS and key in operand:
            return Optional(True, checked(operand[key], name))
        need(name, "the key")
        return Optional(False)
    if operand.__class__ is list and name.__class__ is int:
        at = name
        return Optional(True, operand[at]) if 0 <= at < len(operand) else Optional(False)
    raise no_overload(f"member '{name}'", operand)


_KEYS: Final = frozenset({str, int, Uint, float, BoolKey})


def map_key(key: Any) -> Any:
    """Returns `key` as a dict keeps it; raises for what is no key."""
    found = key_in(key)
    if found.__class__ in _KEYS:
        return found
    raise EvalError(f"no such key: {article(type_name(key))} is not a key of a map")


def position(key: Any) -> int:
    """Returns the index that `key` means in a list."""
    kind = key.__class__
    if kind is int or kind is Uint:
        return int(key)
    if kind is float and key.is_integer():
        return int(key)
    raise EvalError(f"invalid_argument: {article(type_name(key))} is not an index of a list")


def index(operand: Any, key: Any) -> Any:
    """Returns `operand[key]`."""
    if operand.__class__ is dict or isinstance(operand, Mapping):
        found = map_key(key)
        if found in operand:
            return checked(operand[found], key)
        raise EvalError(f"no such key: {key}")
    if operand.__class__ is list:
        at = position(key)
        if 0 <= at < len(operand):
            return checked(operand[at], at)
        raise EvalError(f"invalid_argument: index {at} is outside a list of {len(operand)}")
    if operand.__class__ is Optional:
        return maybe_field(operand, key)
    raise no_overload("indexing", operand, key)


def spread(value: Any) -> list[Any]:
    """Returns the elements that a `?` element adds to a list: its value, or nothing."""
    if value.__class__ is Optional:
        return [value.value] if value.present else []
    raise no_overload("an optional element", value)


def spread_entry(key: Any, value: Any) -> list[tuple[Any, Any]]:
    """Returns the entries that a `?` entry adds to a map."""
    return [(key, content) for content in spread(value)]


def make_map(entries: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Returns the map of a literal; raises for a repeated key or a value that cannot be one."""
    made: dict[Any, Any] = {}
    for key, value in entries:
        kind = key.__class__
        if kind is bool:
            key = TRUE_KEY if key else FALSE_KEY
        elif kind is not str and kind is not int and kind is not Uint:
            raise EvalError(f"unsupported key type: {article(type_name(key))}")
        if key in made:
            raise EvalError(f"Failed with repeated key: {key}")
        made[key] = value
    return made
