"""Where Kafka's Java clients put a key: murmur2, as `org.apache.kafka.common.utils.Utils` computes it.

References:
    A. Appleby, MurmurHash2 (2008); Kafka seeds it with 0x9747b28c and drops the sign.
"""

from __future__ import annotations

__all__ = ["partition_of"]

_MIX = 0x5BD1E995
_MASK = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key that is not null.

    >>> partition_of(b"foobar", 1 << 31)  # Kafka's own test has -790332482, its sign not yet dropped
    1357151166
    """
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for place in range(0, whole, 4):
        k = int.from_bytes(key[place : place + 4], "little") * _MIX & _MASK
        k ^= k >> 24
        h = (h * _MIX ^ k * _MIX) & _MASK
    if tail := key[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _MIX & _MASK
    h = (h ^ h >> 13) * _MIX & _MASK
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions
