"""Replies as JSON-like values: what models return made of numpy and plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from pointsman.base.errors import InvalidReply, ModelError, ModelInternal

__all__ = ["are_plain", "jsonlike"]

_LOW, _HIGH = -(2**63), 2**64 - 1
_PLAIN = frozenset((float, bool, type(None)))


def are_plain(replies: Sequence[Any]) -> bool:
    """Whether all replies are doubles, bools or null, or maps of such, and so need no second look."""
    kinds = set(map(type, replies))
    if kinds <= _PLAIN:
        return True
    return (
        kinds == {dict}
        and _PLAIN.issuperset(map(type, chain.from_iterable(map(dict.values, replies))))
        and all(name.__class__ is str and name.isascii() for name in set(chain.from_iterable(replies)))
    )


def jsonlike(reply: Any) -> Any | ModelError:
    """`reply` made of dict, list, str, int, float, bool and None; or the error that takes its place.

    numpy scalars and arrays are converted; an exception stands for a row that the model could not answer.
    """
    if reply.__class__ in _PLAIN:
        return reply
    if isinstance(reply, BaseException):
        return reply if isinstance(reply, ModelError) else ModelInternal(f"{type(reply).__name__}: {reply}")
    try:
        return _value(reply, "reply")
    except InvalidReply as error:
        return error
    except RecursionError:
        return InvalidReply("reply is nested too deep")


def _value(value: Any, where: str) -> Any:
    """`value` as JSON; raises InvalidReply naming `where` it has no such form."""
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is str:
        return _text(value, where)
    if kind is int:
        return _whole(value, where)
    if isinstance(value, dict):
        return {_name(name, where): _value(member, f"{where}.{name}") for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_value(member, f"{where}[{i}]") for i, member in enumerate(value)]
    if isinstance(value, bool | int | float | str):  # subclasses, such as enumerations
        plain = next(base for base in (bool, int, float, str) if isinstance(value, base))
        return _value(plain(value), where)
    if hasattr(value, "tolist"):  # numpy
        listed = value.tolist()
        if listed.__class__ is not kind:
            return _value(listed, where)
    raise InvalidReply(f"{where} is a {kind.__name__}, which JSON cannot hold")


def _text(value: str, where: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidReply(f"{where} holds half of a surrogate pair") from None
    return value


def _whole(value: int, where: str) -> int:
    if _LOW <= value <= _HIGH:
        return value
    raise InvalidReply(f"{where} is an integer beyond 64 bits")


def _name(name: Any, where: str) -> str:
    if isinstance(name, str):
        return _text(str(name), where)
    raise InvalidReply(f"{where} has a key that is not a string but {type(name).__name__}")
