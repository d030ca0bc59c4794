"""What flows: a batch of source records in, effects out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

__all__ = ["Batch", "Column", "DeadLetter", "Headers", "SourceRecord"]

Headers = Sequence[tuple[str, bytes | None]]


T_co = TypeVar("T_co", covariant=True)


class Column(Protocol[T_co]):
    """A column that is seldom looked at: a list will do, or something that asks the client when it is."""

    def __getitem__(self, index: int, /) -> T_co:
        """What record `index` has."""

    def __iter__(self) -> Iterator[T_co]:
        """What each record has, in order."""


@dataclass(slots=True)
class Batch:
    """Records of one poll, as columns of equal length; order within each partition is the log's.

    Attributes:
        values: Message values; None is a tombstone.
        keys: Message keys.
        topics: Source topics.
        partitions: Source partitions.
        offsets: Source offsets.
        timestamps: Record timestamps, milliseconds since 1970; -1 where there is none.
        headers: Message headers.
        now_ms: When the batch was polled, milliseconds since 1970.
        polled: The same moment by the clock that deadlines go by, in seconds.
    """

    values: list[bytes | None]
    keys: list[bytes | None]
    topics: list[str]
    partitions: list[int]
    offsets: list[int]
    timestamps: Column[int]
    headers: Column[Headers | None]
    now_ms: int
    polled: float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    def record(self, index: int) -> SourceRecord:
        """Record `index` as it came."""
        return SourceRecord(
            self.values[index],
            self.keys[index],
            self.topics[index],
            self.partitions[index],
            self.offsets[index],
            self.timestamps[index],
            self.headers[index],
        )


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record as it came, for what is rare: dead letters, explain."""

    value: bytes | None
    key: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: Headers | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used, with its bytes as they came.

    Attributes:
        id: The event's id, or `topic-partition-offset`.
        reason: A member of `reasons.DEAD_LETTER_REASONS`.
        message: What was wrong, in a sentence.
        attempts: The model attempts made, as in `result.attempts`.
        redacted: Whether fields of the value were hidden, so that it cannot be sent again.
    """

    record: SourceRecord
    id: str
    reason: str
    message: str
    attempts: Sequence[dict[str, object]] = field(default=())
    redacted: bool = False
