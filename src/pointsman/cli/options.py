"""The arguments and options that several commands share, so that each has one name and one meaning."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pointsman.base.errors import UsageError

__all__ = [
    "DEFAULT_PIPELINE",
    "AsJson",
    "Assume",
    "Engine",
    "Overlays",
    "Pipeline",
    "existing",
    "pipeline_and_rest",
]

DEFAULT_PIPELINE = Path("pipeline.yaml")

Pipeline = Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline's file.")]
Overlays = Annotated[
    list[Path] | None,
    typer.Option("--overlay", metavar="FILE", help="A document merged over it; may be given again."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs instead of text for people.")]
Assume = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; answer yes.")]


class Engine(StrEnum):
    """Who hosts the pipeline."""

    native = "native"
    kafka_streams = "kafka-streams"
    flink = "flink"


def existing(pipeline: Path) -> Path:
    """`pipeline` itself where it is a file; raises UsageError that says how to get one where it is not."""
    if pipeline.is_file():
        return pipeline
    if pipeline == DEFAULT_PIPELINE:
        raise UsageError("there is no pipeline.yaml here: name a file, or make one with 'pointsman init'")
    if pipeline.is_dir():
        raise UsageError(
            f"{pipeline} is a folder: name the pipeline's file, such as {pipeline / 'pipeline.yaml'}"
        )
    raise UsageError(f"{pipeline} does not exist: name a pipeline's file, or make one with 'pointsman init'")


def pipeline_and_rest(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """Splits `[PIPELINE] REST…`: the first argument is the pipeline where it ends with .yaml or .yml."""
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        return Path(arguments[0]), list(arguments[1:])
    return DEFAULT_PIPELINE, list(arguments)
