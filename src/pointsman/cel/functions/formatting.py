"""`format`: `"%s is %.2f".format([name, amount])`.

References:
    https://pkg.go.dev/github.com/google/cel-go/ext#Strings, the clauses s d f e b o x X.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.convert import double_text
from pointsman.cel.functions.faults import fits, no_overload
from pointsman.cel.values import BoolKey, Duration, Timestamp, TypeValue, Uint, key_out, type_name

__all__ = ["format_string"]

_CLAUSE: Final = re.compile(r"%(?:%|(?:\.(\d+))?([sdfebxXo]))", re.ASCII)
_LOOSE: Final = re.compile(r"%")
PRECISION_LIMIT: Final = 1_000


def format_string(text: Any, values: Any) -> str:
    """Returns `text.format(values)`."""
    if text.__class__ is not str or values.__class__ is not list:
        raise no_overload("format()", text, values)
    parts: list[str] = []
    at = used = size = 0
    while (start := text.find("%", at)) >= 0:
        parts.append(text[at:start])
        found = _CLAUSE.match(text, start)
        if found is None:
            raise EvalError(_bad_clause(text, start))
        at = found.end()
        if found[2] is None:
            parts.append("%")
            continue
        if used >= len(values):
            raise EvalError(f"index {used} out of range")
        precision = int(found[1][:10]) if found[1] else None
        if precision is not None and precision > PRECISION_LIMIT:
            raise EvalError(f"error during formatting: more than {PRECISION_LIMIT} digits asked for")
        parts.append(_clause(found[2], values[used], precision))
        used += 1
        size += len(parts[-1])
        fits(size + len(text))
    parts.append(text[at:])
    return "".join(parts)


def _bad_clause(text: str, start: int) -> str:
    rest = text[start + 1 :]
    if not rest:
        return "unexpected end of format string"
    kind = rest.lstrip(".0123456789")[:1]
    if not kind:
        return "could not parse formatting clause: unable to find end of precision specifier"
    return f'could not parse formatting clause: unrecognized formatting clause "{kind}"'


def _clause(kind: str, value: Any, precision: int | None) -> str:
    match kind:
        case "s":
            return _text(value, [100_000])
        case "d":
            return _decimal(value)
        case "f":
            return _fixed(value, 6 if precision is None else precision, "f")
        case "e":
            return _fixed(value, 6 if precision is None else precision, "e")
        case "b":
            if value.__class__ in (int, Uint, bool):
                return format(int(value), "b")
            raise _refused("only integers and bools can be formatted as binary", value)
        case "o":
            if value.__class__ in (int, Uint):
                return format(int(value), "o")
            raise _refused("octal clause can only be used on integers", value)
    return _hex(value, kind)


def _refused(why: str, value: Any) -> EvalError:
    return EvalError(f"error during formatting: {why}, was given {type_name(value)}")


def _decimal(value: Any) -> str:
    if value.__class__ in (int, Uint):
        return str(int(value))
    if value.__class__ is float:
        if not math.isfinite(value):
            return _special(value)
        return format(value, ".6f")
    raise _refused("decimal clause can only be used on numbers", value)


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _fixed(value: Any, precision: int, kind: str) -> str:
    name = "fixed-point" if kind == "f" else "scientific"
    if value.__class__ in (int, Uint):
        value = float(value)
    if value.__class__ is not float:
        raise _refused(f"{name} clause can only be used on doubles", value)
    if not math.isfinite(value):
        return _special(value)
    return format(value, f".{precision}{kind}")


def _hex(value: Any, kind: str) -> str:
    if value.__class__ in (int, Uint):
        return format(int(value), kind)
    if value.__class__ is str:
        value = value.encode()
    if value.__class__ is bytes:
        return str(value.hex().upper() if kind == "X" else value.hex())
    raise _refused("only integers, byte buffers, and strings can be formatted as hex", value)


def _text(value: Any, budget: list[int]) -> str:
    budget[0] -= 1
    fits(0 if budget[0] > 0 else 2**62)
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return "null"
    if kind is int or kind is Uint:
        return str(int(value))
    if kind is float:
        return double_text(value) if math.isfinite(value) else _special(value)
    if kind is bytes:
        return str(value.decode(errors="replace"))
    if kind is Timestamp or kind is Duration:
        return str(value)
    if kind is TypeValue:
        return str(value.name)
    if kind is BoolKey:
        return _text(value.value, budget)
    if kind is list:
        return "[" + ", ".join(_text(element, budget) for element in value) + "]"
    if isinstance(value, Mapping):
        entries = sorted((_text(key_out(key), budget), content) for key, content in value.items())
        return "{" + ", ".join(f"{key}: {_text(content, budget)}" for key, content in entries) + "}"
    raise _refused(
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
        "durations, and timestamps",
        value,
    )
