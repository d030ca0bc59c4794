"""The declared fields of a whole event as their types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.cel.fields import fit

__all__ = ["typed"]


def typed(event: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """The event with its declared fields as their types, in place; what does not fit is Mistyped."""
    for name, declared in fields.items():
        value = event.get(name)
        if value is not None and value.__class__ is not _PLAIN.get(declared):
            event[name] = fit(value, declared, name)
    return event


_PLAIN: Final[Mapping[str, type]] = {"string": str, "double": float, "bool": bool, "list": list, "map": dict}
"""Types whose values need no second look; an int may be beyond 64 bits."""
