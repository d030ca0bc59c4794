"""Texts that must not be seen: in logs, errors, records or on a screen."""

from __future__ import annotations

__all__ = ["Hidden"]


class Hidden(str):
    """A secret: used like any text, but its `repr`, and so that of whatever holds it, does not show it.

    Examples:
        >>> {"password": Hidden("swordfish")}
        {'password': '***'}
        >>> Hidden("swordfish") == "swordfish"
        True
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"
