"""Compares what a read-committed reader finds with what the oracle wants."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from chaos.oracle import Oracle, Record, Wanted
from chaos.reading import read
from chaos.remembered import differences, same

__all__ = ["Verdict", "committed", "judge"]

Place = tuple[int, int]
"""Partition and offset of a source record."""


@dataclass(slots=True)
class Verdict:
    """How a schedule ended.

    Attributes:
        examples: A few of the differences, in words.
    """

    events: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    state_differences: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing differs."""
        return not (self.lost or self.duplicated or self.wrong or self.state_differences)

    def note(self, text: str) -> None:
        """Keeps an example."""
        if len(self.examples) < 8:
            self.examples.append(text)


def committed(bootstrap: str, group: str, topic: str) -> int:
    """How many events of the source the group has left."""
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "isolation.level": "read_committed",
        "log_level": 0,
    }
    consumer = Consumer(config)
    numbers = consumer.list_topics(topic, timeout=15).topics[topic].partitions
    places = consumer.committed([TopicPartition(topic, n) for n in numbers], timeout=15)
    left = 0
    for place in places:
        first, end = consumer.get_watermark_offsets(place, timeout=15)
        left += end - max(first, place.offset)
    consumer.close()
    return left


def judge(
    bootstrap: str,
    name: str,
    document: Path,
    limits: Mapping[str, int],
    *,
    exactly: bool,
    host: str = "native",
) -> Verdict:
    """What became of every event of the topic `name`, and what is remembered.

    Args:
        document: The pipeline as it was last.
        limits: The limit of each policy version that was in force, by the hash in the records.
        exactly: Whether repeats are faults.
        host: What the workers ran on.
    """
    verdict = Verdict()
    source = [
        Record(m.partition(), m.offset(), m.timestamp()[1], m.value())
        for m in sorted(read(bootstrap, name), key=lambda m: (m.partition(), m.offset()))
    ]
    oracle = Oracle()
    wanted = oracle.judge(source, name)
    verdict.events = len(wanted)
    decisions: dict[Place, list[dict[str, Any]]] = {}
    for message in read(bootstrap, f"{name}.decisions"):
        record = json.loads(message.value())
        place = record["source"]
        decisions.setdefault((place["partition"], place["offset"]), []).append(record)
    letters: Counter[Place] = Counter()
    reasons: dict[Place, str] = {}
    for message in read(bootstrap, f"{name}.dead-letters"):
        headers = {key: (value or b"").decode() for key, value in message.headers() or ()}
        source = json.loads(headers["pointsman-source"])
        place = (source["partition"], source["offset"])
        letters[place] += 1
        reasons[place] = headers["pointsman-reason"].partition(":")[0]
    for place, one in wanted.items():
        found = decisions.get(place, [])
        _decisions(verdict, place, one, found, limits, exactly=exactly)
        _letters(verdict, place, one, found, letters, reasons, exactly=exactly)
    for difference in differences(bootstrap, document, oracle, host) if exactly else ():
        verdict.state_differences += 1
        verdict.note(difference)
    for place in decisions.keys() - wanted.keys():
        verdict.wrong += 1
        verdict.note(f"a decision of no event: {place}")
    return verdict


def _decisions(
    verdict: Verdict, place: Place, one: Wanted, found: list[dict[str, Any]],
    limits: Mapping[str, int], *, exactly: bool,
) -> None:  # fmt: skip
    if one.decided and not found:
        verdict.lost += 1
        verdict.note(f"{place} {one.id} has no decision")
    if exactly and len(found) > 1:
        verdict.duplicated += len(found) - 1
        verdict.note(f"{place} {one.id} is decided {len(found)} times")
    for record in found:
        problem = _problem(one, record, limits, stateful=exactly)
        if problem:
            verdict.wrong += 1
            verdict.note(f"{place} {one.id}: {problem}")


def _letters(
    verdict: Verdict, place: Place, one: Wanted, found: list[dict[str, Any]], letters: Counter[Place],
    reasons: Mapping[Place, str], *, exactly: bool,
) -> None:  # fmt: skip
    """One letter for what cannot be read, and one for what no model answered."""
    failed = any(record["result"]["status"] == "failed" for record in found)
    reason = one.dead or ("model_failed" if failed else None)
    if reason and not letters[place]:
        verdict.lost += 1
        verdict.note(f"{place} {one.id} has no dead letter")
    if exactly and letters[place] > (reason is not None):
        verdict.duplicated += letters[place] - (reason is not None)
        verdict.note(f"{place} has {letters[place]} dead letters")
    if reason and letters[place] and reasons[place] != reason:
        verdict.wrong += 1
        verdict.note(f"{place}: the letter says {reasons[place]}, wanted {reason}")


def _problem(one: Wanted, record: Mapping[str, Any], limits: Mapping[str, int], *, stateful: bool) -> str:
    """What is wrong with a record; empty where nothing is."""
    if record["id"] != one.id or record["event"] != one.event:
        return f"another event: {record['id']}"
    if not stateful:
        return ""
    if not same(record["metadata"], one.metadata):
        return f"metadata {record['metadata']}, wanted {one.metadata}"
    decision = record["decision"]
    limit = limits.get(decision["policy"])
    if limit is None:
        return f"an unknown policy {decision['policy']}"
    if decision["route"] != one.route(limit):
        return f"route {decision['route']}, wanted {one.route(limit)}"
    status = one.status(decision["route"])
    if record["result"]["status"] != status:
        return f"status {record['result']['status']}, wanted {status}"
    return ""
