"""Rows as named tensors: which inputs make which tensor, of which dtype and shape, and where rows lie.

A value that does not fit spoils its own row only; what can never fit is found when the model is opened; what
differs from the model's own metadata is found when a server is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from typing import Any, Final

import msgspec

from pointsman.base.config import Choice, ListOf, OneOf, Text, Whole, key
from pointsman.base.errors import EvalError, InvalidInput, InvalidReply, Misfit, MissingExtra, ModelError
from pointsman.cel.values import article, to_json, type_name
from pointsman.model.base import Row
from pointsman.model.dtypes import dtype_of
from pointsman.model.single import single_of
from pointsman.model.tensors import Column, Tensor, stack, tensor

__all__ = [
    "ANY",
    "DTYPES",
    "Fed",
    "Feed",
    "Feeds",
    "Mismatch",
    "Named",
    "TensorKeys",
    "json_value",
    "rows_along",
]

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

_FIRST: Final = range(1)

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


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where the mapping and the model's own metadata differ.

    Attributes:
        model: The model's name in the document.
        field: The tensor or input.
        expected: What the server declares.
        found: What the document gives.
    """

    model: str
    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"model '{self.model}': '{self.field}' is {self.found}, the server expects {self.expected}"


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


@dataclass(frozen=True, slots=True)
class Named:
    """One tensor of a request.

    Attributes:
        feed: What it is.
        array: A numpy array with the batch along `feed.axis`, or a `Single`; a list of values, one a row,
            where it is `ANY`.
    """

    feed: Feed
    array: Tensor


@dataclass(frozen=True, slots=True)
class Fed:
    """The tensors of the rows that fit, and what is wrong with the others.

    Attributes:
        tensors: In the order of the feeds; empty where no row fits.
        size: How many rows were given.
        places: The rows that the tensors hold, in order.
        bad: The error of each other row, by its place.
    """

    tensors: Sequence[Named]
    size: int
    places: Sequence[int]
    bad: Mapping[int, InvalidInput] = field(default_factory=dict)

    def spread(self, replies: Sequence[Any | ModelError]) -> Sequence[Any | ModelError]:
        """The replies to the rows that fit, with the errors of the others in their places.

        Raises:
            InvalidReply: They are not one for each row that was sent.
        """
        if len(replies) != len(self.places):
            raise InvalidReply(f"{len(replies)} replies for {len(self.places)} rows")
        if not self.bad:
            return replies
        whole: list[Any] = [self.bad.get(place) for place in range(self.size)]
        for place, reply in zip(self.places, replies, strict=True):
            whole[place] = reply
        return whole


