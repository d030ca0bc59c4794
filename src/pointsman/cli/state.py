"""`pointsman state`: what a pipeline remembers, of all keys together and of one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.base.errors import UsageError
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Overlays, Pipeline, existing
from pointsman.cli.screen import clean, columns, jsonish, paint, say, write_json

if TYPE_CHECKING:
    from pointsman.spec.document import Document

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    help="Shows what a pipeline remembers of earlier events.",
    rich_markup_mode="rich",
)


@app.callback()
def state(context: typer.Context) -> None:
    """Shows what a pipeline remembers of earlier events: its stores, or one key.

    Examples:

      pointsman state

      pointsman state list payments.yaml --json

      pointsman state show --key U8723
    """
    if context.invoked_subcommand is None:
        list_stores()


@app.command("list")
def list_stores(
    pipeline: Pipeline = DEFAULT_PIPELINE, overlay: Overlays = None, as_json: AsJson = False
) -> None:
    """Lists the stores: keys, records and bytes, as committed in the changelogs, which are read whole.

    Examples:

      pointsman state list

      pointsman state list payments.yaml --json
    """
    from pointsman.bus.topics import Topics
    from pointsman.runner.stored import sizes

    document = _load(pipeline, overlay)
    found = sizes(document, Topics(document.kafka))
    if as_json:
        write_json([asdict(one) for one in found])
        return
    if not found:
        say("this pipeline remembers nothing: no field of its enrich: depends on earlier events")
        return
    colours = paint()
    titles = ("field", "changelog", "partitions", "keys", "records", "bytes")
    rows = [[colours(title, "title") for title in titles]]
    for one in found:
        row = [colours(one.field, "name"), one.topic]
        if one.partitions is None:
            rows.append([*row, colours("missing", "bad"), "", "", ""])
        else:
            rows.append([*row, str(one.partitions), f"{one.keys:,}", f"{one.records:,}", f"{one.bytes:,}"])
    for line in columns(rows, indent=""):
        say(line)
    if any(one.partitions is None for one in found):
        say("'pointsman run' or 'pointsman topics --create' creates what is missing")


@app.command()
def show(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    key: Annotated[str, typer.Option(help="Whose state: a user's id, or whatever a window goes by.")] = "",
    field: Annotated[str | None, typer.Option(help="That of one metadata field alone.")] = None,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Shows what is remembered of one key, field by field, as it is committed in the changelogs.

    Examples:

      pointsman state show --key U8723

      pointsman state show payments.yaml --key U8723 --field spend --json
    """
    if not key:
        raise UsageError("--key says whose state to show, such as --key U8723")
    from pointsman.bus.topics import Topics
    from pointsman.runner.stored import look_up

    document = _load(pipeline, overlay)
    fields = [spec.field for spec in document.enrich if spec.remembers]
    if field is not None and field not in fields:
        known = f"those that do are {', '.join(fields)}" if fields else "none of this pipeline does"
        raise UsageError(f"'{field}' is not a field that remembers; {known}")
    found = look_up(document, Topics(document.kafka), key, field)
    if as_json:
        write_json([asdict(one) for one in found])
        return
    colours = paint()
    for one in found:
        say(f"{colours(clean(one.field), 'name')}  partition {one.partition}")
        for line in _told(one.value):
            say(f"  {line}")
    if not found:
        say(f"nothing is remembered of '{clean(key)}'")


def _told(value: Any) -> list[str]:
    """A value's members, one a line."""
    if isinstance(value, dict):
        return [f"{name}: {jsonish(member)}" for name, member in value.items()]
    return [jsonish(value)]


def _load(pipeline: Path, overlay: list[Path] | None) -> Document:
    from pointsman.spec import load

    return load(existing(pipeline), overlay or ())
