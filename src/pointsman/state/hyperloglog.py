"""How many different values there are: exact for few, HyperLogLog for many.

A value is known by 64 bits of its hash. Up to MOST_EXACT of them are kept as they are; then the first 10 bits
of each choose one of 1,024 registers, which keeps the largest number of leading zeros, plus one, of the other
54. Both forms unite with each other, so a window's number is that of its sub-buckets' values together.

References:
    P. Flajolet, E. Fusy, O. Gandouet, F. Meunier: HyperLogLog: the analysis of a near-optimal cardinality
    estimation algorithm. AofA 2007.
    O. Ertl: New cardinality estimation algorithms for HyperLogLog sketches. 2017, algorithm 6 (the improved
    raw estimator). https://arxiv.org/abs/1702.01284
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from hashlib import blake2b
from math import inf, log, sqrt
from typing import Any, Final

import msgspec

from pointsman.cel.values import Optional, to_json

__all__ = ["ERROR", "MOST_EXACT", "Distinct", "distinct", "fingerprint", "united"]

MOST_EXACT: Final = 90
"""So many different values are counted exactly."""
ERROR: Final = 1.04 / 32
"""Standard error, relative, of the number where there are more: 3.25 %."""

_BITS: Final = 10
_REGISTERS: Final = 1 << _BITS
_REST: Final = 64 - _BITS
_PACKED: Final = _REGISTERS * 3 // 4
_SIX: Final = bytes(range(64))
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_LETTERS: Final = bytes.maketrans(_SIX, _LETTERS)
_FROM_LETTERS: Final = bytes.maketrans(_LETTERS, _SIX)

_json = msgspec.json.Encoder(enc_hook=to_json, order="deterministic").encode


def fingerprint(value: Any) -> int:
    """64 bits that a value is known by, the same in every process; equal numbers have equal ones."""
    if value.__class__ is Optional:
        value = value.value
    if value.__class__ is str:
        text = b"s" + value.encode("utf-8", "surrogatepass")
    elif isinstance(value, float) and value.is_integer():
        text = b"%d" % int(value)
    elif isinstance(value, float) and value - value != 0.0:
        text = b"f%r" % value  # JSON has no word for it
    else:
        text = _json(value)
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


class Distinct:
    """Different values.

    Attributes:
        prints: The fingerprints, while all are kept; None from then on.
        registers: What stands for them then.
        changed: Whether something was added since this was last set to False.
    """

    __slots__ = ("changed", "prints", "registers")

    def __init__(self, prints: set[int] | None = None, registers: bytearray | None = None) -> None:
        self.prints = prints if prints is not None or registers is not None else set()
        self.registers = registers
        self.changed = False

    def add(self, value: Any) -> None:
        """Takes in a value."""
        found = fingerprint(value)
        if self.prints is None:
            assert self.registers is not None
            self.changed = _put(self.registers, found) or self.changed
        elif found not in self.prints:
            self.changed = True
            self.prints.add(found)
            if len(self.prints) > MOST_EXACT:
                self.registers = _registers(self)
                self.prints = None

    def data(self) -> bytes:
        """Both forms as bytes: eight for each fingerprint, or six bits for each register."""
        if self.prints is not None:
            return b"".join(found.to_bytes(8, "big") for found in sorted(self.prints))
        assert self.registers is not None
        return a2b_base64(self.registers.translate(_TO_LETTERS))

    @classmethod
    def of(cls, data: bytes) -> Distinct:
        """What `data` was made of."""
        if len(data) == _PACKED:
            return cls(None, bytearray(b2a_base64(data, newline=False).translate(_FROM_LETTERS)))
        return cls({int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8)})


def united(parts: Iterable[Distinct | None]) -> Distinct | None:
    """The values of several together, exact while all of them are."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    if all(part.prints is not None for part in found):
        return Distinct(set().union(*(part.prints for part in found if part.prints is not None)))
    registers = _registers(found[0])
    for part in found[1:]:
        registers = bytearray(map(max, registers, _registers(part)))
    return Distinct(None, registers)


def distinct(before: Distinct | None, last: Distinct | None) -> int:
    """How many different values two have together."""
    if before is None or last is None:
        one = before or last
        return 0 if one is None else _estimate(one.registers) if one.prints is None else len(one.prints)
    if before.prints is not None and last.prints is not None:
        return len(before.prints) + len(last.prints - before.prints)
    both = united((before, last))
    assert both is not None
    return _estimate(both.registers)


def _registers(part: Distinct) -> bytearray:
    if part.registers is not None:
        return bytearray(part.registers)
    registers = bytearray(_REGISTERS)
    for found in part.prints or ():
        _put(registers, found)
    return registers


def _put(registers: bytearray, found: int) -> bool:
    """Takes in a fingerprint; tells whether that changed a register."""
    place, rest = found >> _REST, found & ((1 << _REST) - 1)
    rank = _REST - rest.bit_length() + 1
    if rank <= registers[place]:
        return False
    registers[place] = rank
    return True


def _estimate(registers: bytearray | None) -> int:
    """Ertl's improved raw estimator, rounded."""
    assert registers is not None
    m = _REGISTERS
    z = m * _tau(1 - registers.count(_REST + 1) / m)
    for rank in range(_REST, 0, -1):
        z = 0.5 * (z + registers.count(rank))
    z += m * _sigma(registers.count(0) / m)
    return round(m * m / (2 * log(2) * z))


def _sigma(x: float) -> float:
    if x == 1.0:
        return inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x, before = x * x, z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x, before, y = sqrt(x), z, 0.5 * y
        z -= (1 - x) ** 2 * y
    return z / 3
