"""Values of expressions as plain Python, for functions that people write."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from pointsman.cel.values import Duration, Mistyped, Optional, Timestamp, TypeValue, Uint, key_out

__all__ = ["plain", "plain_event"]

_SCALARS: Final = frozenset((str, int, float, bool, type(None), bytes))
_AS_SENT: Final = _SCALARS | {list, dict}
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def plain(value: Any) -> Any:
    """`value` without the types that only expressions have.

    A timestamp becomes a datetime in UTC, a duration a timedelta, both to the microsecond; a field of another
    type than declared is what was sent.
    """
    kind = value.__class__
    if kind in _SCALARS:
        return value
    if isinstance(value, Mapping):
        return {key_out(name): plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if kind is Timestamp:
        return _EPOCH + datetime.timedelta(microseconds=value.ns // 1000)
    if kind is Duration:
        return datetime.timedelta(microseconds=value.ns // 1000)
    if kind is Uint:
        return int(value)
    if kind is Mistyped or kind is Optional:
        return value.value
    return value.name if kind is TypeValue else value


def plain_event(row: dict[str, Any]) -> dict[str, Any]:
    """An enriched event, `{"id", "time", "key", "event", "metadata"}`, as plain Python."""
    event, metadata = row["event"], row["metadata"]
    if not _AS_SENT.issuperset(map(type, event.values())):
        row["event"] = {name: plain(value) for name, value in event.items()}
    if not _SCALARS.issuperset(map(type, metadata.values())):
        row["metadata"] = plain(metadata)
    return row
