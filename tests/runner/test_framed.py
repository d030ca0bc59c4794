"""The event path of a stream engine: frames in, frames out, state asked for."""

from __future__ import annotations

from struct import pack, unpack_from
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.runner.fetched import Fetched
from pointsman.runner.frames import Effects, fetched, records_of
from pointsman.state.base import joined

Record = tuple[bytes | None, bytes | None, str, int, int, int, list[tuple[str, bytes | None]] | None]

some_bytes = st.none() | st.binary(max_size=9)
records = st.lists(
    st.tuples(
        some_bytes,
        some_bytes,
        st.sampled_from(["a", "b.by.ü"]),
        st.integers(0, 99),
        st.integers(0, 2**62),
        st.integers(-1, 2**50),
        st.none() | st.lists(st.tuples(st.text(max_size=3), some_bytes), min_size=1, max_size=3),
    ),
    max_size=20,
)


def frame_of(found: list[Record], now_ms: int = 7) -> bytes:
    """A frame of records, as an engine makes it."""
    topics = list(dict.fromkeys(record[2] for record in found))
    names = b"".join(pack("<H", len(t.encode())) + t.encode() for t in topics)
    n = len(found)

    def told(headers: list[tuple[str, bytes | None]] | None) -> bytes:
        parts = [part for name, value in headers or () for part in (name.encode(), value)]
        return b"".join(pack("<i", -1 if p is None else len(p)) + (p or b"") for p in parts)

    def sizes(column: int) -> list[int]:
        return [-1 if record[column] is None else len(record[column]) for record in found]  # type: ignore[arg-type]  # the columns of bytes

    columns = [
        pack("<BBHiq", ord("R"), 1, len(topics), n, now_ms),
        names,
        pack(f"<{n}H", *(topics.index(r[2]) for r in found)),
        pack(f"<{n}i", *(r[3] for r in found)),
        pack(f"<{n}q", *(r[4] for r in found)),
        pack(f"<{n}q", *(r[5] for r in found)),
        pack(f"<{n}i", *sizes(0)),
        pack(f"<{n}i", *sizes(1)),
        pack(f"<{n}i", *(len(told(r[6])) for r in found)),
        *((r[0] or b"") + (r[1] or b"") + told(r[6]) for r in found),
    ]
    return b"".join(columns)


@given(records)
def test_a_frame_of_records_is_a_batch(found: list[Record]) -> None:
    """Every part of every record comes through, null and empty told apart."""
    batch = records_of(frame_of(found))
    assert [
        (k, v, t, p, o, s, None if h is None else list(h))
        for k, v, t, p, o, s, h in zip(
            batch.keys, batch.values, batch.topics, batch.partitions, batch.offsets, batch.timestamps,
            batch.headers, strict=True,
        )
    ] == found  # fmt: skip
    assert batch.now_ms == 7


def test_effects_stand_in_columns() -> None:
    """Records with and without headers keep their order; changes of state follow them."""
    effects = Effects()
    effects.add("d", ["k", None], [b"one", b"two"])
    effects.put("x", b"", None, [("h", b"1")], 3, 42)
    effects.keep("s", 5, [(b"a\0\0\1", b"v"), (b"b\0\0\2", None)])
    effects.events = 2
    frame = effects.frame()
    assert unpack_from("<BBHiHHii", frame) == (ord("E"), 1, 2, 3, 1, 0, 2, 2)
    at = 20 + 3 + 3 + 3
    assert unpack_from("<3H", frame, at) == (0, 0, 1)
    assert unpack_from("<3i", frame, at + 6) == (-1, -1, 3)
    assert unpack_from("<3q", frame, at + 18) == (-1, -1, 42)
    assert unpack_from("<3i", frame, at + 42) == (1, -1, 0)
    assert unpack_from("<3i", frame, at + 54) == (3, 3, -1)
    assert unpack_from("<3i", frame, at + 66) == (0, 0, 10)
    assert unpack_from("<2H2i2i2i", frame, at + 78) == (0, 0, 5, 5, 4, 4, 1, -1)
    assert frame[at + 78 + 28 :] == b"konetwo" + b"\1\0\0\0h\1\0\0\0001" + b"a\0\0\1vb\0\0\2"


