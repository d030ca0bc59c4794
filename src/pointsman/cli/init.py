"""`pointsman init`: writes a pipeline that works as it stands, to be changed from there."""

from __future__ import annotations

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from pointsman.base.errors import EnvironmentFault, UsageError
from pointsman.cli.options import AsJson, Assume
from pointsman.cli.screen import ask, is_terminal, say, write_json

__all__ = ["SCHEMA", "init", "schema", "template_files", "write_files"]

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
SCHEMA = ".pointsman/pipeline.schema.json"


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")] = Path(),
    name: Annotated[str | None, typer.Option(help="The pipeline's name; the folder's by default.")] = None,
    topic: Annotated[str | None, typer.Option(help="The topic to read; 'transactions' by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    yes: Assume = False,
    as_json: AsJson = False,
) -> None:
    """Writes a working pipeline, its tests and sample events.

    Nothing that exists is overwritten without --force. On a terminal it asks for a name and a topic.

    Examples:

      pointsman init mine

      pointsman init mine --name payments --topic transactions --yes
    """
    default = _name_from(folder)
    if is_terminal() and not yes and not as_json:
        name = name or ask("Name of the pipeline", default)
        topic = topic or ask("Topic to read", "transactions")
    name, topic = name or default, topic or "transactions"
    _refuse_bad_names(name, topic)
    files = {
        path: _personal(path, content, name, topic) for path, content in template_files("starter").items()
    }
    files[SCHEMA] = schema()
    written = write_files(folder, files, force=force)
    if as_json:
        write_json({"folder": str(folder), "pipeline": name, "topic": topic, "files": written})
        return
    _say_what_next(folder, written)


def _name_from(folder: Path) -> str:
    """A pipeline's name made of the folder's."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_") or "pipeline"


def _refuse_bad_names(name: str, topic: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot name a pipeline: use small letters and digits, after the first also '-' and '_'"
        )
    if not TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise UsageError(f"'{topic}' cannot name a topic: use letters, digits, '.', '_' and '-'")


def _personal(path: str, content: bytes, name: str, topic: str) -> bytes:
    """The template's file with the person's own names in it."""
    if path != "pipeline.yaml":
        return content
    return content.replace(b"pipeline: starter\n", f"pipeline: {name}\n".encode()).replace(
        b"topics: [transactions]", f"topics: [{topic}]".encode()
    )


def schema() -> bytes:
    """The JSON Schema of a pipeline document, copied beside it so that editors complete its keys."""
    return resources.files("pointsman").joinpath("schemas", "pipeline.schema.json").read_bytes()


def template_files(template: str) -> dict[str, bytes]:
    """The files of one folder of `templates`, by path within it."""
    return dict(_walk(resources.files("pointsman.cli").joinpath("templates", template), ""))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name in ("__pycache__", ".mypy_cache"):
            continue
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((f"{prefix}{entry.name}", entry.read_bytes()))
    return found


def write_files(folder: Path, files: dict[str, bytes], *, force: bool) -> list[str]:
    """Writes `files` under `folder`; raises UsageError first where one is there, unless `force`."""
    there = [path for path in files if (folder / path).exists()]
    if there and not force:
        raise UsageError(f"{folder / there[0]} is there already: choose another folder, or add --force")
    try:
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    except OSError as error:
        raise EnvironmentFault(f"cannot write to {folder}: {error.strerror or error}") from error
    return list(files)


def _say_what_next(folder: Path, written: list[str]) -> None:
    here = folder.resolve() == Path().resolve()
    say(f"Wrote {', '.join(path for path in written if not path.startswith('.'))} to {folder}")
    say(f"Editors with a YAML language server complete the keys by {folder / SCHEMA}")
    say("Next:")
    for command in (
        *([] if here else [f"cd {folder}"]),
        "pointsman check",
        "pointsman test",
        "pointsman explain --event @events.jsonl",
        "pointsman run --events events.jsonl",
    ):
        say(f"  {command}")