class Feeds:
    """How a model's inputs become the tensors of a request.

    Attributes:
        feeds: The tensors in order: those of `tensors` first, then the inputs that none of them holds.
        batches: Whether every tensor has a batch axis, so that a request can carry several rows.
    """

    def __init__(self, model: str, feeds: Sequence[Feed], finite: bool) -> None:
        self.feeds = tuple(feeds)
        self.batches = all(feed.axis is not None for feed in feeds)
        self._model = model
        self._finite = finite
        made = [
            None
            if feed.dtype == ANY
            else single_of(feed.dtype, feed.column.shape, feed.axis, feed.take, finite=finite)
            for feed in feeds
        ]
        self._singles = [one for one in made if one is not None]

    @classmethod
    def open(
        cls,
        model: str,
        inputs: Mapping[str, Any] | None,
        tensors: Mapping[str, TensorKeys] | None,
        *,
        scalar: tuple[int, ...] = (),
        open_dtype: str = "float64",
        finite: bool = True,
    ) -> Feeds:
        """Reads the mapping.

        Args:
            model: The model's name, for messages.
            inputs: The expression of each input, in the order of a row's values.
            tensors: What the document says of tensors.
            scalar: The shape of one row of an input of which nothing is said.
            open_dtype: The dtype where the type of an expression is open: `ANY` where the protocol is JSON.
            finite: Whether NaN and infinity spoil a row, because the protocol cannot carry them.

        Raises:
            Misfit: The mapping contradicts itself.
        """
        if not inputs:
            raise Misfit("E402", "the model needs inputs", "name each input and its expression")
        names = list(inputs)
        feeds, used = [], set()
        for tensor_name, keys in (tensors or {}).items():
            of = list(keys.of or [tensor_name])
            for name in of:
                if name not in inputs:
                    text = f"tensor '{tensor_name}' holds '{name}', which is not an input"
                    near = get_close_matches(name, names, 1)
                    hint = f"did you mean '{near[0]}'?" if near else f"inputs are {', '.join(names)}"
                    raise Misfit("E402", text, hint, ("tensors", tensor_name))
            used.update(of)
            feeds.append(_feed(tensor_name, keys, of, names, inputs, scalar, open_dtype))
        free = [name for name in names if name not in used]
        _load_numpy()
        feeds += [_feed(name, TensorKeys(), [name], names, inputs, scalar, open_dtype) for name in free]
        return cls(model, feeds, finite)

    def build(self, rows: Sequence[Row]) -> Fed:
        """The tensors of the rows that fit."""
        if len(rows) == 1 and (alone := self._alone(rows[0])) is not None:
            return Fed(alone, 1, _FIRST)
        bad: dict[int, str] = {}
        made = [self._array(feed, rows, bad) for feed in self.feeds]
        places: Sequence[int] = range(len(rows))
        if bad:
            places = [i for i in places if i not in bad]
            made = [
                [one[i] for i in places] if feed.dtype == ANY else one[places]
                for feed, one in zip(self.feeds, made, strict=True)
            ]
        tensors = [
            Named(feed, _placed(feed, array)) for feed, array in zip(self.feeds, made, strict=True) if places
        ]
        errors = {i: InvalidInput(f"model '{self._model}': {text}") for i, text in bad.items()}
        return Fed(tensors, len(rows), places, errors)

    def _alone(self, row: Any) -> list[Named] | None:
        """The tensors of one row, where that takes neither numpy nor a closer look."""
        if len(self._singles) < len(self.feeds):
            return None
        tensors = []
        for feed, make in zip(self.feeds, self._singles, strict=True):
            array = make(row)
            if array is None:
                return None
            tensors.append(Named(feed, array))
        return tensors

    def _array(self, feed: Feed, rows: Sequence[Any], bad: dict[int, str]) -> Tensor:
        """The values of one tensor, rows first."""
        if feed.dtype == ANY:
            values = [row[feed.take[0]] for row in rows]
            return [json_value(feed.name, value, i, bad) for i, value in enumerate(values)]
        unfit: dict[int, str] = {}
        if len(feed.take) == 1:
            array = stack(feed.column, [row[feed.take[0]] for row in rows], unfit)
        else:
            picked = (tuple(row[place] for place in feed.take) for row in rows)
            array = tensor(feed.column, list(chain.from_iterable(picked)), len(feed.take), unfit)
        if self._finite and feed.dtype.startswith("float"):
            _infinite(feed.column, array, unfit)
        if unfit and len(feed.take) > 1:
            unfit = {place: self._blame(feed, rows[place]) for place in unfit}
        for place, text in unfit.items():
            bad.setdefault(place, text)
        return array

    def _blame(self, feed: Feed, row: Sequence[Any]) -> str:
        """Which input of a row does not fit the tensor that holds it beside others, and why."""
        for name, place in zip(feed.inputs, feed.take, strict=True):
            unfit: dict[int, str] = {}
            column = Column(name, feed.column.kind, ())
            array = stack(column, [row[place]], unfit)
            if self._finite and feed.dtype.startswith("float"):
                _infinite(column, array, unfit)
            if unfit:
                return unfit[0]
        return f"tensor '{feed.name}' cannot hold its inputs"

    def compare(self, declared: Mapping[str, tuple[str, tuple[int, ...]]]) -> list[Mismatch]:
        """What differs from the inputs that a server declares, by name: dtype and shape, -1 for any."""
        found = [
            Mismatch(self._model, name, f"{dtype} {_spelled(shape)}", "not given")
            for name, (dtype, shape) in declared.items()
            if name not in {feed.name for feed in self.feeds}
        ]
        for feed in self.feeds:
            if feed.name not in declared:
                known = ", ".join(declared) or "no inputs"
                found.append(Mismatch(self._model, feed.name, known, f"given as {feed.dtype}"))
                continue
            dtype, shape = declared[feed.name]
            if feed.dtype not in (dtype_of(dtype), ANY):
                found.append(Mismatch(self._model, feed.name, dtype, feed.dtype))
            if feed.dtype != ANY and not _agree(feed.shape, shape):
                found.append(Mismatch(self._model, feed.name, _spelled(shape), _spelled(feed.shape)))
        return found


