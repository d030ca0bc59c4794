"""Rows as JSON, for protocols that send instances rather than tensors; and predictions row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pointsman.base.errors import InvalidReply, Misfit
from pointsman.model.feed import ANY
from pointsman.model.mapping import Fed, Feeds, Named

__all__ = ["FORMS", "columns", "form_of", "instances", "member", "one_each"]

FORMS: Final = ("list", "map", "value")
"""How a row is written: its values in order, by name, or its only value alone."""


def form_of(form: str | None, feeds: Feeds, key: str) -> str:
    """How a row is written: as the document says, else the only value alone, or several in order.

    Raises:
        Misfit: The tensors cannot be written so.
    """
    if form == "value" and len(feeds.feeds) > 1:
        found = ", ".join(feed.name for feed in feeds.feeds)
        hint = "write list or map, or lay them side by side in one tensor"
        raise Misfit("E402", f"{key} is value, and there are {len(feeds.feeds)}: {found}", hint, (key,))
    for feed in feeds.feeds:
        if feed.axis != 0:
            text = f"rows of '{feed.name}' do not lie along its first axis, where this form has them"
            raise Misfit("E402", text, "leave the axis out", ("tensors", feed.name, "axis"))
    return form or ("value" if len(feeds.feeds) == 1 else "list")


def instances(fed: Fed, form: str) -> list[Any]:
    """The rows that fit, each as one JSON value."""
    values = columns(fed)
    if form == "value":
        return values[0]
    if form == "list":
        return [list(row) for row in zip(*values, strict=True)]
    names = [named.feed.name for named in fed.tensors]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def columns(fed: Fed) -> list[list[Any]]:
    """The tensors as lists, in order."""
    return [_listed(named) for named in fed.tensors]


def _listed(named: Named) -> list[Any]:
    values: list[Any] = named.array if named.feed.dtype == ANY else named.array.tolist()
    return values


def member(answer: Any, name: str) -> Any:
    """A member of a reply.

    Raises:
        InvalidReply: The reply has none.
    """
    if not isinstance(answer, dict):
        raise InvalidReply(f"the reply is not a JSON object with '{name}'")
    if name not in answer:
        found = ", ".join(str(one)[:40] for one in list(answer)[:5]) or "nothing"
        raise InvalidReply(f"the reply has no '{name}', but {found}")
    return answer[name]


def one_each(model: str, name: str, values: Any, n: int) -> Sequence[Any]:
    """A list with one value for each row.

    Raises:
        InvalidReply: It is something else, or of another length.
    """
    if not isinstance(values, list):
        raise InvalidReply(f"model '{model}': '{name}' is not a list of {n}")
    if len(values) != n:
        raise InvalidReply(f"model '{model}': '{name}' has {len(values)} values, expected {n}")
    return values
