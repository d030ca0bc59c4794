"""Cases on an engine made of dictionaries: the Python half that Flink and Kafka Streams share, without Java.

It takes records in small frames, in any order between partitions, keeps changes of state by store and
partition, and hands back what goes on by another key.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import unpack_from
from typing import Any

from parity.beside import beside
from parity.murmur import partition_of
from parity.record import Written
from parity.stage import Play
from pointsman.runner.framed import Framed, ground_of
from pointsman.runner.stages import by_topics
from pointsman.runner.start import reach
from runner.test_framed import Engine, Record, frame_of

__all__ = ["Frames"]

Place = tuple[str, int]


@dataclass
class _Task:
    """What an engine remembers of one pipeline.

    Attributes:
        taken: Records of the source that were decided, by partition.
        stores: By store and partition.
        onward: Records by other keys that were written so far.
    """

    taken: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    stores: dict[Place, Engine] = field(default_factory=lambda: defaultdict(Engine))
    onward: dict[Place, int] = field(default_factory=lambda: defaultdict(int))

    def fetch(self, frame: bytes) -> bytes:
        """What a store has."""
        (size,) = unpack_from("<H", frame, 2)
        (partition,) = unpack_from("<i", frame, 4 + size)
        return self.stores[frame[4 : 4 + size].decode(), partition].fetch(frame)


class Frames:
    """Frames in this process; models behind a wire are called in it too."""

    name, whole, delivery, engine = "frames", True, None, "flink"

    def __init__(self) -> None:
        self._tasks: dict[str, _Task] = defaultdict(_Task)

    def run(self, plays: Sequence[Play]) -> dict[str, str]:
        """Decides all events that are there."""
        return beside(self._play, plays, 1)

    def _play(self, play: Play) -> None:
        task, draw = self._tasks[play.name], random.Random(play.name)
        ground = ground_of(play.document, reach(play.document), "all")
        framed = Framed.open(play.document, ground, task.fetch, role="all")
        try:
            framed.own(range(play.case.partitions))
            waiting = self._waiting(play, task)
            while places := sorted(place for place, records in waiting.items() if records):
                frame: list[Record] = []
                for place in draw.sample(places, draw.randrange(len(places)) + 1):
                    for _ in range(min(draw.randrange(5) + 1, len(waiting[place]))):
                        frame.append(waiting[place].pop(0))
                        task.taken[place] += 1
                self._effects(play, task, framed.handle(frame_of(frame, int(time.time() * 1000))), waiting)
        finally:
            framed.close()

    def _waiting(self, play: Play, task: _Task) -> dict[Place, list[Record]]:
        """The records of the source that were not decided yet."""
        waiting: dict[Place, list[Record]] = defaultdict(list)
        for one in play.kafka.consume_all(*play.document.source.topics):
            place = one.topic(), one.partition()
            if one.offset() >= task.taken[place]:
                record = one.key(), one.value(), *place, one.offset(), one.timestamp()[1], one.headers()
                waiting[place].append(record)
        return waiting

    def _effects(self, play: Play, task: _Task, frame: bytes, waiting: dict[Place, list[Record]]) -> None:
        """Writes what a frame of effects says."""
        records, changes = effects_of(frame)
        for topic, partition, stamp, key, value, headers in records:
            if partition < 0:
                partition = 0 if key is None else partition_of(key, play.case.partitions)
            if short := play.short(topic):
                play.records.append(Written(short, partition, key, value, headers))
            if topic in by_topics(play.document).values():
                place = topic, partition
                record = key, value, *place, task.onward[place], stamp, headers
                task.onward[place] += 1
                waiting[place].append(record)
        for store, number, name, value in changes:
            kept = task.stores[store, number].records
            if value is None:
                kept.pop(name, None)
            else:
                kept[name] = value


def effects_of(frame: bytes) -> tuple[list[Any], list[Any]]:
    """Records: topic, partition, timestamp, key, value, headers; changes: store, partition, key, value."""
    kind, version, topics, records, stores, _, changed, _ = unpack_from("<BBHiHHii", frame)
    assert (kind, version) == (ord("E"), 1)
    at, names = 20, []
    for _ in range(topics + stores):
        (size,) = unpack_from("<H", frame, at)
        names.append(frame[at + 2 : at + 2 + size].decode())
        at += 2 + size
    columns = []
    shapes = [*((shape, records) for shape in "Hiqiii"), *((shape, changed) for shape in "Hiii")]
    for shape, count in shapes:
        columns.append(unpack_from(f"<{count}{shape}", frame, at))
        at += count * {"H": 2, "i": 4, "q": 8}[shape]
    parts = _Parts(frame, at)
    found = []
    for topic, partition, stamp, *sizes in zip(*columns[:6], strict=True):
        key, value, told = (parts.take(size) for size in sizes)
        found.append((names[topic], partition, stamp, key, value, headers_of(told or b"")))
    kept = [
        (names[topics + store], number, parts.take(key), parts.take(value))
        for store, number, key, value in zip(*columns[6:], strict=True)
    ]
    return found, kept


def headers_of(told: bytes) -> list[tuple[str, bytes | None]]:
    """The headers of a record."""
    parts: list[bytes | None] = []
    at = 0
    while at < len(told):
        (size,) = unpack_from("<i", told, at)
        at += 4
        parts.append(None if size < 0 else told[at : at + size])
        at += max(size, 0)
    return [((name or b"").decode(), value) for name, value in zip(parts[::2], parts[1::2], strict=True)]


class _Parts:
    """What stands one after the other."""

    def __init__(self, frame: bytes, at: int) -> None:
        self._frame = frame
        self._at = at

    def take(self, size: int) -> bytes | None:
        """So many bytes; of null none."""
        if size < 0:
            return None
        self._at += size
        return self._frame[self._at - size : self._at]
