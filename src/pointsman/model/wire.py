"""Tensors of the mapping as the wire has them: the Open Inference Protocol's datatypes, elements in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pointsman.model.grpc_tensors import WireTensor
from pointsman.model.mapping import Named

__all__ = ["DATATYPES", "wire"]

DATATYPES: Final[Mapping[str, str]] = {
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
    "string": "BYTES",
}
"""The protocol's names of the document's dtypes."""


def wire(named: Named) -> WireTensor:
    """A tensor with its elements as plain values, in row-major order."""
    array = named.array
    return WireTensor(
        named.feed.name, DATATYPES[named.feed.dtype], tuple(array.shape), array.ravel().tolist()
    )
