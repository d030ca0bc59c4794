"""Both halves of the frames, in Java and in Python, understand each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman.runner.frames import Effects, fetch, fetched, records_of
from pointsman.runner.streams_jvm import Java

some_bytes = st.none() | st.binary(max_size=9)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
headers = st.lists(st.tuples(names, some_bytes), max_size=3)
records = st.lists(
    st.tuples(
        st.sampled_from(["a", "b.by.ü"]),
        st.integers(0, 99),
        st.integers(0, 2**62),
        st.integers(-1, 2**50),
        some_bytes,
        some_bytes,
        headers,
    ),
    max_size=600,
)
outputs = st.lists(
    st.tuples(
        st.sampled_from(["x", "y.ü"]),
        some_bytes,
        some_bytes,
        headers,
        st.integers(-1, 9),
        st.integers(-1, 2**50),
    ),
    max_size=20,
)
changes = st.lists(
    st.tuples(st.sampled_from(["s", "t"]), st.integers(0, 9), st.binary(min_size=3), some_bytes)
)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Names our classes of frames."""
    Java(tmp_path_factory.mktemp("native"))
    import jpype

    return lambda name: jpype.JClass(f"pointsman.bridge.{name}")


def own(part: Any) -> bytes | None:
    """Java's bytes as Python's."""
    return None if part is None else bytes(part)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(records)
def test_records(bridge: Any, found: list[Any]) -> None:
    """What Java collected is what Python decides, twice over: a frame leaves nothing behind."""
    collected = bridge("Records")()
    for _ in range(2):
        for topic, partition, offset, timestamp, key, value, more in found:
            collected.add(topic, partition, offset, timestamp, key, value)
            for name, content in more:
                collected.header(name, content)
        assert collected.size() == len(found)
        batch = records_of(bytes(collected.take(77)))
        read = zip(
            batch.topics,
            batch.partitions,
            batch.offsets,
            batch.timestamps,
            batch.keys,
            batch.values,
            strict=True,
        )
        assert list(read) == [record[:6] for record in found]
        assert [list(one or ()) for one in batch.headers] == [record[6] for record in found]
        assert batch.now_ms == 77


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(outputs, changes)
def test_effects(bridge: Any, written: list[Any], kept: list[Any]) -> None:
    """What Python says is to be written and kept is what Java hears, in that order."""
    import jpype

    effects = Effects()
    effects.events = 5
    for topic, key, value, more, partition, timestamp in written:
        effects.put(topic, key, value, more, partition, timestamp)
    for store, partition, key, value in kept:
        effects.keep(store, partition, [(key, value)])
    heard: list[Any] = []

    class Reader:
        def record(self, output: Any) -> None:
            told = [(str(one.name), own(one.value)) for one in output.headers]
            key, value = own(output.key), own(output.value)
            heard.append((str(output.topic), key, value, told, int(output.partition), int(output.timestamp)))

        def change(self, store: Any, partition: Any, key: Any, value: Any) -> None:
            heard.append((str(store), int(partition), own(key), own(value)))

    read = bridge("Effects")(effects.frame())
    assert (read.records, read.changes, read.events) == (len(written), len(kept), 5)
    read.read(jpype.JProxy(bridge("Effects$Reader"), inst=Reader()))
    assert heard == written + kept


def test_fetch(bridge: Any) -> None:
    """Java answers with the slots of each key, and of no other key that begins like it."""
    import jpype

    store = {b"a\0\0\1": b"1", b"a\0\0\2": b"", b"a\0b\0\0\1": b"other", b"ab\0\0\1": b"3"}

    class Finder:
        def find(self, name: Any, partition: Any, prefix: Any, found: Any) -> None:
            assert (str(name), int(partition)) == ("spend", 3)
            for key in sorted(store):
                if key.startswith(bytes(prefix)):
                    found.slot(key, store[key])

        def walk(self, *_: Any) -> None:
            raise AssertionError("nobody walks")

    finder = jpype.JProxy(bridge("Fetch$Finder"), inst=Finder())
    answer = bridge("Fetch").answer(fetch("spend", 3, [b"a\0", b"none\0", b"ab\0"]), finder)
    assert fetched(bytes(answer)) == [[(1, b"1"), (2, b"")], [], [(1, b"3")]]


def test_a_frame_of_another_kind_is_refused(bridge: Any) -> None:
    """With what it is."""
    import jpype

    with pytest.raises(jpype.JException, match="a frame of kind E was expected, and came R of version 1"):
        bridge("Effects")(b"R\1" + bytes(20))
