"""`pointsman check`: is the document right, and if not, where and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pointsman.base.errors import Finding, Misfit, MissingExtra
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Engine, Overlays, Pipeline, existing
from pointsman.cli.screen import paint, prints_aside, say, write_json

if TYPE_CHECKING:
    from pointsman.spec.document import Document

__all__ = ["check", "opened"]


Live = Annotated[bool, typer.Option("--live", help="Also ask every server whether it fits the document.")]

On = Annotated[
    Engine, typer.Option("--on", help="Who is to run it: what an engine cannot run is an error then.")
]
PATIENCE = 5.0
"""Seconds that a server may take to say how it is."""


def check(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    overlay: Overlays = None,
    live: Live = False,
    on: On = Engine.native,
    as_json: AsJson = False,
) -> None:
    """Says everything that is wrong with a pipeline, and where.

    Reads the document, compiles every expression, opens the models and reads the tables; needs no broker.
    With --live it also asks each server whether it is ready and what its model takes, and compares names,
    types and shapes with the inputs; it says of which models it could not. With --on it also says what that
    engine cannot run. Exits 1 where there are errors;
    warnings alone exit 0.

    Examples:

      pointsman check

      pointsman check pipeline.yaml --overlay prod.yaml --json

      pointsman check --live

      pointsman check --on flink
    """
    from pointsman import spec
    from pointsman.runner.hosts import unfit

    document, findings = spec.examine(existing(pipeline), overlay or ())
    notes: dict[str, str] = {}
    hops = [] if document is None else _hops(document)
    if document is not None:
        with prints_aside():
            findings = [*findings, *opened(document, notes if live else None), *unfit(document, on.value)]
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        told = {"errors": errors, "findings": [dataclasses.asdict(finding) for finding in findings]}
        told |= {"hops": hops} if hops else {}
        write_json(told | {"not_compared": notes} if live else told, indent=2)
    else:
        _say(pipeline, findings, errors, notes, hops)
    if errors:
        raise typer.Exit(1)


def opened(document: Document, notes: dict[str, str] | None = None) -> list[Finding]:
    """What making clients and decoder, opening models, reading tables and importing hooks finds.

    Args:
        document: Where all that is named.
        notes: Where servers are asked too: takes what is known of models whose inputs could not be compared.
    """
    from pointsman.base import hooks
    from pointsman.base.clock import SystemClock
    from pointsman.bus.client import try_properties
    from pointsman.cli.schemas import schema_findings
    from pointsman.cli.table_topics import table_topics
    from pointsman.codec.base import codecs
    from pointsman.model.base import models as protocols
    from pointsman.model.opening import open_model
    from pointsman.runner.tables import Tables
    from pointsman.spec.components import remote

    found = _remote(document, notes)
    if notes is not None:
        found += table_topics(document) + schema_findings(document)

    def attempt(what: str, path: tuple[str | int, ...], open_it: Callable[[], object]) -> None:
        try:
            opened = open_it()
        except Misfit as misfit:
            place = document.where((*path, *misfit.path))
            found.append(place.finding(misfit.code, f"{what}: {misfit}", misfit.hint))
            return
        if hasattr(opened, "close"):
            opened.close()

    attempt("kafka", (), partial(try_properties, document.kafka, document.profile))
    source = document.source
    decoder = codecs.get(source.format).decoder
    attempt("source", ("source",), partial(decoder, (), source.fields, source.registry))
    for name, spec in document.models.items():
        if not remote(protocols.get(spec.protocol)):
            attempt(f"model '{name}'", ("models", name), partial(open_model, name, spec, document.folder))
    tables = Tables(document, SystemClock())
    found += tables.findings
    tables.close()
    for number, route in enumerate(document.routes):
        if route.python is not None:
            load = partial(hooks.load, route.python, document.folder)
            attempt(f"route '{route.name}'", ("routes", number, "when", "python"), load)
    return found


def _remote(document: Document, notes: dict[str, str] | None) -> list[Finding]:
    """What opening the endpoints and remote models finds, and what their servers say, as `opened`."""
    import asyncio

    from pointsman.cli.servers import Servers, differences, is_remote, unbatched, uncompared

    if not document.endpoints and not any(map(is_remote, document.models.values())):
        return []
    servers = Servers(document)

    async def ask() -> list[Finding]:
        servers.open()
        try:
            for broken in servers.broken.values():
                if isinstance(broken, MissingExtra):
                    raise broken
            found = [*servers.findings, *unbatched(document, servers)]
            if notes is None:
                return found
            answers = await servers.ask(PATIENCE)
            notes.update(uncompared(answers))
            return [*found, *differences(document, servers, answers)]
        finally:
            await servers.close()

    return asyncio.run(ask())


def _hops(document: Document) -> list[str]:
    """The topics through which events go on by another key, in order."""
    from pointsman.runner.stages import by_topics

    return list(by_topics(document).values())


def _say(
    pipeline: Path,
    findings: Sequence[Finding],
    errors: int,
    notes: Mapping[str, str],
    hops: Sequence[str],
) -> None:
    from pointsman.spec.show import show, summary

    if findings:
        say(show(findings))
        say()
    for name, note in notes.items():
        say(f"model '{name}' is ready as far as can be told: {note}; its inputs were not compared")
    if hops:
        times = "once" if len(hops) == 1 else f"{len(hops)} times"
        say(f"events go on by another key {times}, through {' and '.join(hops)}")
    colours = paint()
    counts = summary(findings)
    if errors:
        say(colours(f"{pipeline}: {counts}", "bad"))
    else:
        say(colours(f"{pipeline}: no errors{f', {counts}' if counts else ''}", "good"))
