"""`pointsman topics`: the topics of a pipeline, what they hold, and who needs which right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Overlays, Pipeline, existing
from pointsman.cli.screen import Paint, columns, paint, say, write_json
from pointsman.cli.table_topics import read_topics, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pointsman.bus.rights import Plan, Right
    from pointsman.bus.topics import Topic
    from pointsman.spec.document import Document

__all__ = ["topics"]


def topics(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    create: Annotated[bool, typer.Option("--create", help="Create those that are missing.")] = False,
    partitions: Annotated[
        int, typer.Option(min=1, help="Partitions of a source topic that --create creates.")
    ] = 8,
    split: Annotated[
        bool, typer.Option("--split", help="With the topics of requests of a split deployment.")
    ] = False,
    acls: Annotated[bool, typer.Option("--acls", help="Print the rights that each command needs.")] = False,
    principal: Annotated[str, typer.Option(help="Whom --acls is for.")] = "User:pointsman",
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Shows the topics of a pipeline: partitions, records, and how far the pipeline is behind.

    `run` creates the topics that it writes; the source topics are yours, or --create makes them. The topics
    of requests of a split deployment are shown where they exist, and those that lack with --split.

    Examples:

      pointsman topics

      pointsman topics payments.yaml --create --partitions 12

      pointsman topics --acls --principal User:payments
    """
    document = _load(pipeline, overlay)
    if acls:
        _show_rights(document, principal, as_json)
        return
    from pointsman.bus.topics import Topics

    cluster = Topics(document.kafka)
    requests = _requests(document)
    if not split:
        there = cluster.seen(requests)
        requests = {name: role for name, role in requests.items() if name in there}
    roles = {**_roles(document), **requests}
    created = _create(cluster, document, roles, partitions) if create else []
    found = cluster.describe(roles)
    behind: dict[str, int] = {}
    for row in cluster.lag(_group(document), [*document.source.topics, *_onward(document)]):
        behind[row.topic] = behind.get(row.topic, 0) + row.lag
    rows = [_row(name, role, found[name], behind) for name, role in roles.items()]
    if as_json:
        write_json({"bootstrap": cluster.address, "topics": rows, "created": created})
        return
    for line in _table(rows, paint()):
        say(line)
    for name in created:
        say(f"created {name}")
    if any(row["partitions"] is None for row in rows):
        say("'pointsman topics --create' creates what is missing")


def _load(pipeline: Path, overlay: list[Path] | None) -> Document:
    from pointsman.spec import load

    return load(existing(pipeline), overlay or ())


def _group(document: Document) -> str:
    return document.kafka.get("group.id", document.pipeline)


def _roles(document: Document) -> dict[str, str]:
    """Each topic of the pipeline and what it is for."""
    roles = dict.fromkeys(document.source.topics, "source")
    write = document.write
    roles |= {write.decisions: "decisions", write.dead_letters: "dead letters"}
    more = {write.results: "results", write.enriched: "enriched events"}
    roles |= {name: role for name, role in more.items() if name is not None}
    tables = {topic: f"table {name}" for name, topic in read_topics(document).items()}
    return {**tables, **roles, **_onward(document), **_changelogs(document)}


def _onward(document: Document) -> dict[str, str]:
    """The topics through which events go on by another key, and to which field."""
    from pointsman.runner.stages import by_topics

    return {topic: f"events on the way to {field}" for field, topic in by_topics(document).items()}


def _changelogs(document: Document) -> dict[str, str]:
    """The topics that keep what fields remember, and whose they are."""
    from pointsman.engine.build import stores_of
    from pointsman.runner.changes import changelog

    return {changelog(document, spec.name): f"state of {spec.field}" for spec in stores_of(document)}


def _requests(document: Document) -> dict[str, str]:
    """The topics of requests that a split deployment has, and whose they are."""
    from pointsman.runner.plans import picked
    from pointsman.runner.requests import request_topic

    return {request_topic(document, model): f"requests of {model} (split)" for model in picked(document)}


def _plans(document: Document) -> list[Plan]:
    """What each model that is picked needs of Kafka, those that stand in for it included."""
    from pointsman.bus.rights import Plan
    from pointsman.runner.plans import asked, picked
    from pointsman.runner.requests import request_topic
    from pointsman.runner.start import group_of

    plans = []
    for model in picked(document):
        configs = [document.models[name].config for name in asked(document, model)]
        behind: list[Any] = [one for one in configs if hasattr(one, "kafka")]
        sends = tuple(one.kafka for one in behind)
        replies = tuple(one.reply for one in behind if one.reply is not None)
        plans.append(Plan(model, request_topic(document, model), group_of(document, model), sends, replies))
    return plans


