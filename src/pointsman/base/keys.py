"""How a value names a row or a unit: by its text."""

from __future__ import annotations

from typing import Any

__all__ = ["key_text"]


def key_text(value: Any) -> str | None:
    """The text by which `value` names a row, or None for what can name none.

    A whole number means the same row whether it was written `17`, `17.0` or `"17"`.

    Examples:
        >>> key_text("U1"), key_text(17), key_text(17.0), key_text(True), key_text(None), key_text([1])
        ('U1', '17', '17', 'true', None, None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    return str(int(value)) if isinstance(value, int) else None
