"""What a stream engine in Java and Python say to each other: whole batches as one run of bytes.

One crossing for each record would cost more than deciding it. Numbers are little-endian and stand in columns,
so that either side takes them all at once; keys, values and headers follow back to back. A length of -1 is
null. The other half is `jvm/src/pointsman/bridge`.

    R  records      engine → Python
    E  effects      the answer: records to write, changes of state
    F  fetch        Python → engine, while it decides: what is stored under these keys?
    S  state        the answer
    W  walk         Python → engine: which keys come next in a walk over all of a store?
    N  names        the answer; none, once all were told
    D  drop         engine → Python: these partitions are another task's now
    O  open, M  metrics, X  failure: only where Python is a process of its own
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from struct import Struct, pack, unpack_from
from typing import Any, Final

from pointsman.base.records import Batch, Headers

__all__ = ["VERSION", "Effects", "dropped", "fetch", "fetched", "records_of", "walk", "walked"]

VERSION: Final = 1

_RECORDS = Struct("<BBHiq")
_EFFECTS = Struct("<BBHiHHii")
_FETCH = Struct("<BBH")
_STATE = Struct("<BBHi")
_DROP = Struct("<BBHi")
_SIZE = Struct("<i")

Key = str | bytes | None
Value = bytes | None


class _HeadersIn:
    """The headers of each record of a frame, read when they are asked for."""

    __slots__ = ("_ends", "_frame", "_sizes")

    def __init__(self, frame: bytes, sizes: Sequence[int], ends: Sequence[int]) -> None:
        self._frame = frame
        self._sizes = sizes
        self._ends = ends

    def __getitem__(self, index: int) -> Headers | None:
        size = self._sizes[index]
        return _headers(self._frame, self._ends[index] - size, size) if size else None

    def __iter__(self) -> Iterator[Headers | None]:
        return map(self.__getitem__, range(len(self._sizes)))


def records_of(frame: bytes) -> Batch:
    """The records of a frame, as a batch whose `polled` is not set.

    Raises:
        ValueError: It is a frame of another kind, or of another version.
    """
    kind, version, topics, count, now_ms = _RECORDS.unpack_from(frame)
    if kind != ord("R") or version != VERSION:
        raise ValueError(f"a frame of kind {kind} and version {version} is none of records")
    names, at = _names(frame, topics, _RECORDS.size)
    topic = unpack_from(f"<{count}H", frame, at)
    at += 2 * count
    partitions = unpack_from(f"<{count}i", frame, at)
    at += 4 * count
    offsets = unpack_from(f"<{count}q", frame, at)
    at += 8 * count
    timestamps = unpack_from(f"<{count}q", frame, at)
    at += 8 * count
    sizes = unpack_from(f"<{3 * count}i", frame, at)
    at += 12 * count
    keys, values, came = sizes[:count], sizes[count : 2 * count], sizes[2 * count :]
    # Where each part ends: key, value and headers of one record after the other.
    parts = [0] * (3 * count)
    parts[::3], parts[1::3], parts[2::3] = _lengths(keys), _lengths(values), came
    ends = list(accumulate(parts, initial=at))
    begins, tails = ends[::3], ends[3::3]
    key_ends, value_ends = ends[1::3], ends[2::3]
    return Batch(
        values=[
            None if size < 0 else frame[a:b] for size, a, b in zip(values, key_ends, value_ends, strict=True)
        ],
        keys=[None if size < 0 else frame[a:b] for size, a, b in zip(keys, begins, key_ends, strict=False)],
        topics=[names[0]] * count if topics == 1 else [names[n] for n in topic],
        partitions=list(partitions),
        offsets=list(offsets),
        timestamps=timestamps,
        headers=_HeadersIn(frame, came, tails) if any(came) else [None] * count,
        now_ms=now_ms,
    )


def _lengths(sizes: Sequence[int]) -> Sequence[int]:
    """How many bytes stand there; of null none."""
    return [max(size, 0) for size in sizes] if -1 in sizes else sizes


def _headers(frame: bytes, at: int, size: int) -> Headers:
    found: list[tuple[str, bytes | None]] = []
    end = at + size
    while at < end:
        name, at = _part(frame, at)
        value, at = _part(frame, at)
        found.append(((name or b"").decode("utf-8", "replace"), value))
    return found


def _part(frame: bytes, at: int) -> tuple[bytes | None, int]:
    (size,) = _SIZE.unpack_from(frame, at)
    at += 4
    return (None, at) if size < 0 else (frame[at : at + size], at + size)


def _names(frame: bytes, count: int, at: int) -> tuple[list[str], int]:
    names = []
    for _ in range(count):
        (size,) = unpack_from("<H", frame, at)
        names.append(frame[at + 2 : at + 2 + size].decode())
        at += 2 + size
    return names, at


class Effects:
    """What becomes of a frame of records, put together in the order in which it is written.

    Attributes:
        events: Events of the source that are done.
        bytes: Bytes of the records so far.
    """

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self._topics: dict[str, int] = {}
        self._topic: list[int] = []
        self._partitions: list[int] = []
        self._timestamps: list[int] = []
        self._sizes: tuple[list[int], list[int], list[int]] = ([], [], [])
        self._parts: list[bytes] = []
        self._stores: dict[str, int] = {}
        self._changes: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
        self._changed: list[bytes] = []

    def __len__(self) -> int:
        """How many records."""
        return len(self._topic)

    def add(self, topic: str, keys: Sequence[Key], values: Sequence[bytes]) -> None:
        """Records without headers, each to the partition that its key says."""
        count = len(values)
        self._topic += [self._number(topic)] * count
        self._partitions += [-1] * count
        self._timestamps += [-1] * count
        named = [key.encode("utf-8", "surrogatepass") if key.__class__ is str else key for key in keys]
        key_sizes, value_sizes, header_sizes = self._sizes
        key_sizes += [-1 if key is None else len(key) for key in named]
        sizes = list(map(len, values))
        value_sizes += sizes
        header_sizes += [0] * count
        both: list[Any] = [b""] * (2 * count)
        both[::2] = [key or b"" for key in named]
        both[1::2] = values
        self._parts += both
        self.bytes += sum(sizes)

    def put(
        self,
        topic: str,
        key: Key,
        value: Value,
        headers: Headers | None = None,
        partition: int = -1,
        timestamp: int = -1,
    ) -> None:
        """One record."""
        named = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        told = b"".join(_told(headers)) if headers else b""
        self._topic.append(self._number(topic))
        self._partitions.append(partition)
        self._timestamps.append(timestamp)
        for column, part in zip(self._sizes, (named, value, told), strict=True):
            column.append(-1 if part is None else len(part))
        self._parts += [named or b"", value or b"", told]
        self.bytes += len(value or b"")

    def keep(self, store: str, partition: int, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Changes of a store of one partition, as its changelog has them."""
        number = self._stores.setdefault(store, len(self._stores))
        stores, partitions, key_sizes, value_sizes = self._changes
        stores += [number] * len(changes)
        partitions += [partition] * len(changes)
        for key, value in changes:
            key_sizes.append(len(key))
            value_sizes.append(-1 if value is None else len(value))
            self._changed += (key, value or b"")

    def frame(self) -> bytes:
        """All of it."""
        count, changed = len(self._topic), len(self._changes[0])
        head = _EFFECTS.pack(
            ord("E"), VERSION, len(self._topics), count, len(self._stores), 0, changed, self.events
        )
        names = [_name(name) for name in (*self._topics, *self._stores)]
        columns = [
            pack(f"<{count}H", *self._topic),
            pack(f"<{count}i", *self._partitions),
            pack(f"<{count}q", *self._timestamps),
            *(pack(f"<{count}i", *column) for column in self._sizes),
            pack(f"<{changed}H", *self._changes[0]),
            *(pack(f"<{changed}i", *column) for column in self._changes[1:]),
        ]
        return b"".join((head, *names, *columns, *self._parts, *self._changed))

    def _number(self, topic: str) -> int:
        return self._topics.setdefault(topic, len(self._topics))


