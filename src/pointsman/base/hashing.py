"""Randomness that sticks: a hash of (salt, unit) in integer arithmetic.

The same salt and unit give the same number on every runner, in every release and language. The first 64
bits of SHA-256 over `salt NUL unit` in UTF-8 are read as a big-endian unsigned integer `h`; the unit is at
`h / 2**64` of the whole, and all comparisons are made between integers, so no rounding is involved.
`tests/base/hash_table.json` pins values.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256

__all__ = ["SPACE", "bounds", "content_hash", "position"]

SPACE = 1 << 64


def position(salt: str, unit: str) -> int:
    """Where `unit` stands in [0, 2**64) under `salt`."""
    digest = sha256(f"{salt}\0{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def bounds(shares: Sequence[Fraction]) -> tuple[int, ...]:
    """The upper bounds of consecutive arms, so that arm i serves positions in [bounds[i-1], bounds[i]).

    Args:
        shares: Shares in [0, 1], in a fixed order, that sum to 1.
    """
    total, found = Fraction(0), []
    for share in shares:
        total += share
        found.append(int(total * SPACE))
    return tuple(found)


def content_hash(content: bytes) -> str:
    """The SHA-256 of `content` in hexadecimal."""
    return sha256(content).hexdigest()
