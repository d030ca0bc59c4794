"""The used fields of an event as an object, for formats that decode to a map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pointsman.cel.values import MISSING

__all__ = ["attributes_of", "picker"]


def attributes_of(names: Sequence[str]) -> dict[str, str]:
    """The attribute that holds each field: names of fields need not be names of Python."""
    return {name: f"f{n}" for n, name in enumerate(names)}


def picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """A function from an event to an object with its used fields."""
    cls = msgspec.defstruct(
        "Fields", [(attribute, Any) for attribute in attributes_of(names).values()], gc=False
    )

    def pick(event: Mapping[str, Any]) -> Any:
        return cls(*[event.get(name, MISSING) for name in names])

    return pick
