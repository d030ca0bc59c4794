"""The partition of a key is the one that Kafka's clients choose."""

from __future__ import annotations

from typing import Any

import pytest

from kafka import Kafka
from pointsman.runner.placing import Places, murmur2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: bytes, value: int) -> None:
    """The values that Apache Kafka's own test of `Utils.murmur2` pins."""
    assert murmur2(key) == value & 0xFFFFFFFF


def keys_of(sorted_: Any) -> dict[int, list[Any]]:
    """Partition → the keys of its records."""
    return {place: [record["key"] for record in records] for place, records in sorted_}


def test_records_keep_their_order_within_a_partition() -> None:
    """Each goes to its key's partition, after the earlier ones; without a key the client chooses."""
    keys = ["a", b"b", None, "c", "a", b"b", "d"]
    found = keys_of(Places(3).sort(keys, [b""] * len(keys)))

    assert found.pop(-1) == [None]
    for place, sorted_keys in found.items():
        raw = [key.encode() if isinstance(key, str) else key for key in sorted_keys]
        assert {murmur2(key) % 2**31 % 3 for key in raw} == {place}
        assert sorted_keys == [key for key in keys if key in sorted_keys]


def test_keys_that_never_come_back_are_left_to_the_client() -> None:
    """Working them out would cost more than it saves; it is tried again later."""
    places = Places(8)
    count = 0
    for start in range(0, 10_000, 100):
        keys = [f"k{n}" for n in range(start, start + 100)]
        count += sum(place >= 0 for place in keys_of(places.sort(keys, [b""] * 100)))
    assert 0 < count <= 2 * 8


def test_librdkafka_agrees(broker: Kafka, topic: Any) -> None:
    """Every key is read back from the partition that was worked out for it."""
    keys = [f"user-{n}" for n in range(200)] + ["", "ä", "x" * 1000]
    name = topic(partitions=7)
    broker.produce(name, [(key, b"v") for key in keys])
    known = {
        key: place
        for place, found in keys_of(Places(7).sort(keys, [b""] * len(keys))).items()
        for key in found
    }

    for message in broker.consume_all(name):
        assert known[message.key().decode()] == message.partition()
