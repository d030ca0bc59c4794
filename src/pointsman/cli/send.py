"""`pointsman send`: events of a file into a topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pointsman.base.errors import UsageError
from pointsman.cli import reading, wire
from pointsman.cli.options import AsJson, Overlays, existing, pipeline_and_rest
from pointsman.cli.screen import is_terminal, say, warn, write_json

__all__ = ["send"]


@dataclass(slots=True)
class Sent:
    """What a call of `send` did.

    Attributes:
        sent: Events that arrived.
        failed: Events that did not.
        bytes: Of all values.
        seconds: From the first event to the last delivery.
        created: Whether the topic had to be made.
        error: The first failure's text; empty where there was none.
        keyed: How many had the field that keys them.
    """

    topic: str
    sent: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    created: bool = False
    error: str = ""
    keyed: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where events go.

    Attributes:
        config: The client's properties.
        key: The field that keys them.
        source: The format they are read in.
        encode: From an event's JSON to its value; None: that is its value.
    """

    config: dict[str, str]
    topic: str
    key: str | None
    source: str = "json"
    encode: Callable[[bytes], bytes] | None = None


def send(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[PIPELINE] FILE", help="What to send; FILE '-' is standard input.")
    ],
    topic: Annotated[str | None, typer.Option(help="The topic; the pipeline's first by default.")] = None,
    bootstrap: Annotated[
        str | None, typer.Option(help="The broker's address; then no pipeline is read.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="The field that keys the records; source.key by default."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/s", help="Events per second; as fast as it goes by default.")
    ] = None,
    form: Annotated[
        Literal["lines", "csv", "parquet"] | None,
        typer.Option("--format", help="How FILE is read; by its name by default."),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="A schema to register first; by default the newest one of the topic is taken."),
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topic, if it has to be made.")] = 4,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Sends the events of a file to a topic.

    Lines are sent byte for byte, valid or not; rows of CSV and Parquet as JSON objects.
    Where the source names a Schema Registry, each event is written by the topic's schema.
    A missing topic is made.

    Examples:

      pointsman send events.jsonl

      pointsman send payments.yaml events.csv --rate 500/s

      pointsman send avro.yaml events.jsonl --schema transaction.avsc

      pointsman send - --topic t --bootstrap localhost:9092 --key user_id
    """
    pipeline, rest = pipeline_and_rest(arguments)
    if len(rest) != 1:
        raise UsageError(f"send takes one FILE, not {len(rest)}: pointsman send [PIPELINE] FILE")
    path = Path(rest[0])
    per_second = _per_second(rate)
    target = _target(pipeline, overlay, topic, bootstrap, key, schema)
    chosen = form or reading.format_of(path, target.source)
    reading.require(path)
    done = Sent(target.topic, created=wire.ensure_topic(target.config, target.topic, partitions))
    if done.created:
        warn(f"made the topic {target.topic} with {partitions} partition{'s' if partitions > 1 else ''}")
    _send_all(
        reading.values(path, chosen), target, per_second, done, reading.count(path, chosen), quiet=as_json
    )
    _say_how_it_went(done, as_json)
    if target.key and done.sent and not done.keyed:
        warn(f"no event has the field '{target.key}': all were sent without a key")
    if done.failed:
        raise typer.Exit(1)


def _target(
    pipeline: Path,
    overlay: list[Path] | None,
    topic: str | None,
    bootstrap: str | None,
    key: str | None,
    schema: Path | None,
) -> Target:
    if bootstrap is not None:
        if topic is None:
            raise UsageError("--bootstrap needs --topic: without a pipeline nothing else names it")
        if schema is not None:
            raise UsageError("--schema needs a pipeline: its source.registry is where the schema goes")
        return Target({"bootstrap.servers": bootstrap}, topic, key)
    from pointsman.cli.schemas import encoder_of
    from pointsman.spec import load

    document = load(existing(pipeline), overlay or ())
    source = document.source
    named = topic or source.topics[0]
    encode = encoder_of(source, named, schema)
    form = source.format if encode is None else "json"
    return Target(dict(document.kafka), named, key or _plain_field(source.key), form, encode)


def _plain_field(program: Any) -> str | None:
    """The field that `source.key` names, where it is no more than a name."""
    text = getattr(program, "text", "").removeprefix("event.")
    return text if text.isidentifier() else None


def _per_second(rate: str | None) -> float | None:
    """Reads `500/s` or `500`."""
    if rate is None:
        return None
    try:
        found = float(rate.removesuffix("/s"))
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise UsageError(f"--rate is a number of events per second such as 500/s, not '{rate}'")
    return found


def _send_all(
    values: Iterator[bytes], target: Target, rate: float | None, done: Sent, total: int | None, *, quiet: bool
) -> None:
    began = time.monotonic()
    with wire.Sender(target.config) as sender, _progress(total, quiet=quiet) as advance:
        for value in _told(values, done):
            if rate is not None:
                _wait_until(began + done.sent / rate)
            key = reading.field_text(value, target.key) if target.key else None
            if target.encode is not None:
                value = target.encode(value)
            sender.send(target.topic, value, key)
            done.sent += 1
            done.keyed += key is not None
            done.bytes += len(value)
            advance(1)
    done.failed, done.error = sender.failed, sender.first_error
    done.sent -= done.failed
    done.seconds = round(time.monotonic() - began, 3)


def _told(values: Iterator[bytes], done: Sent) -> Iterator[bytes]:
    """The values; where the file turns out to be wrong, the error says what is in the topic already."""
    try:
        yield from values
    except UsageError as error:
        if not done.sent:
            raise
        raise UsageError(f"{error}; the {done.sent:,} events before it were sent") from error


def _wait_until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)


@contextmanager
def _progress(total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while a person watches; else nothing."""
    import sys

    if quiet or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda n: bar.advance(task, n)


def _say_how_it_went(done: Sent, as_json: bool) -> None:
    if as_json:
        write_json(asdict(done))
        return
    speed = f", {done.sent / done.seconds:,.0f}/s" if done.seconds >= 1 and done.sent >= 1000 else ""
    say(f"{done.sent:,} events sent to {done.topic} in {done.seconds:.1f} s{speed}")
    if done.failed:
        warn(f"{done.failed:,} were not delivered; the first error: {done.error}")
