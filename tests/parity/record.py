"""What a host wrote, as lines that are the same on every host.

Left out is what a clock, a broker or a host may say in its own way: `decided_at`, `latency_ms`, `deadline` of
a request (whether there is one stays), the partition of a record without a key, what state a host keeps and
where, and requests to models that engines call themselves. The policy version stands as `policy` where it is
the document's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Written", "lines"]

HOP = "pointsman-hop"
LETTERS = "dead-letters"


@dataclass(frozen=True, slots=True)
class Written:
    """One record that a host wrote.

    Attributes:
        topic: Without the pipeline's name: `decisions`, `by.of_device`.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def lines(records: Iterable[Written], policy: str, field: str = "") -> list[str]:
    """A line a record: each topic's by key and source partition, those of one in their order.

    Args:
        records: In the order of each partition.
        policy: The document's version.
        field: That of the event by which decisions are in order, where it is not the key.
    """
    found = []
    for one in records:
        said = told(one)
        text = json.dumps(said, ensure_ascii=False).replace(json.dumps(policy), '"policy"')
        # Records without a key have no order among them, letters none at all.
        loose = one.key is None or one.topic == LETTERS
        place = (one.topic, one.key is not None, one.key or b"", source_of(said["value"], field))
        found.append((*place, text if loose else "", text))
    found.sort(key=lambda one: one[:-1])
    return [one[-1] for one in found]


def source_of(value: Any, field: str = "") -> tuple[str, int, str]:
    """Where the event of a decision or request came from, and its value of `field`."""
    source = value.get("source") if isinstance(value, dict) else None
    return (source["topic"], source["partition"], value["event"].get(field, "")) if source else ("", 0, "")


def told(record: Written) -> dict[str, Any]:
    """One record."""
    said: dict[str, Any] = {"topic": record.topic}
    if record.key is not None:
        said |= {"key": text_of(record.key), "partition": record.partition}
    elif record.topic.startswith("requests."):
        said["partition"] = record.partition
    if record.headers:
        said["headers"] = [[name, header(name, value)] for name, value in record.headers]
    whole = record.topic.startswith((LETTERS, "by."))
    said["value"] = text_of(record.value) if whole else same(json.loads(record.value or b"null"))
    return said


def header(name: str, value: bytes | None) -> Any:
    """A header's value."""
    if name == HOP and value is not None:
        return same(msgspec.msgpack.decode(value, ext_hook=lambda code, data: [code, bytes(data).hex()]))
    if name == "pointsman-attempts" and value is not None:
        return same(json.loads(value))
    return text_of(value)


def same(value: Any) -> Any:
    """`value` without what no two runs share; floats to six decimals, as processors differ."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, bytes):
        return text_of(value)
    if isinstance(value, list):
        return [same(inner) for inner in value]
    if isinstance(value, dict):
        return {
            name: name if name == "deadline" and inner is not None else same(inner)
            for name, inner in value.items()
            if name not in ("decided_at", "latency_ms")
        }
    return value


def text_of(content: bytes | None) -> Any:
    """Bytes as JSON can hold them."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
