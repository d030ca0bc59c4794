"""Rules of what is remembered by key: where windows are right, and what delivery means for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pointsman.base.errors import Finding
from pointsman.cel.program import Program
from pointsman.enrich.window import AggregateKeys, WindowKeys
from pointsman.model.base import models as protocols
from pointsman.spec.components import remote
from pointsman.spec.document import Document, Enrich, place_of
from pointsman.spec.keys import Source
from pointsman.spec.node import Node
from pointsman.spec.read import Reader
from pointsman.spec.rules import programs
from pointsman.state.window import BARE

__all__ = ["delivery_warnings", "hops", "partition_tables", "window_keys"]


def hops(enrich: Sequence[Enrich], source: Source) -> list[int]:
    """The numbers of the fields before which events go on by another key, through a topic of their own."""
    found, key = [], source.key
    for number, spec in enumerate(enrich):
        window = _window(spec)
        if window is not None and window.repartition and _moved(window, key):
            found.append(number)
            key = window.key
    return found


def _window(spec: Enrich) -> WindowKeys | None:
    window = getattr(spec.config, "window", None)
    return window if isinstance(window, WindowKeys) else None


def _moved(window: WindowKeys, key: Program | None) -> bool:
    """Whether a window goes by another key than events do; `key` None is the Kafka key."""
    if key is None:
        return window.key.reads != {"key"} or window.key.text.strip() != "key"
    return not _same(window.key, key)


def window_keys(
    reader: Reader, members: Mapping[str, Node], source: Source, enrich: Sequence[Enrich]
) -> None:
    """All events of a window's key reach one worker; what is counted can be false."""
    key, before = source.key, ""
    for spec in enrich:
        window = _window(spec)
        if window is None:
            continue
        node = members["enrich"].members[spec.field].members["window"]
        if _moved(window, key) and not window.repartition:
            _elsewhere(reader, node, window, source, key, before)
        elif _moved(window, key):
            key, before = window.key, spec.field
        _counted(reader, node, window)
        given = node.members.get("aggregate")
        for name, one in (window.aggregate or {}).items():
            if given is not None and isinstance(one, AggregateKeys):
                _counted(reader, given.members[name], one)


def _elsewhere(
    reader: Reader, node: Node, window: WindowKeys, source: Source, key: Program | None, before: str
) -> None:
    """Tells of a window by another key than events go by where it stands.

    Args:
        key: What they go by there.
        before: The field that sent them there; empty where none has.
    """
    own = "key, the Kafka key" if key is None else key.text
    whose, what = "the source", f"write key: {own}"
    if before:
        whose = f"'{before}', by which events go from there on"
        if not _moved(window, source.key):
            what = f"put it before '{before}'"
    reader.tell(
        node.members["key"],
        "E243",
        f"the window's key is not that of {whose}, so no worker sees all events of one {window.key.shown()}",
        f"{what}, or add repartition: true",
    )


def partition_tables(
    reader: Reader,
    members: Mapping[str, Node],
    source: Source,
    tables: Mapping[str, Any],
    enrich: Sequence[Enrich],
    last: Sequence[Any],
) -> None:
    """A table of the source's partitions is read before events go on by another key, and not behind that.

    Args:
        last: What is evaluated when all fields are there.
    """
    own = [name for name, config in tables.items() if getattr(config, "scope", None) == "partition"]
    behind = hops(enrich, source)
    if not own or not behind:
        return
    first = enrich[behind[0]].field
    why = f"events have gone on by another key ('{first}'), so its rows may be another worker's"
    for number, spec in enumerate(enrich[behind[0] :]):
        read = _roots(spec.config) | {str(getattr(spec.config, "lookup", ""))}
        window = _window(spec)
        if number == 0 and window is not None:  # its key is found before
            read = _roots([getattr(window, one.name) for one in fields(window) if one.name != "key"])
        for name in (table for table in own if table in read):
            node = members["enrich"].keys[spec.field]
            hint = f"put the field before '{first}', or give the table scope: global"
            reader.tell(node, "E247", f"'{name}' has scope: partition, and {why}", hint)
    for name in sorted(_roots(*last).intersection(own)):
        node = members["tables"].members[name].members["scope"]
        hint = f"read it in a field before '{first}', or use scope: global"
        message = f"'{name}' is read by routes, models or write, when {why}"
        reader.tell(node, "E247", message, hint)


def _roots(*configs: Any) -> set[str]:
    """The names that expressions inside configs begin with."""
    return {path.partition(".")[0] for one in programs(configs) for path in one.reads}


def _counted(reader: Reader, node: Node, keys: AggregateKeys) -> None:
    for kind in BARE:
        program = getattr(keys, kind)
        if program is not None and program.result == "bool" and program.text.strip() != "true":
            reader.tell(
                node.members[kind],
                "W244",
                f"'{kind}' takes every event where this has a value, whether true or false",
                f"write {kind}: true, and the condition as where",
                "warning",
            )


def delivery_warnings(document: Document, members: Mapping[str, Node]) -> list[Finding]:
    """What delivery costs, or does not promise, where something is remembered."""
    remembers = document.source.dedupe is not None or any(spec.remembers for spec in document.enrich)
    if not remembers:
        return []
    if document.delivery == "at_least_once":
        message = "what is remembered may count events twice after a crash, or lose some"
        hint = "leave delivery out: it is exactly_once then"
        return [members["delivery"].place.finding("W245", message, hint, "warning")]
    far = [name for name, spec in document.models.items() if remote(protocols.get(spec.protocol))]
    if not far:
        return []
    place = place_of(members["models"], (far[0],))
    named = f"'{far[0]}'" + (f" and {len(far) - 1} more" if len(far) > 1 else "")
    message = f"with exactly_once a slow answer of {named} delays the events behind it in its partition"
    return [place.finding("W246", message, "give its routes a deadline, or more partitions", "warning")]


def _same(one: Program, other: Program) -> bool:
    """Whether two expressions are the same, however their fields are written."""
    if one.text.strip() == other.text.strip():
        return True
    names = {path: f"s{number}" for number, path in enumerate(sorted(one.reads))}
    return (
        one.reads == other.reads
        and one.inline(names).fast == other.inline(names).fast
        and not (one.inline(names).constants.keys() ^ other.inline(names).constants.keys())
    )
