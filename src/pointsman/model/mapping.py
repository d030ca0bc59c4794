"""Rows as named tensors: which inputs make which tensor, of which dtype and shape, and where rows lie.

A value that does not fit spoils its own row only; what can never fit is found when the model is opened; what
differs from the model's own metadata is found when a server is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from typing import Any, Final

from pointsman.base.errors import InvalidInput, InvalidReply, Misfit, MissingExtra, ModelError
from pointsman.model.base import Row
from pointsman.model.dtypes import dtype_of
from pointsman.model.feed import ANY, Feed, TensorKeys, feed_of
from pointsman.model.rowwise import json_value, spelled
from pointsman.model.single import single_of
from pointsman.model.tensors import Column, Tensor, stack, tensor

__all__ = ["Fed", "Feeds", "Mismatch", "Named"]

_FIRST: Final = range(1)


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
            feeds.append(feed_of(tensor_name, keys, of, names, inputs, scalar, open_dtype))
        free = [name for name in names if name not in used]
        _load_numpy()
        feeds += [feed_of(name, TensorKeys(), [name], names, inputs, scalar, open_dtype) for name in free]
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
            Mismatch(self._model, name, f"{dtype} {spelled(shape)}", "not given")
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
                found.append(Mismatch(self._model, feed.name, spelled(shape), spelled(feed.shape)))
        return found


def _load_numpy() -> None:
    """Imports numpy now, where it stalls nobody, rather than at the first request."""
    try:
        import numpy  # noqa: F401  # the import is the point
    except ModuleNotFoundError:
        raise MissingExtra("a model that takes tensors", "http") from None


def _placed(feed: Feed, array: Tensor) -> Tensor:
    """The array with its rows along the feed's axis."""
    if feed.dtype == ANY or feed.axis == 0:
        return array
    if feed.axis is None:
        return array[0]
    import numpy as np

    return np.moveaxis(array, 0, feed.axis)


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
