"""`pointsman test`: the cases beside a pipeline, run by the engine that runs the pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.base.errors import EnvironmentFault, UsageError
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Overlays, Pipeline, existing
from pointsman.cli.screen import Paint, columns, jsonish, paint, plain, prints_aside, say, write_json

if TYPE_CHECKING:
    from pointsman.engine.testing import Tried

__all__ = ["cases_of", "run_cases"]


def cases_of(pipeline: Path) -> Path:
    """`NAME_test.yaml` beside `NAME.yaml`."""
    return pipeline.with_name(f"{pipeline.stem}_test{pipeline.suffix}")


@dataclass(frozen=True, slots=True)
class Ran:
    """A case that was run.

    Attributes:
        seconds: How long it took.
    """

    tried: Tried
    seconds: float


def run_cases(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    only: Annotated[
        str | None, typer.Option("-k", metavar="TEXT", help="Only cases whose name holds TEXT.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JUnit report too.")] = None,
    overlay: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Runs the cases of NAME_test.yaml against NAME.yaml, with the engine that `run` uses.

    A case has an event, stubs for models if it wants, and what must hold of the decision.

    Examples:

      pointsman test

      pointsman test payments.yaml -k Singapore --junit report.xml
    """
    with prints_aside():
        ran = list(_run(existing(pipeline), overlay, only))
    failed = sum(not one.tried.passed for one in ran)
    if junit is not None:
        _write_junit(junit, pipeline, ran)
    if as_json:
        write_json({"passed": len(ran) - failed, "failed": failed, "cases": [_as_json(one) for one in ran]})
    else:
        _say(cases_of(pipeline), ran, failed)
    if failed:
        raise typer.Exit(1)


def _run(pipeline: Path, overlay: list[Path] | None, only: str | None) -> Iterator[Ran]:
    from pointsman.cli.workbench import Workbench
    from pointsman.spec import load
    from pointsman.spec.cases import load_cases

    document = load(pipeline, overlay or ())
    path = cases_of(pipeline)
    if not path.is_file():
        raise UsageError(f"{path} does not exist: write the cases of {pipeline.name} there")
    cases = [case for case in load_cases(path, document) if only is None or only in case.name]
    if not cases:
        raise UsageError(
            f"no case of {path} has a name with '{only}' in it" if only else f"{path} holds no case"
        )
    with Workbench(document) as bench:
        for case in cases:
            began = time.monotonic()
            tried = bench.try_case(case)
            yield Ran(tried, time.monotonic() - began)


def _say(path: Path, ran: Sequence[Ran], failed: int) -> None:
    colours = paint()
    say(str(path))
    for one in ran:
        mark = colours("✓", "good") if one.tried.passed else colours("✗", "bad")
        say(f"  {mark} {one.tried.case.name}")
        if not one.tried.passed:
            for line in _told(one, colours):
                say(f"      {line}")
    passed = f"{len(ran) - failed} passed"
    say(colours(f"{passed}, {failed} failed", "bad") if failed else colours(passed, "good"))


def _told(one: Ran, colours: Paint) -> list[str]:
    """What was wanted, what there was, and why."""
    from pointsman.cli.explain_view import route_lines

    rows = [
        [colours(found.path, "name"), f"wanted {_value(found.wanted)}", f"got {_value(found.got)}"]
        for found in one.tried.mismatches
    ]
    letter = one.tried.told.dead_letter
    said = [f"dead letter: {letter['reason']}: {letter['message']}"] if letter else []
    why = route_lines(one.tried.told.routes, colours)
    return [*columns(rows, indent=""), *said, *([colours("why", "title"), *why] if why else [])]


def _value(value: Any) -> str:
    from pointsman.engine.testing import ABSENT

    return "nothing" if value is ABSENT else jsonish(value, limit=80)


def _as_json(one: Ran) -> dict[str, Any]:
    from pointsman.engine.testing import ABSENT

    case = one.tried.case
    found: dict[str, Any] = {"name": case.name, "line": case.line, "passed": one.tried.passed}
    if not one.tried.passed:
        found["mismatches"] = [
            {"path": each.path, "wanted": each.wanted, **({} if each.got is ABSENT else {"got": each.got})}
            for each in one.tried.mismatches
        ]
        found["why"] = one.tried.told.routes
    return found


def _write_junit(path: Path, pipeline: Path, ran: Sequence[Ran]) -> None:
    """The report that build servers read."""
    from xml.etree import ElementTree as Tree

    failed = sum(not one.tried.passed for one in ran)
    suite = Tree.Element(
        "testsuite", name=str(pipeline), tests=str(len(ran)), failures=str(failed), errors="0"
    )
    for one in ran:
        case = Tree.SubElement(
            suite, "testcase", name=one.tried.case.name, classname=pipeline.stem, time=f"{one.seconds:.3f}"
        )
        if not one.tried.passed:
            Tree.SubElement(case, "failure", message="not as wanted").text = "\n".join(_told(one, plain))
    try:
        Tree.ElementTree(suite).write(path, "utf-8", xml_declaration=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}") from error
