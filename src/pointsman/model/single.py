"""The tensor of a single row, without numpy, which costs more there than the rest of the request."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from pointsman.cel.values import Uint

__all__ = ["Single", "single_of"]

_FORMS: Final = {
    "float16": "e",
    "float32": "f",
    "float64": "d",
    **{f"int{bits}": form for bits, form in zip((8, 16, 32, 64), "bhiq", strict=True)},
    **{f"uint{bits}": form for bits, form in zip((8, 16, 32, 64), "BHIQ", strict=True)},
}
"""The dtypes of numbers, as `struct` names them."""

_FITTING: Final = {
    **{dtype: frozenset((int, bool, Uint)) for dtype in _FORMS},
    **{dtype: frozenset((float, int, bool, Uint)) for dtype in ("float16", "float32", "float64")},
    "string": frozenset((str,)),
    "bool": frozenset((bool,)),
}
"""The types of the values that a dtype takes without a closer look."""

_FLOAT: Final = {float}


class Single:
    """A tensor of one row, asked for what an array of numpy's is asked for.

    Attributes:
        shape: With the batch axis.
        values: Its elements in row-major order.
    """

    __slots__ = ("shape", "values")

    def __init__(self, shape: tuple[int, ...], values: Sequence[Any]) -> None:
        self.shape = shape
        self.values = values

    def ravel(self) -> Single:
        """All elements side by side."""
        return Single((len(self.values),), self.values)

    def tolist(self) -> Any:
        """The elements in lists of lists, as the shape says."""
        values: Any = list(self.values)
        if not self.shape:
            return values[0]
        for size in reversed(self.shape[1:]):
            values = [values[at : at + size] for at in range(0, len(values), size)]
        return values


def single_of(
    dtype: str, shape: tuple[int | None, ...], axis: int | None, take: Sequence[int], *, finite: bool
) -> Callable[[Sequence[Any]], Single | None] | None:
    """Makes one tensor of a row; that gives None where a value does not fit at once.

    Args:
        dtype: A key of `mapping.DTYPES`.
        shape: Of one row.
        axis: Where rows lie; None where the tensor has no batch axis.
        take: The values of the row, side by side.
        finite: Whether NaN and infinity do not fit.

    Returns:
        None where the shape needs numpy: more than one axis, or an open one.
    """
    if len(shape) > 1 or None in shape:
        return None
    size, first, alone = math.prod(n for n in shape if n is not None), take[0], len(take) == 1
    whole = tuple(n for n in shape if n is not None)
    if axis is not None:
        whole = (*whole[:axis], 1, *whole[axis:])
    fitting, form = _FITTING[dtype], _FORMS.get(dtype)
    through = struct.Struct(f"<{size}{form}") if form else None
    asked = finite and dtype.startswith("float")

    def single(row: Sequence[Any]) -> Single | None:
        values: Sequence[Any]
        if alone:
            value = row[first]
            values = value if shape and value.__class__ is list else (value,)
        else:
            values = [row[place] for place in take]
        classes = set(map(type, values))
        if len(values) != size or not classes <= fitting:
            return None
        if through is not None and (form != "d" or classes != _FLOAT):
            try:
                values = through.unpack(through.pack(*values))
            except (struct.error, OverflowError):
                return None
        if asked and not all(map(math.isfinite, values)):
            return None
        return Single(whole, values)

    return single
