"""The command `pointsman`: its parts in the order people think of them, and what becomes of an error."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from pointsman import __version__
from pointsman.base.errors import EnvironmentFault, Misfit, PointsmanError, SpecError
from pointsman.cli import broker, dead_letters, state
from pointsman.cli.bench import bench
from pointsman.cli.check import check
from pointsman.cli.demo import demo
from pointsman.cli.explain import explain
from pointsman.cli.init import init
from pointsman.cli.models import models
from pointsman.cli.run import run
from pointsman.cli.send import send
from pointsman.cli.tail import tail
from pointsman.cli.test import run_cases
from pointsman.cli.topics import topics

__all__ = ["app", "main"]

WRITE, RUN, DATA = "Write a pipeline", "Run it", "Look at data"

app = typer.Typer(
    name="pointsman",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"pointsman {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Chooses a machine-learning model for every event of a Kafka topic, as one YAML document says.

    Begin with: pointsman init mine
    """


app.command(rich_help_panel=WRITE)(init)
app.command(rich_help_panel=WRITE)(check)
app.command(rich_help_panel=WRITE)(explain)
app.command("test", rich_help_panel=WRITE)(run_cases)
app.command(rich_help_panel=RUN)(run)
app.command(rich_help_panel=RUN)(demo)
app.add_typer(broker.app, name="broker", rich_help_panel=RUN)
app.command(rich_help_panel=RUN)(models)
app.add_typer(state.app, name="state", rich_help_panel=RUN)
app.command(rich_help_panel=RUN)(bench)
app.command(rich_help_panel=DATA)(topics)
app.command(rich_help_panel=DATA)(send)
app.command(rich_help_panel=DATA)(tail)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=DATA)


def _report(error: PointsmanError) -> None:
    """Writes what went wrong for people, without a traceback."""
    if isinstance(error, SpecError):
        from pointsman.spec.show import show

        print(show(error.findings), file=sys.stderr)
    elif isinstance(error, Misfit):
        print(
            f"pointsman: {error.code}: {error}" + (f"; {error.hint}" if error.hint else ""), file=sys.stderr
        )
    else:
        print(f"pointsman: {error}", file=sys.stderr)


def _unwritable(error: OSError) -> None:
    """Says which file or stream the system refused, and keeps Python from trying the output once more."""
    where = error.filename or "the output"
    hints = {errno.ENOSPC: "; free some space and run it again", errno.EACCES: "; check its permissions"}
    said = f"pointsman: {where}: {error.strerror or error}{hints.get(error.errno or 0, '')}"
    with contextlib.suppress(OSError):
        print(said, file=sys.stderr)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def main() -> None:
    """Runs the command line; exits 0 done, 1 errors found, 2 wrong usage, 3 environment, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show is no reason to stop
    try:
        app(prog_name="pointsman")
    except PointsmanError as error:
        _report(error)
        sys.exit(error.exit_code)
    except OSError as error:
        _unwritable(error)
        sys.exit(EnvironmentFault.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