class Engine:
    """A store as an engine keeps it; counts how often it is asked."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.asked = 0
        self.left: list[bytes] = []

    def fetch(self, frame: bytes) -> bytes:
        """The frame `S` for a frame `F`."""
        self.asked += 1
        if frame[0] == ord("W"):
            return self._names(frame)
        _, _, size = unpack_from("<BBH", frame)
        at = 4 + size
        _, count = unpack_from("<2i", frame, at)
        sizes = unpack_from(f"<{count}i", frame, at + 8)
        at += 8 + 4 * count
        counts, slots, values = [], [], []
        for length in sizes:
            name = frame[at : at + length]
            at += length
            there = sorted((k, v) for k, v in self.records.items() if k[:-2] == name)
            counts.append(len(there))
            slots += [int.from_bytes(k[-2:], "big") for k, _ in there]
            values += [v for _, v in there]
        head = pack("<BBHi", ord("S"), 1, 0, count) + pack(f"<{count + 1}i", *counts, len(slots))
        sized = pack(f"<{len(slots)}H", *slots) + pack(f"<{len(slots)}i", *map(len, values))
        return head + sized + b"".join(values)

    def _names(self, frame: bytes) -> bytes:
        (most,) = unpack_from("<i", frame, len(frame) - 4)
        if not self.left:
            self.left = sorted({record[:-2] for record in self.records})
        elif self.left == [b""]:
            self.left = []
        names, self.left = self.left[:most], self.left[most:] or [b""]
        names = [name for name in names if name]
        if not names:
            self.left = []
        return pack(f"<BBHi{len(names)}i", ord("N"), 1, 0, len(names), *map(len, names)) + b"".join(names)


def test_every_key_is_walked_with_what_is_stored_of_it() -> None:
    """A walk asks for names and for what is stored under them, not for each key by itself."""
    engine = Engine()
    engine.records = {joined(f"u{n}", slot): b"v" for n in range(3) for slot in (1, 2)}
    backing = Fetched("s", 0, engine.fetch)
    assert {key: backing.read(key) for key in list(backing.keys())} == {
        f"u{n}": [(1, b"v"), (2, b"v")] for n in range(3)
    }
    assert engine.asked == 3


def test_keys_that_are_expected_are_asked_for_together() -> None:
    """What was expected needs no crossing of its own; what was staged stands over what is stored."""
    engine = Engine()
    engine.records = {joined("u1", 1): b"a", joined("u1", 2): b"b", joined("u2", 0): b"c"}
    backing = Fetched("s", 0, engine.fetch)
    backing.expect(lambda: ["u1", "u2", "u3"])
    assert [backing.read(key) for key in ("u1", "u2", "u3")] == [[(1, b"a"), (2, b"b")], [(0, b"c")], []]
    assert engine.asked == 1
    backing.stage([(joined("u1", 2), None), (joined("u1", 3), b"d")])
    assert backing.read("u1") == [(1, b"a"), (3, b"d")]
    backing.settle()
    assert backing.read("u1") == [(1, b"a"), (2, b"b")]
    assert engine.asked == 3


def test_an_empty_answer_is_told_from_none() -> None:
    """A key of which nothing is stored has no slots."""
    engine: Any = Engine()
    assert fetched(engine.fetch(b"F\1" + pack("<H", 1) + b"s" + pack("<3i", 0, 1, 2) + b"u\0")) == [[]]


def test_a_frame_of_another_kind_is_refused() -> None:
    """What is not a frame of records is no batch."""
    with pytest.raises(ValueError, match="none of records"):
        records_of(b"E\1" + bytes(20))
