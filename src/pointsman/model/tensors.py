"""Input values as tensors, tensors as replies; a value that does not fit spoils its own row only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from pointsman.base.errors import EvalError, InvalidReply
from pointsman.cel.values import Uint, article, type_name

__all__ = ["KINDS", "Column", "Tensor", "columns_of", "stack", "tensor"]

Tensor = Any
"""A numpy array; numpy is an extra, so its types stand in no signature."""

KINDS: Final[Mapping[str, str]] = {
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    "int64": "int64",
    "int32": "int32",
    "int16": "int16",
    "int8": "int8",
    "uint64": "uint64",
    "uint32": "uint32",
    "uint16": "uint16",
    "uint8": "uint8",
    "bool": "bool",
    "string": "object",
}
"""The element types of tensors as ONNX names them, and as numpy does."""

_LISTS: Final[frozenset[type[Any]]] = frozenset((list, tuple))
_NUMBERS: Final[frozenset[type[Any]]] = frozenset((float, int, bool, Uint))
_WHOLES: Final[frozenset[type[Any]]] = frozenset((int, bool, Uint))
_STRINGS: Final[frozenset[type[Any]]] = frozenset((str,))
_BOOLS: Final[frozenset[type[Any]]] = frozenset((bool,))


class _Bad(Exception):
    """A value that does not fit; the message says what it is and what was expected."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one input of a model takes for each row.

    Attributes:
        name: The input's name, for messages.
        kind: The element type, a key of `KINDS`.
        shape: The shape of one row's value: `()` for a scalar, `(1,)`, `(8,)`, or `(None,)` for any length.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]


def stack(column: Column, values: Sequence[Any], bad: dict[int, str]) -> Tensor:
    """The values of all rows as one tensor of shape (rows, *shape); rows that do not fit hold zeros.

    Args:
        column: What the values should be.
        values: One for each row: a scalar, or a list for a shape that is not scalar.
        bad: Filled with a message for each row, by index, whose value does not fit.
    """
    return tensor(column, *_flat(column, values, bad), bad)


def tensor(column: Column, flat: Sequence[Any], size: int, bad: dict[int, str]) -> Tensor:
    """The elements of all rows, `size` of each, as one tensor; otherwise as `stack`."""
    import numpy as np

    array = _bulk(column.kind, flat)
    if array is None:
        array = np.empty(len(flat), KINDS[column.kind])
        convert = _one(column.kind)
        for i, value in enumerate(flat):
            try:
                array[i] = convert(value)
            except _Bad as error:
                array[i] = "" if column.kind == "string" else 0
                bad.setdefault(i // size, f"input '{column.name}' is {error}")
    return array.reshape(-1, *(size if n is None else n for n in column.shape))


def _flat(column: Column, values: Sequence[Any], bad: dict[int, str]) -> tuple[Sequence[Any], int]:
    """The elements of all rows in one list, and how many belong to a row."""
    if column.shape in ((), (1,)):
        plain = (
            [v[0] if v.__class__ is list and len(v) == 1 else v for v in values] if column.shape else values
        )
        return plain, 1
    size = math.prod(n for n in column.shape if n is not None)
    if None in column.shape:
        size = max((len(v) for v in values if v.__class__ in _LISTS), default=1) or 1
    if _LISTS.issuperset(map(type, values)) and {size}.issuperset(map(len, values)):
        flat = list(chain.from_iterable(values))
        if len(column.shape) == 1 or list not in map(type, flat):
            return flat, size
    flat = []
    for i, value in enumerate(values):
        row = _elements(value) if value.__class__ in _LISTS else None
        if row is None:
            bad[i] = f"input '{column.name}' is {_what(value)}, expected a list of {size}"
        elif len(row) != size:
            bad[i] = f"input '{column.name}' has {len(row)} values, expected {size}"
            row = None
        flat.extend([0] * size if row is None else row)
    return flat, size


def _elements(value: Sequence[Any]) -> Sequence[Any]:
    """The elements of a list of any depth."""
    if list in map(type, value):
        return [x for member in value for x in (_elements(member) if member.__class__ is list else [member])]
    return value


def _bulk(kind: str, flat: Sequence[Any]) -> Tensor | None:
    """All elements converted at once, or None where one needs a closer look."""
    import numpy as np

    classes = set(map(type, flat))
    if kind == "string":
        return np.array(flat, dtype=object) if classes <= _STRINGS else None
    if kind == "bool":
        return np.array(flat, dtype=bool) if classes <= _BOOLS else None
    floating = kind in ("float", "double", "float16")
    if not classes <= (_NUMBERS if floating else _WHOLES):
        return None
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=KINDS[kind])
    except (OverflowError, ValueError):
        return None
    return None if floating and np.isinf(array).any() else array


def _one(kind: str) -> Callable[[Any], Any]:
    """The conversion of one element, which raises _Bad."""
    import numpy as np

    if kind == "string":
        return lambda value: value if isinstance(value, str) else _refuse(value, "a string")
    if kind == "bool":
        return lambda value: value if isinstance(value, bool) else _refuse(value, "a bool")
    if kind in ("float", "double", "float16"):
        most = float(np.finfo(KINDS[kind]).max)

        def number(value: Any) -> Any:
            if value.__class__ not in _NUMBERS:
                return _refuse(value, "a number")
            if abs(value) > most and value not in (math.inf, -math.inf):
                raise _Bad(f"too large for a {kind}")
            return float(value)

        return number
    info = np.iinfo(KINDS[kind])

    def whole(value: Any) -> Any:
        if value.__class__ not in _WHOLES and not (value.__class__ is float and value.is_integer()):
            return _refuse(value, "a whole number")
        if not info.min <= value <= info.max:
            raise _Bad(f"out of range for an {kind}")
        return int(value)

    return whole


def _refuse(value: Any, expected: str) -> Any:
    raise _Bad(f"{_what(value)}, expected {expected}")


def _what(value: Any) -> str:
    """What a value is, in a message."""
    if value.__class__ is float and not math.isfinite(value):
        return "not finite"
    try:
        return article(type_name(value))
    except EvalError:
        return "without a usable value"


def columns_of(name: str, output: Any, n: int) -> Sequence[Any]:
    """One model output as `n` JSON-like values.

    A row of one element is that element, a longer one a list; a map's keys become strings.

    Raises:
        InvalidReply: It does not hold one value for each row.
    """
    if hasattr(output, "tolist"):
        if output.ndim == 0 or output.shape[0] != n:
            raise InvalidReply(f"output '{name}' has shape {list(output.shape)} for {n} rows")
        if output.ndim > 1 and output.size == n:
            output = output.reshape(n)
        return _texts(output.tolist()) if output.dtype == object else output.tolist()
    if not isinstance(output, list) or len(output) != n:
        raise InvalidReply(f"output '{name}' is {type(output).__name__}, not one value for each of {n} rows")
    return [_member(value) for value in output]


def _member(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): member for key, member in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def _texts(values: Iterable[Any]) -> list[Any]:
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
