"""One tensor of a mapping: what the document says of it, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.config import Choice, ListOf, MapOf, Nested, OneOf, Text, Whole, key
from pointsman.base.errors import Misfit
from pointsman.cel.values import article
from pointsman.model.tensors import Column

__all__ = ["ANY", "DTYPES", "Feed", "TensorKeys", "feed_of", "tensors_key"]

ANY: Final = "any"
"""The dtype of values that go as they are, where the protocol is JSON."""

DTYPES: Final[Mapping[str, str]] = {
    "float16": "float16",
    "float32": "float",
    "float64": "double",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "bool",
    "string": "string",
}
"""The dtypes of the document, and the element types of `tensors.KINDS` that they are."""

_OF_RESULT: Final = {
    "double": "float64",
    "int": "int64",
    "uint": "uint64",
    "bool": "bool",
    "string": "string",
    "bytes": ANY,
}
"""The dtype of an input that the document gives none, by the type of its expression."""

_NEVER: Final = frozenset(("google.protobuf.Timestamp", "google.protobuf.Duration", "timestamp", "duration"))
"""Types of expressions that no tensor holds."""


@dataclass(frozen=True, slots=True)
class TensorKeys:
    """What one tensor is made of."""

    of: Sequence[str] | None = key(
        ListOf(Text(), least=1),
        "The inputs that it holds side by side; the input of its own name by default.",
        default=None,
        example="[amount, spend]",
        step=2,
    )
    dtype: str | None = key(
        Choice(tuple(DTYPES)),
        "The type of its elements; by default that of the input's expression, float64 where it is open.",
        default=None,
        example="float32",
        step=2,
    )
    shape: Sequence[int] | None = key(
        ListOf(Whole(1)),
        "The shape of one row, without the batch axis; `[]` is a scalar.",
        default=None,
        example="[8]",
        step=2,
    )
    axis: int | str = key(
        OneOf((Whole(0), Choice(("none",)))),
        "The axis along which rows lie; `none`: the tensor has no such axis, and a request carries one row.",
        default=0,
        example="none",
        step=2,
    )


def tensors_key(meaning: str) -> Any:
    """The key `tensors` of a protocol."""
    example = "{x: {of: [amount, spend], dtype: float32}}"
    return key(MapOf(Nested(TensorKeys)), meaning, default={}, example=example, step=2)


@dataclass(frozen=True, slots=True)
class Feed:
    """One tensor: what it takes, and which values of a row it is made of.

    Attributes:
        name: The tensor's name.
        dtype: A key of `DTYPES`, or `ANY`.
        column: The same for `tensors`: the shape is of one row.
        take: Positions in a row; more than one are laid side by side.
        axis: Where rows lie; None where the tensor has no batch axis.
        inputs: The names of those values, for messages.
    """

    name: str
    dtype: str
    column: Column
    take: tuple[int, ...]
    axis: int | None
    inputs: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as a server declares it: -1 for the batch."""
        row = [-1 if n is None else n for n in self.column.shape]
        return tuple(row if self.axis is None else [*row[: self.axis], -1, *row[self.axis :]])


def feed_of(
    tensor_name: str,
    keys: TensorKeys,
    of: Sequence[str],
    names: Sequence[str],
    inputs: Mapping[str, Any],
    scalar: tuple[int, ...],
    open_dtype: str,
) -> Feed:
    """One tensor of a mapping, checked.

    Args:
        tensor_name: Its name.
        keys: What the document says of it.
        of: The inputs that it holds.
        names: All inputs, in the order of a row's values.
        inputs: Their expressions.
        scalar: The shape of one row of an input of which nothing is said.
        open_dtype: The dtype where the type of an expression is open.

    Raises:
        Misfit: It contradicts itself.
    """
    path = ("tensors", tensor_name)
    results = [str(getattr(inputs[name], "result", "dyn")) for name in of]
    for name, result in zip(of, results, strict=True):
        if result in _NEVER or (result == "bytes" and open_dtype != ANY):
            text = f"input '{name}' is {result.rpartition('.')[2].lower()}, which no tensor holds"
            raise Misfit("E403", text, "convert it in the expression", ("inputs", name))
    dtype = keys.dtype or _default_dtype(results, open_dtype if keys.shape is None else "float64", len(of))
    for name, result in zip(of, results, strict=True):
        if not _can_feed(result, dtype):
            text = f"input '{name}' is {article(result)}; tensor '{tensor_name}' is {dtype}"
            raise Misfit("E403", text, "convert it in the expression, or correct the dtype", ("inputs", name))
    shape: tuple[int, ...] = (len(of),) if len(of) > 1 else scalar
    if keys.shape is not None:
        shape = tuple(keys.shape)
    if len(of) > 1 and shape != (len(of),):
        text = f"tensor '{tensor_name}' holds {len(of)} inputs side by side, and its shape is {list(shape)}"
        raise Misfit("E402", text, f"leave the shape out, or write [{len(of)}]", (*path, "shape"))
    axis = None if isinstance(keys.axis, str) else keys.axis
    if axis is not None and axis > len(shape):
        text = f"tensor '{tensor_name}' has {len(shape) + 1} axes with the batch's, and axis is {axis}"
        raise Misfit("E402", text, f"axes count from 0 to {len(shape)}", (*path, "axis"))
    column = Column(of[0] if len(of) == 1 else tensor_name, DTYPES.get(dtype, ANY), shape)
    return Feed(tensor_name, dtype, column, tuple(names.index(name) for name in of), axis, tuple(of))


def _default_dtype(results: Iterable[str], open_dtype: str, width: int) -> str:
    """The dtype of inputs side by side of which the document gives none."""
    found = {_OF_RESULT.get(result, open_dtype) for result in results}
    if len(found) == 1:
        only = found.pop()
        return "float64" if only == ANY and width > 1 else only
    return "float64"


def _can_feed(result: str, dtype: str) -> bool:
    """Whether an expression of this type may give an element of this dtype."""
    if dtype == ANY or result not in ("string", "bool", "int", "uint", "double"):
        return True
    if dtype in ("string", "bool"):
        return result == dtype
    return result != "string"
