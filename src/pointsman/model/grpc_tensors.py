"""Tensors on their way through gRPC: their elements as plain Python, packed and unpacked without numpy."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.errors import InvalidInput, InvalidReply

__all__ = ["FORMATS", "WireTensor", "packed", "rows_of", "text_of", "typed", "unpacked"]

FORMATS: Final = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""Datatypes of one size, as the Open Inference Protocol and `struct` name them; BYTES is the other."""


@dataclass(frozen=True, slots=True)
class WireTensor:
    """A named tensor.

    Attributes:
        name: As the model calls it.
        datatype: A key of `FORMATS`, or `BYTES`.
        shape: Sizes of its dimensions.
        values: The elements in row-major order; those of BYTES are str, or bytes on the way out.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Any]


def packed(tensor: WireTensor) -> bytes:
    """The elements as raw little-endian content.

    Raises:
        InvalidInput: They are not of the datatype, or not as many as the shape says.
    """
    _count(tensor)
    if tensor.datatype == "BYTES":
        texts = _encoded(tensor)
        return b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))
    form = FORMATS.get(tensor.datatype)
    if form is None:
        raise InvalidInput(f"input '{tensor.name}' is of the datatype {tensor.datatype}, which is not known")
    try:
        return struct.pack(f"<{len(tensor.values)}{form}", *tensor.values)
    except (struct.error, OverflowError) as error:
        raise _unfit(tensor, error) from None


def typed(tensor: WireTensor, into: Any) -> None:
    """Adds the elements to a repeated field of a message.

    Raises:
        InvalidInput: They are not of the datatype, or not as many as the shape says.
    """
    _count(tensor)
    try:
        into.extend(_encoded(tensor) if tensor.datatype == "BYTES" else tensor.values)
    except (TypeError, ValueError, OverflowError) as error:
        raise _unfit(tensor, error) from None


def _count(tensor: WireTensor) -> None:
    if len(tensor.values) != math.prod(tensor.shape):
        text = f"input '{tensor.name}' has {len(tensor.values)} elements for the shape {list(tensor.shape)}"
        raise InvalidInput(text)


def _encoded(tensor: WireTensor) -> list[bytes]:
    try:
        return [value if value.__class__ is bytes else value.encode() for value in tensor.values]
    except (AttributeError, UnicodeEncodeError) as error:
        raise _unfit(tensor, error) from None


def _unfit(tensor: WireTensor, error: Exception) -> InvalidInput:
    return InvalidInput(f"input '{tensor.name}' does not fit {tensor.datatype}: {error}")


def unpacked(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> WireTensor:
    """The tensor that raw little-endian content holds.

    Raises:
        InvalidReply: It is not what datatype and shape say.
    """
    size = elements(name, shape)
    if datatype == "BYTES":
        return WireTensor(name, datatype, tuple(shape), _texts(name, size, raw))
    form = FORMATS.get(datatype)
    if form is None:
        raise InvalidReply(f"output '{name}' is of the datatype {datatype}, which is not known")
    layout = f"<{size}{form}"
    if size > len(raw) or struct.calcsize(layout) != len(raw):
        raise InvalidReply(f"output '{name}' has {len(raw)} bytes for {datatype}{list(shape)}")
    return WireTensor(name, datatype, tuple(shape), list(struct.unpack(layout, raw)))


def elements(name: str, shape: Sequence[int]) -> int:
    """How many elements a shape has; raises InvalidReply for a size below 0."""
    if any(n < 0 for n in shape):
        raise InvalidReply(f"output '{name}' has the shape {list(shape)}")
    return math.prod(shape)


def _texts(name: str, size: int, raw: bytes) -> list[str]:
    """The elements of BYTES, each behind its length."""
    texts, at = [], 0
    for _ in range(size):
        end = at + 4
        length = int.from_bytes(raw[at:end], "little")
        if end + length > len(raw):
            raise InvalidReply(f"output '{name}' ends within an element")
        texts.append(text_of(name, raw[end : end + length]))
        at = end + length
    if at != len(raw):
        raise InvalidReply(f"output '{name}' has {len(raw) - at} bytes too many")
    return texts


def text_of(name: str, value: bytes) -> str:
    """One element of BYTES as text; raises InvalidReply where it is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidReply(f"output '{name}' holds bytes that are not UTF-8 text") from None


def rows_of(tensor: WireTensor, n: int) -> list[Any]:
    """The tensor as one JSON-like value for each of `n` rows, its first dimension.

    A row of one element is that element, a longer one a list, nested as the shape says.

    Raises:
        InvalidReply: Its first dimension is not `n`.
    """
    if not tensor.shape or tensor.shape[0] != n:
        raise InvalidReply(f"output '{tensor.name}' has the shape {list(tensor.shape)} for {n} rows")
    inner = tensor.shape[1:]
    if len(tensor.values) == n:
        return list(tensor.values)
    return _nested(tensor.values, (n, *inner))


def _nested(values: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) == 1:
        return list(values)
    step = math.prod(shape[1:])
    return [_nested(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