def _own_tables(document: Document) -> list[str]:
    """The topic of decisions where a table is derived from it."""
    from pointsman.spec.tables.base import DECISIONS

    read = any(getattr(config, "from_", None) == DECISIONS for config in document.tables.values())
    return [document.write.decisions] if read else []


_WRITTEN = ("decisions", "dead letters", "results", "enriched events")


def _create(cluster: Any, document: Document, roles: Iterable[str], partitions: int) -> list[str]:
    """Creates missing source topics, then the others with as many partitions as the sources have."""
    from pointsman.runner.stages import BY_TOPIC

    missing = [name for name, topic in cluster.describe(document.source.topics).items() if topic is None]
    created = [name for name in missing if cluster.create(name, partitions)]
    count = cluster.require_sources(document.source.topics)
    read = {topic: settings(document.tables[name]) for name, topic in read_topics(document).items()}
    kept, onward = _changelogs(document), _onward(document)
    others = {*document.source.topics, *read, *kept, *onward}
    created += cluster.ensure_derived([name for name in roles if name not in others], count)
    created += cluster.ensure_derived(onward, count, BY_TOPIC)
    created += [name for name in kept if cluster.create_changelog(name, count)]
    missing = [name for name, topic in cluster.describe(read).items() if topic is None]
    return [*created, *(name for name in missing if cluster.create(name, count, read[name]))]


def _row(name: str, role: str, topic: Topic | None, behind: Mapping[str, int]) -> dict[str, Any]:
    row: dict[str, Any] = {"topic": name, "role": role, "partitions": None, "records": None, "lag": None}
    if topic is not None:
        row |= {"partitions": topic.partitions, "records": topic.records, "lag": behind.get(name)}
        row["differs"] = _differences(topic) if role in _WRITTEN else []
    return row


def _differences(topic: Topic) -> list[str]:
    """What of a topic that somebody else made is not as Pointsman would have made it."""
    from pointsman.bus.topics import DERIVED

    shown = ((name, topic.config.get(name), wanted) for name, wanted in DERIVED.items())
    return [
        f"{name} is {value}, not {wanted}" for name, value, wanted in shown if value not in (None, wanted)
    ]


def _table(rows: Sequence[Mapping[str, Any]], colours: Paint) -> list[str]:
    head = [colours(title, "title") for title in ("topic", "for", "partitions", "records", "lag", "")]
    lines = [head]
    for row in rows:
        if row["partitions"] is None:
            lines.append([colours(row["topic"], "name"), row["role"], colours("missing", "bad")])
            continue
        numbers = [str(row["partitions"]), f"{row['records']:,}"]
        lag = "" if row["lag"] is None else f"{row['lag']:,}"
        notes = colours("; ".join(row["differs"]), "warn")
        lines.append([colours(row["topic"], "name"), row["role"], *numbers, lag, notes])
    return columns(lines, indent="")


def _show_rights(document: Document, principal: str, as_json: bool) -> None:
    from pointsman.bus.rights import rights
    from pointsman.bus.rights_once import rights_of_state

    plans = _plans(document)
    needed: Sequence[Right] = rights(
        group=_group(document),
        sources=document.source.topics,
        decisions=document.write.decisions,
        dead_letters=document.write.dead_letters,
        results=document.write.results,
        enriched=document.write.enriched,
        tables=(*read_topics(document).values(), *_own_tables(document)),
        plans=plans,
    )
    more = rights_of_state(
        pipeline=document.pipeline,
        changelogs=list(_changelogs(document)),
        plans=plans,
        onward=list(_onward(document)),
        transactions=document.delivery == "exactly_once",
    )
    roles = dict.fromkeys(right.role for right in (*needed, *more))
    needed = [right for role in roles for right in (*needed, *more) if right.role == role]
    if as_json:
        write_json(
            [
                {
                    "role": right.role,
                    "resource": right.resource,
                    "name": right.name,
                    "operations": list(right.operations),
                    "command": right.command(principal),
                }
                for right in needed
            ]
        )
        return
    colours = paint()
    role = ""
    for right in needed:
        if right.role != role:
            role = right.role
            say(colours(f"# {role}", "title"))
        say(right.command(principal))
