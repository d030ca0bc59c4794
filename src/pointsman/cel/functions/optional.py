"""Optional values: `event.?x.orValue(0)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.access import maybe_field
from pointsman.cel.functions.faults import no_overload
from pointsman.cel.values import NONE, Duration, Optional, Timestamp, Uint

__all__ = ["FUNCTIONS", "or_else", "or_value"]


def of(value: Any) -> Optional:
    """Returns `optional.of(value)`."""
    return Optional(True, value)


def none() -> Optional:
    """Returns `optional.none()`."""
    return NONE


def of_non_zero(value: Any) -> Optional:
    """Returns `optional.ofNonZeroValue(value)`: none for zero, empty, false and null."""
    kind = value.__class__
    if kind is Timestamp or kind is Duration:
        zero = value.ns == 0
    elif kind in (bool, int, Uint, float, str, bytes, list) or isinstance(value, Mapping):
        zero = not value
    else:
        zero = value is None
    return NONE if zero else Optional(True, value)


def _optional(value: Any, name: str) -> Optional:
    if value.__class__ is Optional:
        return value
    raise no_overload(f"{name}()", value)


def has_value(value: Any) -> bool:
    """Returns `value.hasValue()`."""
    return bool(_optional(value, "hasValue").present)


def unwrap(value: Any) -> Any:
    """Returns `value.value()`; raises for none."""
    found = _optional(value, "value")
    if found.present:
        return found.value
    raise EvalError("optional.none() has no value()")


def or_else(value: Any, other: Callable[[], Any]) -> Optional:
    """Returns `value.or(other)`; `other` is evaluated only where it is needed."""
    found = _optional(value, "or")
    return found if found.present else _optional(other(), "or")


def or_value(value: Any, other: Callable[[], Any]) -> Any:
    """Returns `value.orValue(other)`; `other` is evaluated only where it is needed."""
    found = _optional(value, "orValue")
    return found.value if found.present else other()


def first(value: Any) -> Optional:
    """Returns `list.first()`."""
    if value.__class__ is list:
        return Optional(True, value[0]) if value else NONE
    raise no_overload("first()", value)


def last(value: Any) -> Optional:
    """Returns `list.last()`."""
    if value.__class__ is list:
        return Optional(True, value[-1]) if value else NONE
    raise no_overload("last()", value)


def unwrap_all(value: Any) -> list[Any]:
    """Returns `optional.unwrap(list)`: the values of those that have one."""
    if value.__class__ is list:
        return [found.value for element in value if (found := _optional(element, "unwrap")).present]
    raise no_overload("unwrap()", value)


FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "optional.of": (of, "optional"),
    "optional.none": (none, "optional"),
    "optional.ofNonZeroValue": (of_non_zero, "optional"),
    "optional.unwrap": (unwrap_all, "list"),
    "unwrapOpt": (unwrap_all, "list"),
    "hasValue": (has_value, "bool"),
    "value": (unwrap, "dyn"),
    "first": (first, "optional"),
    "last": (last, "optional"),
    "_?._": (maybe_field, "optional"),
    "_[?_]": (maybe_field, "optional"),
}
