"""What can be wrong with an expression: every code, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pointsman.base.errors import PointsmanError

__all__ = ["CODES", "ExpressionErrors", "Problem"]

CODES: Final = {
    "E300": "the expression cannot be read: a mistake in its syntax",
    "E301": "a name is neither a field, nor metadata, nor one of the names that always exist",
    "E302": "an operator or function does not take values of these types",
    "E303": "the comparison can never be true: the two types are never equal or ordered",
    "E304": "an operator or word of Python where CEL has another",
    "E305": "the expression is too long or nested too deeply",
    "E306": "a regular expression, time zone, duration or timestamp in the text is not one",
    "E307": "the expression gives a value of another type than is needed here",
    "W308": "the event has no declared field of this name, but one that looks alike",
    "W309": "a field is called like a name that always exists, and the name alone is not the field",
}
"""Code → what it means."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake or warning in an expression's text.

    Attributes:
        offset: Characters before it, from 0.
        length: Characters to underline, at least 1.
        code: A key of `CODES`.
        message: What was found, in one sentence without a final stop.
        hint: What to do about it; empty where there is nothing to add.
        severity: `error`, or `warning` for what may be meant so.
    """

    offset: int
    length: int
    code: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


class ExpressionErrors(PointsmanError):
    """An expression cannot be compiled.

    Attributes:
        text: The expression.
        problems: Every mistake found, in the order of the text.
    """

    def __init__(self, text: str, problems: Sequence[Problem]) -> None:
        self.text = text
        self.problems = tuple(sorted(problems, key=lambda problem: problem.offset))
        super().__init__("; ".join(problem.message for problem in self.problems))
