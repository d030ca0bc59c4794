"""`pointsman broker`: a real Kafka on this machine, for people without a cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.cli.options import AsJson
from pointsman.cli.screen import columns, paint, say, warn, write_json

if TYPE_CHECKING:
    from pointsman.bus.local.service import Status

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="A real Apache Kafka on this machine: one node, reachable from here only.",
    rich_markup_mode="rich",
)


@app.command()
def start(
    port: Annotated[
        int | None, typer.Option(help="Where clients connect; 9092 or, where it is taken, any free port.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait until it answers.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Starts the broker and leaves it running; where it runs already, says where.

    The first start downloads Apache Kafka, once. Topics live on from one start to the next.

    Examples:

      pointsman broker start

      pointsman broker start --port 19092 --json
    """
    from pointsman.bus.local import service

    _show(service.start(port=port, seconds=wait, progress=warn), as_json)


@app.command()
def stop(
    erase: Annotated[bool, typer.Option("--erase", help="Remove its topics and records too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stops the broker and waits for its end; its topics stay for the next start.

    Examples:

      pointsman broker stop

      pointsman broker stop --erase
    """
    from pointsman.bus.local import service

    stopped = service.stop(erase=erase)
    if as_json:
        write_json({"stopped": stopped, "erased": erase})
        return
    say(
        ("the broker has stopped" if stopped else "no broker was running") + ("; its topics are gone" * erase)
    )


@app.command()
def status(as_json: AsJson = False) -> None:
    """Says whether the broker runs, and where. Exits 0 either way.

    Examples:

      pointsman broker status

      pointsman broker status --json
    """
    from pointsman.bus.local import service

    _show(service.status(), as_json)


def _show(found: Status, as_json: bool) -> None:
    facts = _facts(found)
    if as_json:
        write_json(facts)
        return
    if not found.running:
        say("no broker runs; 'pointsman broker start' starts one")
        return
    colours = paint()
    facts["uptime"] = f"{time.time() - facts.pop('started_at'):.0f} s"
    del facts["running"]
    for line in columns([[colours(name, "faint"), str(value)] for name, value in facts.items()], indent=""):
        say(line)


def _facts(found: Status) -> dict[str, Any]:
    facts: dict[str, Any] = {"running": found.running}
    if found.running and found.state is not None:
        state = found.state
        facts |= {
            "bootstrap": state.bootstrap,
            "kafka": state.kafka,
            "pid": state.pid,
            "java": state.java,
            "started_at": state.started_at,
        }
    return {**facts, "directory": str(found.directory), "log": str(found.log)}