def _load_numpy() -> None:
    """Imports numpy now, where it stalls nobody, rather than at the first request."""
    try:
        import numpy  # noqa: F401  # the import is the point
    except ModuleNotFoundError:
        raise MissingExtra("a model that takes tensors", "http") from None


def rows_along(
    model: str, name: str, values: Sequence[Any], shape: Sequence[int], n: int | None
) -> Sequence[Any]:
    """One output as a JSON-like value for each row, which lie along its first axis.

    Args:
        model: The model's name, for messages.
        name: The output's name.
        values: Its elements in row-major order, as many as the shape says.
        shape: With the batch axis first: a row of [rows] is a value, of [rows, 3] a list of three.
        n: How many rows were sent; None where the model knows no batch axis, and all of it is one row's.

    Raises:
        InvalidReply: Its first axis is not `n`.
    """
    if n is None:
        return [_nested(values, shape)]
    if not shape or shape[0] != n:
        found = _spelled(tuple(shape))
        raise InvalidReply(f"model '{model}': output '{name}' is {found}, expected {n} along its first axis")
    if len(shape) == 1:
        return values
    if len(shape) == 2:
        size = shape[1]
        return [list(values[at : at + size]) for at in range(0, n * size, size)] if size else [[]] * n
    whole: list[Any] = _nested(values, shape)
    return whole


def _nested(values: Sequence[Any], shape: Sequence[int]) -> Any:
    """The elements in lists of lists, as the shape says."""
    if not shape:
        return values[0]
    if len(shape) == 1:
        return list(values)
    size = math.prod(shape[1:])
    return [_nested(values[at * size : (at + 1) * size], shape[1:]) for at in range(shape[0])]


def _feed(
    tensor_name: str,
    keys: TensorKeys,
    of: Sequence[str],
    names: Sequence[str],
    inputs: Mapping[str, Any],
    scalar: tuple[int, ...],
    open_dtype: str,
) -> Feed:
    """One tensor of the mapping, checked."""
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


def _placed(feed: Feed, array: Tensor) -> Tensor:
    """The array with its rows along the feed's axis."""
    if feed.dtype == ANY or feed.axis == 0:
        return array
    if feed.axis is None:
        return array[0]
    import numpy as np

    return np.moveaxis(array, 0, feed.axis)


def json_value(name: str, value: Any, place: int, bad: dict[int, str]) -> Any:
    """`value` of an input as JSON-like; one that has no such form adds to `bad`, which spoils its row."""
    kind = value.__class__
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if value - value != 0.0:
            bad.setdefault(place, f"input '{name}' is not finite, which JSON cannot carry")
        return value
    try:
        return msgspec.to_builtins(value, enc_hook=to_json, str_keys=True)
    except (EvalError, TypeError, ValueError, RecursionError):
        bad.setdefault(place, f"input '{name}' is {_what(value)}, which JSON cannot carry")
        return None


def _what(value: Any) -> str:
    try:
        return article(type_name(value))
    except EvalError:
        return "without a usable value"


def _infinite(column: Column, array: Tensor, bad: dict[int, str]) -> None:
    """Finds the rows that hold NaN or infinity."""
    import numpy as np

    finite = np.isfinite(array)
    if not finite.all():
        rows = finite.reshape(len(array), -1).all(axis=1)
        for place in np.flatnonzero(~rows).tolist():
            bad.setdefault(place, f"input '{column.name}' is not finite, which JSON cannot carry")


def _agree(ours: Sequence[int], theirs: Sequence[int]) -> bool:
    """Whether two shapes can be the same."""
    return len(ours) == len(theirs) and all(a == b or -1 in (a, b) for a, b in zip(ours, theirs, strict=True))


def _spelled(shape: Sequence[int]) -> str:
    return "[" + ", ".join("any" if n < 0 else str(n) for n in shape) + "]"
