"""`--where`: a CEL condition over a decision record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pointsman.base.errors import EvalError, UsageError
from pointsman.cel import program as cel
from pointsman.cel.problems import ExpressionErrors

__all__ = ["condition"]


def condition(text: str, names: Sequence[str]) -> Callable[[Mapping[str, Any]], bool]:
    """The test `text` makes of a record; a record for which it has no value does not pass.

    Args:
        names: The record's members, which the expression may use.

    Raises:
        UsageError: The expression is wrong; the message shows where.
    """
    try:
        program = cel.compile(text, cel.Scope(dict.fromkeys(names, "dyn")), "bool")
    except ExpressionErrors as errors:
        raise UsageError(_shown(errors, text, names)) from None

    def passes(record: Mapping[str, Any]) -> bool:
        try:
            return program.evaluate(record) is True
        except EvalError:
            return False

    return passes


def _shown(errors: ExpressionErrors, text: str, names: Sequence[str]) -> str:
    """Every mistake with the line it stands in and a caret."""
    lines = ["--where cannot be used:"]
    for problem in errors.problems:
        start = text.rfind("\n", 0, problem.offset) + 1
        line = text[start:].partition("\n")[0]
        caret = " " * (problem.offset - start) + "^" * max(1, min(problem.length, len(line)))
        message, hint = problem.message, problem.hint
        if problem.code == "E301":
            name = text[problem.offset : problem.offset + problem.length].partition(".")[0]
            near = get_close_matches(name, names, 1)
            message = f"'{name}' is not a member of a decision record"
            hint = f"did you mean '{near[0]}'?" if near else f"its members are {', '.join(names)}"
        lines += [f"{problem.code}: {message}", f"  {line}", f"  {caret} {hint}".rstrip()]
    return "\n".join(lines)
