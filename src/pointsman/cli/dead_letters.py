"""`pointsman dead-letters`: what could not be used, why, and sending it again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pointsman.base.errors import UsageError
from pointsman.cli import wire
from pointsman.cli.letters import PREFIX, Letter, letter_of, text_or_base64
from pointsman.cli.options import (
    DEFAULT_PIPELINE,
    AsJson,
    Assume,
    Overlays,
    Pipeline,
    existing,
    pipeline_and_rest,
)
from pointsman.cli.screen import ask, clean, columns, is_terminal, jsonish, paint, say, warn, write_json
from pointsman.cli.tail import clock_time

if TYPE_CHECKING:
    from pointsman.spec.document import Document

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Looks at the events that could not be used, and sends them again.",
    rich_markup_mode="rich",
)

_BYTES_A_LINE = 16


@app.command("list")
def list_letters(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    reason: Annotated[
        str | None, typer.Option(help="Only those with this reason, such as undecodable.")
    ] = None,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Lists the dead letters, oldest first.

    Examples:

      pointsman dead-letters list

      pointsman dead-letters list payments.yaml --reason undecodable --json
    """
    found = [one for one in _letters(_load(pipeline, overlay)) if reason in (None, one.reason)]
    if as_json:
        write_json([letter.summary() for letter in found])
        return
    colours = paint()
    rows = [
        [
            colours(clock_time(one.timestamp), "faint"),
            clean(one.id),
            colours(one.reason, "bad"),
            one.place,
            clean(one.message),
        ]
        for one in found
    ]
    for line in columns(rows, indent=""):
        say(line)
    say(f"{len(found)} dead letter{'' if len(found) == 1 else 's'}")


@app.command()
def show(
    arguments: Annotated[list[str], typer.Argument(metavar="[PIPELINE] ID")],
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Shows the dead letters of one event: why, its headers, its bytes.

    Examples:

      pointsman dead-letters show t-91

      pointsman dead-letters show payments.yaml transactions-3-1729 --json
    """
    pipeline, rest = pipeline_and_rest(arguments)
    if len(rest) != 1:
        raise UsageError("show takes one ID: pointsman dead-letters show [PIPELINE] ID")
    found = [one for one in _letters(_load(pipeline, overlay)) if one.id == rest[0]]
    if not found:
        raise UsageError(_no_such(rest[0]))
    if as_json:
        write_json([letter.whole() for letter in found])
        return
    for letter in found:
        say("\n".join(_sheet(letter)))


def _no_such(identity: str) -> str:
    return f"there is no dead letter with the id '{identity}': 'pointsman dead-letters list' shows all"


def _sheet(letter: Letter) -> list[str]:
    """One letter in full."""
    rows = [
        ("id", letter.id),
        ("reason", letter.reason),
        ("message", letter.message),
        ("source", letter.place),
    ]
    rows += [("attempt", jsonish(attempt)) for attempt in letter.attempts]
    rows.append(("key", _shown(letter.key)))
    rows += [(f"header {name}", _shown(value)) for name, value in letter.headers]
    rows = [(clean(name), clean(value)) for name, value in rows]
    return [*columns(rows, indent=""), "value", *_body(letter.value)]


def _shown(content: bytes | None) -> str:
    found = text_or_base64(content)
    return "none" if found is None else found if isinstance(found, str) else f"base64 {found['base64']}"


def _body(value: bytes | None) -> list[str]:
    """The value as text, or as hexadecimal where it is not UTF-8."""
    if value is None:
        return ["  none (a tombstone)"]
    try:
        return [f"  {clean(line)}" for line in value.decode().splitlines()] or ["  empty"]
    except UnicodeDecodeError:
        pieces = [value[i : i + _BYTES_A_LINE] for i in range(0, len(value), _BYTES_A_LINE)]
        return [
            f"  {i * _BYTES_A_LINE:08x}  {piece.hex(' ').ljust(3 * _BYTES_A_LINE)} {_printable(piece)}"
            for i, piece in enumerate(pieces)
        ]


def _printable(piece: bytes) -> str:
    return "".join(chr(one) if 32 <= one < 127 else "." for one in piece)


@app.command()
def redrive(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[PIPELINE] ID")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    reason: Annotated[str | None, typer.Option(help="All with this reason, such as model_failed.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    yes: Assume = False,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Sends events again to the topic they came from.

    Key, value, headers and time are as they came; the id is kept.
    An event with several letters is sent once. The letters stay where they are.

    Examples:

      pointsman dead-letters redrive t-91 t-92

      pointsman dead-letters redrive payments.yaml --reason model_failed --dry-run
    """
    pipeline, ids = pipeline_and_rest(arguments or [])
    if (bool(ids), everything, reason is not None).count(True) != 1:
        raise UsageError("say which to redrive: IDs, --all, or --reason REASON")
    document = _load(pipeline, overlay)
    chosen = _chosen(_letters(document), ids, reason)
    for one in chosen:
        if one.why_not:
            warn(f"{one.id} is left out: {one.why_not}")
    chosen = [one for one in chosen if not one.why_not]
    if dry_run or not chosen or not _agreed(chosen, asks=not yes and not as_json):
        _report(chosen, 0, "", as_json)
        return
    with wire.Sender(document.kafka) as sender:
        for one in chosen:
            identity = (f"{PREFIX}id", one.id.encode())
            when = max(0, one.source.get("timestamp", 0))
            sender.send(one.source["topic"], one.value, one.key, [*one.headers, identity], when)
    _report(chosen, len(chosen) - sender.failed, sender.first_error, as_json)
    if sender.failed:
        raise typer.Exit(1)


def _chosen(letters: Iterable[Letter], ids: Sequence[str], reason: str | None) -> list[Letter]:
    """The last letter of each event that is asked for."""
    last = {one.id: one for one in letters}
    for identity in ids:
        if identity not in last:
            raise UsageError(_no_such(identity))
    return [one for one in last.values() if one.id in ids or (not ids and reason in (None, one.reason))]


def _agreed(chosen: Sequence[Letter], *, asks: bool) -> bool:
    """Asks a person; a program that did not say --yes is taken at its word."""
    if not asks or not is_terminal(sys.stdin):
        return True
    topics = sorted({one.source["topic"] for one in chosen})
    return ask(
        f"Send {len(chosen)} event{'s' if len(chosen) > 1 else ''} to {', '.join(topics)}?", "no"
    ).lower() in ("y", "yes")


def _report(chosen: Sequence[Letter], sent: int, error: str, as_json: bool) -> None:
    if as_json:
        write_json({"chosen": [one.summary() for one in chosen], "sent": sent, "error": error})
        return
    for line in columns(
        [[clean(one.id), one.reason, f"→ {one.source['topic']}"] for one in chosen], indent=""
    ):
        say(line)
    say(f"{sent} of {len(chosen)} sent" + (f"; the first error: {error}" if error else ""))


def _load(pipeline: Path, overlay: list[Path] | None) -> Document:
    from pointsman.spec import load

    return load(existing(pipeline), overlay or ())


def _letters(document: Document) -> list[Letter]:
    """Every dead letter, oldest first."""
    records = wire.read(document.kafka, [document.write.dead_letters], wire.Start(), follow=False)
    return sorted((letter_of(one) for one in records if one is not None), key=lambda one: one.timestamp)
