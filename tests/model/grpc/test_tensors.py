"""Tensors packed and unpacked without numpy."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.base.errors import InvalidInput, InvalidReply
from pointsman.model.grpc_tensors import FORMATS, WireTensor, packed, rows_of, unpacked

WHOLE = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}


def values_of(datatype: str) -> st.SearchStrategy[object]:
    """Elements that a datatype holds."""
    if datatype == "BYTES":
        return st.text()
    if datatype == "BOOL":
        return st.booleans()
    if datatype.startswith("FP"):
        return st.floats(width=int(datatype[2:]), allow_nan=False)  # type: ignore[arg-type]  # 16, 32 or 64
    bits = int(datatype.lstrip("UINT"))
    low = 0 if datatype.startswith("U") else -(2 ** (bits - 1))
    return st.integers(low, low + 2**bits - 1)


@given(st.data(), st.sampled_from([*FORMATS, "BYTES"]))
def test_what_is_packed_comes_back(data: st.DataObject, datatype: str) -> None:
    """Any tensor of any datatype survives the way there and back."""
    values = data.draw(st.lists(values_of(datatype), max_size=6))
    raw = packed(WireTensor("x", datatype, (len(values),), values))
    assert unpacked("x", datatype, [len(values)], raw).values == values


def test_raw_content_is_little_endian() -> None:
    """The bytes are those that the protocols prescribe."""
    assert packed(WireTensor("x", "FP32", (2,), [1.0, -2.0])) == struct.pack("<ff", 1.0, -2.0)
    assert packed(WireTensor("x", "INT16", (1,), [1])) == b"\x01\x00"
    assert packed(WireTensor("x", "BYTES", (2,), ["é", b"\xff"])) == b"\x02\0\0\0\xc3\xa9\x01\0\0\0\xff"


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (WireTensor("x", "FP32", (2,), [1.0]), "'x' has 1 elements for the shape [2]"),
        (WireTensor("x", "INT8", (1,), [300]), "'x' does not fit INT8"),
        (WireTensor("x", "FP32", (1,), [1e300]), "'x' does not fit FP32"),
        (WireTensor("x", "FP32", (1,), ["a"]), "'x' does not fit FP32"),
        (WireTensor("x", "BYTES", (1,), [1]), "'x' does not fit BYTES"),
        (WireTensor("x", "BYTES", (1,), ["\ud800"]), "'x' does not fit BYTES"),
        (WireTensor("x", "BF16", (1,), [1]), "the datatype BF16, which is not known"),
    ],
)
def test_an_input_that_does_not_fit_is_named(tensor: WireTensor, told: str) -> None:
    """It fails as the event's fault, with the input's name."""
    with pytest.raises(InvalidInput) as caught:
        packed(tensor)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "told"),
    [
        ("FP32", [2], b"1234", "4 bytes for FP32[2]"),
        ("FP32", [1], b"12345678", "8 bytes for FP32[1]"),
        ("FP32", [1 << 62], b"", "0 bytes for FP32"),
        ("FP32", [-1], b"1234", "the shape [-1]"),
        ("BYTES", [1], b"\x09\0\0\0abc", "ends within an element"),
        ("BYTES", [1 << 40], b"", "ends within an element"),
        ("BYTES", [1], b"\x01\0\0\0abc", "2 bytes too many"),
        ("BYTES", [1], b"\x01\0\0\0\xff", "not UTF-8"),
        ("BF16", [1], b"12", "the datatype BF16, which is not known"),
    ],
)
def test_an_output_that_is_not_what_it_says_is_refused(
    datatype: str, shape: list[int], raw: bytes, told: str
) -> None:
    """Lengths are compared before anything is made of them, whatever a shape claims."""
    with pytest.raises(InvalidReply) as caught:
        unpacked("y", datatype, shape, raw)
    assert told in str(caught.value)


def test_rows_of_a_tensor() -> None:
    """The first dimension is the rows; a row of one element is that element."""
    flat = list(range(12))
    assert rows_of(WireTensor("y", "INT64", (12,), flat), 12) == flat
    assert rows_of(WireTensor("y", "INT64", (12, 1), flat), 12) == flat
    assert rows_of(WireTensor("y", "INT64", (4, 3), flat), 4)[1] == [3, 4, 5]
    assert rows_of(WireTensor("y", "INT64", (2, 3, 2), flat), 2)[1] == [[6, 7], [8, 9], [10, 11]]
    with pytest.raises(InvalidReply, match=r"\[12\] for 3 rows"):
        rows_of(WireTensor("y", "INT64", (12,), flat), 3)
    with pytest.raises(InvalidReply, match="for 1 rows"):
        rows_of(WireTensor("y", "FP32", (), [math.pi]), 1)
