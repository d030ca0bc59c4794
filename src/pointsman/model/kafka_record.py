"""The record that carries an event to a model behind a topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pointsman.model.base import Row
from pointsman.model.rest import body_of

__all__ = ["Mapper", "record_of"]

Mapper = Callable[[Sequence[Any]], list[dict[str, Any]]]
"""From rows of values to maps by input name."""


def record_of(row: Row, named: Mapper | None, ident: str) -> tuple[bytes, bytes]:
    """Key and value: the event's key, else its id; the inputs by name, else the enriched event, as JSON.

    Args:
        row: The event.
        named: Gives the inputs their names; None where rows are enriched events.
        ident: The event's id.

    Raises:
        InvalidInput: A value has no form in JSON.
    """
    if named is not None:
        return ident.encode("utf-8", "replace"), body_of(named([row])[0])
    key = row["key"] if isinstance(row, dict) else None
    if isinstance(key, bytes | bytearray):
        return bytes(key), body_of({**row, "key": _text(bytes(key))})  # type: ignore[dict-item]  # a dict, as above
    return (key if isinstance(key, str) else ident).encode("utf-8", "replace"), body_of(row)


def _text(key: bytes) -> Any:
    """A key as decision records write it: text, or base64 where it is none."""
    import base64

    try:
        return key.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(key).decode()}
