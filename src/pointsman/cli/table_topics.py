"""The topics that tables are made of, as `check --live` looks at them and `topics` shows and creates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pointsman.base.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pointsman.base.errors import Finding
    from pointsman.bus.topics import Topic
    from pointsman.spec.document import Document

__all__ = ["read_topics", "settings", "table_topics"]

_SECONDS = 5.0


def read_topics(document: Document) -> dict[str, str]:
    """The topic that each table reads, by the table's name; without those that the pipeline itself writes."""
    from pointsman.spec.tables.base import DECISIONS

    found = {
        name: getattr(config, "topic", None) or getattr(config, "from_", None)
        for name, config in document.tables.items()
    }
    return {name: topic for name, topic in found.items() if topic is not None and topic != DECISIONS}


def settings(config: Any) -> dict[str, str]:
    """The settings with which the topic of a table is created."""
    return {"cleanup.policy": "compact"} if hasattr(config, "topic") else {}


def table_topics(document: Document) -> list[Finding]:
    """What is wrong with the topics of tables: not there, not compacted, not as wide as the source."""
    from pointsman.bus.topics import Topics

    if not read_topics(document):
        return []
    try:
        cluster = Topics(document.kafka, seconds=_SECONDS)
        found = cluster.describe([*read_topics(document).values(), document.source.topics[0]])
    except EnvironmentFault as fault:
        return [document.where(("kafka",)).finding("E501", f"kafka: {fault}", "", "error")]
    return list(_findings(document, found))


def _findings(document: Document, found: Mapping[str, Topic | None]) -> Iterator[Finding]:
    source = document.source.topics[0]
    wanted = found[source]

    def tell(code: str, message: str, hint: str, severity: Literal["error", "warning"] = "error") -> Finding:
        place = document.where(("tables", name, "topic" if compacted else "from"))
        return place.finding(code, f"table '{name}': {message}", hint, severity)

    for name, topic in read_topics(document).items():
        config, one = document.tables[name], found[topic]
        compacted = hasattr(config, "topic")
        if one is None:
            yield tell("E425", f"there is no topic {topic}", "'pointsman topics --create' creates it")
            continue
        if compacted and "compact" not in one.config.get("cleanup.policy", "compact"):
            yield tell(
                "W426",
                f"{topic} is not compacted, so that rows vanish when they are old, or all versions are read",
                "set cleanup.policy=compact on it",
                "warning",
            )
        own = getattr(config, "scope", "global") == "partition"
        if own and wanted is not None and one.partitions != wanted.partitions:
            yield tell(
                "E427",
                f"{topic} has {one.partitions} partitions, and {source} has {wanted.partitions}",
                "give it as many, keyed and partitioned like the source, or use scope: global",
            )
