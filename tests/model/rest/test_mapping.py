"""The mapping of inputs to tensors: dtypes, shapes, the axis of rows, and what does not fit."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.rest.subjects import cel
from pointsman.base.errors import InvalidInput, InvalidReply, Misfit
from pointsman.model.feed import ANY, DTYPES, TensorKeys
from pointsman.model.mapping import Feeds
from pointsman.model.rowwise import rows_along
from pointsman.model.wire import wire

A, B, I, S, T = (cel(f"event.{name}") for name in "abist")  # noqa: E741  # the fields' own names
DYN = cel("event.other")


def opened(inputs: dict[str, Any], tensors: dict[str, TensorKeys] | None = None, **more: Any) -> Feeds:
    """A mapping of the model `m`."""
    return Feeds.open("m", inputs, tensors, **more)


def test_dtypes_follow_the_expressions() -> None:
    """A declared type gives the dtype; where the type is open it is float64, or JSON as it is."""
    inputs = {"a": A, "i": I, "s": S, "t": T, "d": DYN}
    found = {feed.name: feed.dtype for feed in opened(inputs).feeds}
    assert found == {"a": "float64", "i": "int64", "s": "string", "t": "bool", "d": "float64"}
    assert opened({"d": DYN}, open_dtype=ANY).feeds[0].dtype == ANY


@pytest.mark.parametrize(
    ("keys", "row", "shape"),
    [
        (TensorKeys(), (1.0, 2.0), (3,)),
        (TensorKeys(shape=[1]), (1.0, 2.0), (3, 1)),
        (TensorKeys(shape=[2]), ([1.0, 2.0], 2.0), (3, 2)),
        (TensorKeys(shape=[2, 2]), ([[1.0, 2.0], [3.0, 4.0]], 2.0), (3, 2, 2)),
        (TensorKeys(shape=[2], axis=1), ([1.0, 2.0], 2.0), (2, 3)),
        (TensorKeys(of=["a", "b"]), (1.0, 2.0), (3, 2)),
        (TensorKeys(of=["b", "a"], axis=1), (1.0, 2.0), (2, 3)),
    ],
)
def test_shapes_and_the_axis_of_rows(keys: TensorKeys, row: Any, shape: tuple[int, ...]) -> None:
    """Three rows make a tensor of the declared shape, with the rows where `axis` says."""
    feeds = opened({"a": DYN, "b": DYN}, {"a": keys})
    fed = feeds.build([row] * 3)
    assert feeds.batches
    assert fed.tensors[0].array.shape == shape
    assert len(feeds.feeds[0].shape) == len(shape)


def test_a_tensor_without_batch_axis_takes_one_row() -> None:
    """With `axis: none` a request carries one row, and the tensor is that row's alone."""
    feeds = opened({"a": DYN}, {"a": TensorKeys(shape=[3], axis="none")})
    assert not feeds.batches
    assert feeds.build([([1.0, 2.0, 3.0],)]).tensors[0].array.tolist() == [1.0, 2.0, 3.0]


def test_side_by_side_keeps_the_order_that_is_written() -> None:
    """`of` says the order, whatever that of the inputs."""
    fed = opened({"a": A, "b": B}, {"x": TensorKeys(of=["b", "a"], dtype="float32")}).build([(1.0, 2.0)] * 2)
    assert fed.tensors[0].array.tolist() == [[2.0, 1.0]] * 2
    assert fed.tensors[0].array.dtype == "float32"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("x", "model 'm': input 'b' is a string, expected a number"),
        (None, "model 'm': input 'b' is null, expected a number"),
        (math.nan, "model 'm': input 'b' is not finite, which JSON cannot carry"),
        ([1.0], "model 'm': input 'b' is a list, expected a number"),
    ],
)
@pytest.mark.parametrize("tensors", [{}, {"x": TensorKeys(of=["a", "b"])}], ids=["apart", "side by side"])
def test_a_value_that_does_not_fit_names_its_input(value: Any, says: str, tensors: Any) -> None:
    """Its row alone fails; the message names model, input, what was found and what was expected."""
    fed = opened({"a": DYN, "b": DYN}, tensors).build([(1.0, 2.0), (3.0, value), (5.0, 6.0)])
    assert list(fed.places) == [0, 2]
    assert str(fed.bad[1]) == says
    found = fed.spread(["first", "last"])
    assert found[0] == "first"
    assert isinstance(found[1], InvalidInput)
    assert found[2] == "last"


def test_a_list_of_another_length_is_told_with_both() -> None:
    """Expected and found lengths are named."""
    fed = opened({"a": DYN}, {"a": TensorKeys(shape=[3])}).build([([1.0, 2.0],)])
    assert str(fed.bad[0]) == "model 'm': input 'a' has 2 values, expected 3"
    assert not fed.tensors


