"""The cases of `cases/`: what is sent, and what every host has to write of it.

    NAME/pipeline.yaml    the document, with Python models beside it; or `document:` in case.yaml
    NAME/tables.jsonl     records of tables' topics, sent before everything else
    NAME/events.jsonl     events
    NAME/wanted.jsonl     records that are written, each topic's by key, those of one key in their order
    NAME/case.yaml        what else there is to say, as `Case` tells

A line of the first two is an object: `value` (an object, a text as it stands, `{"base64": …}` or null), and
where they matter `key`, `headers`, `topic`, `partition`, `timestamp`. Left out, the topic is the document's
first, the partition that of the key as Kafka's Java clients place it, without a key 0, and the timestamp that
of the line before and a second, beginning at 2025-10-09T08:53:20Z; `now` is when it is sent.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from parity.murmur import partition_of
from pointsman.spec import load

__all__ = ["CASES", "Case", "Sent", "all_cases", "read_case"]

ROOT = Path(__file__).parents[2]
CASES = ROOT / "cases"
BEGIN_MS = 1_760_000_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """One record as it is produced.

    Attributes:
        timestamp: Milliseconds since 1970.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: That of its folder.
        folder: Where it stands.
        document: The document's path.
        topics: The topics that it reads, the source's first.
        partitions: How many each of them has.
        served: Whether its models behind a wire are there; else what is compared of them are the requests.
        restart: After so many events the host ends, and goes on when it is started anew.
        order: The event's field by which decisions are in order, where it is not the key.
        largest: The largest record that the topic of decisions takes, where that is not the broker's.
        registry: Schemas that a registry has, the first one with id 1.
    """

    name: str
    folder: Path
    document: Path
    topics: Sequence[str]
    partitions: int = 3
    served: bool = True
    restart: int | None = None
    order: str = ""
    largest: int | None = None
    registry: Sequence[dict[str, Any]] = field(default=())

    def sent(self, part: str) -> list[Sent]:
        """The records of a part: `tables` or `events`."""
        path = self.folder / f"{part}.jsonl"
        start = BEGIN_MS - 60_000 if part == "tables" else BEGIN_MS
        return list(self._sent(path.read_text(encoding="utf-8"), start)) if path.exists() else []

    def _sent(self, text: str, when: int) -> Iterator[Sent]:
        for line in text.splitlines():
            said = json.loads(line)
            key = content(said.get("key"))
            when = said.get("timestamp", when)
            if when == "now":
                when = int(time.time() * 1000)
            yield Sent(
                said.get("topic", self.topics[0]),
                said.get("partition", 0 if key is None else partition_of(key, self.partitions)),
                key,
                content(said["value"]),
                [(name, content(value)) for name, value in said.get("headers", ())],
                when,
            )
            when += 1000

    @property
    def wanted(self) -> Path:
        """What every host has to write."""
        return self.folder / "wanted.jsonl"


def content(said: Any) -> bytes | None:
    """The bytes that a line stands for."""
    if said is None:
        return None
    if isinstance(said, str):
        return said.encode()
    if isinstance(said, dict) and said.keys() == {"base64"}:
        return base64.b64decode(said["base64"])
    return json.dumps(said, ensure_ascii=False).encode()


@cache
def read_case(name: str) -> Case:
    """The case of that name."""
    folder = CASES / name
    path = folder / "case.yaml"
    said = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    document = ROOT / said.pop("document") if "document" in said else folder / "pipeline.yaml"
    loaded = load(document)
    tables = [getattr(one, "topic", None) or getattr(one, "from_", None) for one in loaded.tables.values()]
    topics = [*loaded.source.topics, *filter(None, tables)]
    return Case(name, folder, document, topics, **said)


@cache
def all_cases() -> tuple[str, ...]:
    """The names of all cases."""
    return tuple(sorted(path.name for path in CASES.iterdir() if path.is_dir()))