def _told(headers: Headers) -> Iterator[bytes]:
    for name, value in headers:
        content = name.encode("utf-8", "surrogatepass")
        yield _SIZE.pack(len(content))
        yield content
        yield _SIZE.pack(-1 if value is None else len(value))
        yield value or b""


def _name(text: str) -> bytes:
    content = text.encode()
    return pack("<H", len(content)) + content


def fetch(store: str, partition: int, keys: Sequence[bytes]) -> bytes:
    """Asks for all that is stored of some keys.

    Args:
        keys: The state's keys as their changelog records' keys begin: UTF-8 and NUL.
    """
    head = _FETCH.pack(ord("F"), VERSION, len(name := store.encode())) + name
    sizes = pack(f"<{len(keys) + 2}i", partition, len(keys), *map(len, keys))
    return b"".join((head, sizes, *keys))


def fetched(frame: bytes) -> list[list[tuple[int, bytes]]]:
    """What is stored of each key that was asked for: slots with their values, by slot."""
    kind, version, _, count = _STATE.unpack_from(frame)
    if kind != ord("S") or version != VERSION:
        raise ValueError(f"a frame of kind {kind} and version {version} is none of state")
    counts = unpack_from(f"<{count}i", frame, _STATE.size)
    at = _STATE.size + 4 * count
    (total,) = _SIZE.unpack_from(frame, at)
    slots = unpack_from(f"<{total}H", frame, at + 4)
    at += 4 + 2 * total
    sizes = unpack_from(f"<{total}i", frame, at)
    ends = list(accumulate(sizes, initial=at + 4 * total))
    values = [(slot, frame[a:b]) for slot, a, b in zip(slots, ends, ends[1:], strict=False)]
    bounds = list(accumulate(counts, initial=0))
    return [values[a:b] for a, b in pairwise(bounds)]


def walk(store: str, partition: int, most: int) -> bytes:
    """Asks for the next keys of a walk over a store."""
    head = _FETCH.pack(ord("W"), VERSION, len(name := store.encode())) + name
    return head + pack("<2i", partition, most)


def walked(frame: bytes) -> list[bytes]:
    """Those keys, each with its NUL."""
    kind, version, _, count = _STATE.unpack_from(frame)
    if kind != ord("N") or version != VERSION:
        raise ValueError(f"a frame of kind {kind} and version {version} is none of names")
    sizes = unpack_from(f"<{count}i", frame, _STATE.size)
    bounds = accumulate(sizes, initial=_STATE.size + 4 * count)
    return [frame[a:b] for a, b in pairwise(bounds)]


def dropped(frame: bytes) -> Sequence[int]:
    """The numbers of the partitions that are another task's now."""
    count = _DROP.unpack_from(frame)[3]
    return unpack_from(f"<{count}i", frame, _DROP.size)
