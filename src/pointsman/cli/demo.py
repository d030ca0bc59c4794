"""`pointsman demo`: a broker, a pipeline, a stream of events, and where each one went."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pointsman.base.errors import MissingExtra, PointsmanError
from pointsman.cli.init import SCHEMA, schema, template_files, write_files
from pointsman.cli.options import AsJson
from pointsman.cli.screen import Paint, columns, paint, say, warn, write_json

__all__ = ["demo"]

DECISIONS, LETTERS = "payments.decisions", "payments.dead-letters"
SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA}\n".encode()


@dataclass(slots=True)
class Seen:
    """What came out of the pipeline.

    Attributes:
        ways: Decisions by route, model and status.
        letters: Dead letters by reason.
    """

    ways: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to leave the pipeline.")] = Path(
        "pointsman-demo"
    ),
    as_json: AsJson = False,
) -> None:
    """Shows a pipeline at work on a Kafka of its own, and leaves it to edit.

    Needs pip install 'pointsman\\[demo]'. A file that is in DIR already is used as it stands.

    Examples:

      pointsman demo

      pointsman demo my-copy
    """
    if find_spec("onnxruntime") is None:
        raise MissingExtra("The demo", "demo")
    from pointsman.bus.local import LocalBroker

    began = time.monotonic()
    tell: Callable[[str], None] = warn if as_json else say
    colours = paint(sys.stderr if as_json else sys.stdout)
    tell(colours("A pipeline to edit", "title"))
    _leave_files(folder, tell)
    tell(colours("\nA real Apache Kafka, for this demo only", "title"))
    broker = LocalBroker()
    try:
        broker.start(progress=tell)
        tell(f"  up at {broker.bootstrap}")
        run = _runner(folder, broker.bootstrap, tell, quiet=as_json)
        tell(colours("\nEvents into a topic, and the pipeline over it", "title"))
        run("send", "events.jsonl")
        run("run", "--until-idle", "2")
        seen = _read(broker.bootstrap)
        tell(colours("\nWhere they went", "title"))
        tell("\n".join(_table(seen, colours)))
        tell(colours("\nWhat could not be used, or was not answered", "title"))
        run("dead-letters", "list")
    finally:
        broker.stop()
    if as_json:
        _write_json(folder, seen, time.monotonic() - began)
        return
    say(colours("\nWhy the first one went there", "title"))
    run("explain", "--event", "@events.jsonl")
    say(colours("\nYours now", "title"))
    _say_what_next(folder)


def _leave_files(folder: Path, tell: Callable[[str], None]) -> None:
    """Writes what is not there yet."""
    files = {**template_files("payments"), SCHEMA: schema()}
    files["pipeline.yaml"] = SCHEMA_LINE + files["pipeline.yaml"]
    missing = {path: content for path, content in files.items() if not (folder / path).exists()}
    write_files(folder, missing, force=False)
    kept = len(files) - len(missing)
    tell(f"  {folder}/ with {', '.join(path for path in files if not path.startswith('.'))}")
    if kept:
        were = "was" if kept == 1 else "were"
        tell(f"  ({kept} of these files {were} there already: nothing of that is changed)")


def _runner(folder: Path, bootstrap: str, tell: Callable[[str], None], *, quiet: bool) -> Callable[..., None]:
    """Runs a command in `folder` as a person would type it."""

    def run(*arguments: str) -> None:
        tell(f"  $ pointsman {' '.join(arguments)}")
        done = subprocess.run(
            [sys.executable, "-m", "pointsman.cli.main", *arguments],
            cwd=folder,
            env={**os.environ, "KAFKA_BOOTSTRAP": bootstrap},
            stdout=sys.stderr if quiet else None,
            check=False,
        )
        if done.returncode:
            raise PointsmanError(
                f"'pointsman {arguments[0]}' ended with exit code {done.returncode}: see above"
            )

    return run


def _read(bootstrap: str) -> Seen:
    from pointsman.cli import wire
    from pointsman.cli.letters import letter_of

    seen = Seen()
    kafka = {"bootstrap.servers": bootstrap}
    for record in wire.read(kafka, [DECISIONS], wire.Start(), follow=False):
        if record is not None and record.value is not None:
            told = json.loads(record.value)
            decision, result = told["decision"], told["result"]
            seen.ways[decision["route"], decision["model"], result["status"]] += 1
    for record in wire.read(kafka, [LETTERS], wire.Start(), follow=False):
        if record is not None:
            seen.letters[letter_of(record).reason] += 1
    return seen


def _table(seen: Seen, colours: Paint) -> list[str]:
    rows = [["events", "route", "model", "status"]]
    for (route, model, status), count in sorted(seen.ways.items()):
        shown = colours(status, "good" if status == "ok" else "bad")
        rows.append([str(count), route, colours(model, "name"), shown])
    rows += [
        [str(count), "–", "dead letter", colours(reason, "bad")]
        for reason, count in sorted(seen.letters.items())
    ]
    return columns(rows)


def _write_json(folder: Path, seen: Seen, seconds: float) -> None:
    ways = [
        {"route": route, "model": model, "status": status, "events": count}
        for (route, model, status), count in sorted(seen.ways.items())
    ]
    letters = [{"reason": reason, "events": count} for reason, count in sorted(seen.letters.items())]
    write_json(
        {"folder": str(folder), "decisions": ways, "dead_letters": letters, "seconds": round(seconds, 1)}
    )


def _say_what_next(folder: Path) -> None:
    for command, why in (
        (f"cd {folder}", ""),
        ("pointsman check", "after each change of pipeline.yaml"),
        ("pointsman test", "the cases of pipeline_test.yaml"),
        ("pointsman broker start", "a Kafka that stays"),
        ("pointsman send events.jsonl", ""),
        ("pointsman run --until-idle 3", "or without the option, until Ctrl-C"),
        ("pointsman tail --from earliest --until-idle 2", ""),
        ("pointsman dead-letters list", ""),
        ("pointsman broker stop", ""),
    ):
        say(f"  {command.ljust(46)} {'# ' + why if why else ''}".rstrip())