def test_replies_that_are_not_one_for_each_row_are_refused() -> None:
    """Too many or too few replies are the server's fault, not an event's."""
    fed = opened({"a": A}).build([(1.0,), (2.0,)])
    with pytest.raises(InvalidReply, match="3 replies for 2 rows"):
        fed.spread([1, 2, 3])


@pytest.mark.parametrize(
    ("inputs", "tensors", "code", "says"),
    [
        (None, {}, "E402", "needs inputs"),
        ({"a": A}, {"x": TensorKeys(of=["b"])}, "E402", "holds 'b', which is not an input"),
        (
            {"a": S},
            {"a": TensorKeys(dtype="float32")},
            "E403",
            "input 'a' is a string; tensor 'a' is float32",
        ),
        ({"a": A}, {"a": TensorKeys(dtype="string")}, "E403", "input 'a' is a double; tensor 'a' is string"),
        ({"a": A, "b": B}, {"x": TensorKeys(of=["a", "b"], shape=[3])}, "E402", "its shape is [3]"),
        ({"a": A}, {"a": TensorKeys(shape=[], axis=1)}, "E402", "axis is 1"),
        ({"a": cel("now")}, {}, "E403", "input 'a' is timestamp, which no tensor holds"),
    ],
)
def test_a_mapping_that_can_never_fit_is_a_misfit(inputs: Any, tensors: Any, code: str, says: str) -> None:
    """What contradicts itself is found before any event."""
    with pytest.raises(Misfit) as caught:
        opened(inputs, tensors)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_metadata_is_compared_name_by_name() -> None:
    """Names, dtypes and shapes that differ are told with what is expected and what is found."""
    feeds = opened({"a": A, "b": B, "i": I}, {"x": TensorKeys(of=["a", "b"])})
    same = {"x": ("FP64", (-1, 2)), "i": ("DT_INT64", (-1,))}
    assert feeds.compare(same) == []
    found = feeds.compare({"x": ("FP32", (-1, 3)), "j": ("INT64", (-1,))})
    assert [str(one) for one in found] == [
        "model 'm': 'j' is not given, the server expects INT64 [any]",
        "model 'm': 'x' is float64, the server expects FP32",
        "model 'm': 'x' is [any, 2], the server expects [any, 3]",
        "model 'm': 'i' is given as int64, the server expects x, j",
    ]


@pytest.mark.parametrize(
    ("shape", "n", "rows"),
    [
        ((2,), 2, [0, 1]),
        ((2, 1), 2, [[0], [1]]),
        ((2, 0), 2, [[], []]),
        ((2, 2), 2, [[0, 1], [2, 3]]),
        ((1, 2, 2), 1, [[[0, 1], [2, 3]]]),
        ((2, 2), None, [[[0, 1], [2, 3]]]),
        ((), None, [0]),
    ],
)
def test_an_output_is_cut_along_its_first_axis(shape: tuple[int, ...], n: int | None, rows: Any) -> None:
    """A row keeps the rest of the shape; without batch axis all of it is the one row's."""
    assert list(rows_along("m", "y", list(range(math.prod(shape))), shape, n)) == rows


def test_an_output_for_other_rows_is_an_invalid_reply() -> None:
    """The message names model, output, what was found and what was expected."""
    with pytest.raises(
        InvalidReply, match=r"model 'm': output 'y' is \[3\], expected 2 along its first axis"
    ):
        rows_along("m", "y", [1, 2, 3], (3,), 2)


VALUES = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.integers(-300, 300),
    st.booleans(),
    st.text(max_size=3),
    st.none(),
    st.lists(st.floats(width=16), min_size=1, max_size=2),
)


@given(
    dtype=st.sampled_from([None, *DTYPES]),
    shape=st.sampled_from([None, [], [1], [2], [1, 2]]),
    axis=st.sampled_from([0, 0, 1, "none"]),
    row=st.tuples(VALUES, VALUES),
    finite=st.booleans(),
)
def test_a_row_alone_is_as_among_others(
    dtype: str | None, shape: list[int] | None, axis: Any, row: tuple[Any, Any], finite: bool
) -> None:
    """A request of one row carries the same elements, of the same types, as numpy makes of it."""
    with contextlib.suppress(Misfit):
        keys = {"a": TensorKeys(dtype=dtype, shape=shape, axis=axis), "x": TensorKeys(of=["b", "a"])}
        feeds = opened({"a": DYN, "b": DYN}, keys, finite=finite)
        plain = Feeds("m", feeds.feeds, finite)
        plain._singles = []
        found, wanted = feeds.build([row]), plain.build([row])
        assert {n: str(e) for n, e in found.bad.items()} == {n: str(e) for n, e in wanted.bad.items()}
        assert [repr(wire(one)) for one in found.tensors] == [repr(wire(one)) for one in wanted.tensors]
        assert [repr(one.array.tolist()) for one in found.tensors] == [
            repr(one.array.tolist()) for one in wanted.tensors
        ]
