"""The same client settings for every hand-written contender: those that Pointsman itself uses."""

from __future__ import annotations

from typing import Any

from pointsman.bus.client import client_config

__all__ = ["consumer_config", "producer_config"]


def consumer_config(bootstrap: str, group: str) -> dict[str, Any]:
    """A consumer that starts at the earliest offset and commits by hand."""
    return client_config({"bootstrap.servers": bootstrap, "group.id": group}, "throughput", "consumer") | {
        "auto.offset.reset": "earliest"
    }


def producer_config(bootstrap: str) -> dict[str, Any]:
    """A producer with the same compression, linger and partitioner."""
    return client_config({"bootstrap.servers": bootstrap}, "throughput", "producer")
