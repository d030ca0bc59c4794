"""Everything this package raises on purpose, split by what the caller does next.

PointsmanError
    SpecError            the document is wrong; carries every finding
    UsageError           the command was called wrongly
    EnvironmentFault     the surroundings do not allow it: no broker, no permission
        MissingExtra         an optional package is not installed
    Misfit               what the document names (Python, a model, a table) is not so; becomes a finding
    RecordError          one record cannot be used; it goes to dead letters
    EvalError            an expression has no value for this event
        LateEvent            a window is past it
    ModelError           a model did not answer
        ModelTimeout         not in time
        ModelRefused         it could not be reached, or answered that it will not
        ModelOverloaded      it, or the cap in front of it, is full
        InvalidInput         this event's inputs do not fit the model
        InvalidReply         what it answered does not fit the mapping
        ModelInternal        it raised, or answered with a fault of its own
    StateError           the state store failed; the runner stops before it commits
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = [
    "EnvironmentFault",
    "EvalError",
    "Finding",
    "InvalidInput",
    "InvalidReply",
    "LateEvent",
    "Misfit",
    "MissingExtra",
    "ModelError",
    "ModelInternal",
    "ModelOverloaded",
    "ModelRefused",
    "ModelTimeout",
    "PointsmanError",
    "RecordError",
    "SpecError",
    "StateError",
    "UsageError",
]


class PointsmanError(Exception):
    """The root: catching it catches whatever this package raises on purpose."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake or warning at one place of a document.

    Attributes:
        file: The file's name as the user gave it.
        line: From 1.
        column: From 1, in characters.
        length: Characters to underline, at least 1.
        code: Stable code with a page in the docs, such as `E203`.
        severity: `error` stops the run; `warning` does not.
        message: What was found, in one sentence without a final stop.
        hint: What to do about it; empty where there is nothing to add.
    """

    file: str
    line: int
    column: int
    length: int
    code: str
    severity: Literal["error", "warning"]
    message: str
    hint: str = ""


class SpecError(PointsmanError):
    """The document is wrong.

    Attributes:
        findings: Every mistake found, in the order of the file.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(
            "\n".join(
                f"{f.file}:{f.line}:{f.column}: {f.severity} {f.code}: {f.message}" for f in self.findings
            )
        )


class UsageError(PointsmanError):
    """The command was called wrongly: an unknown name, two options that exclude each other."""

    exit_code = 2


class EnvironmentFault(PointsmanError):
    """The surroundings do not allow it: no broker, no permission, no free disk."""

    exit_code = 3


class MissingExtra(EnvironmentFault):
    """A feature needs an optional package; the message is the line that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'pointsman[{extra}]'")


class Misfit(PointsmanError):
    """What the document names is not as it says: a Python name, a model's file, a table.

    Whoever knows where the name stands in the document turns it into a Finding.

    Attributes:
        code: The finding's stable code, such as `E411`.
        hint: What to do about it; empty where there is nothing to add.
        path: Keys below the component that is at fault, such as `("inputs", "amount")`.
    """

    def __init__(self, code: str, message: str, hint: str = "", path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.path = path


class RecordError(PointsmanError):
    """One record cannot be used; it goes to dead letters with its original bytes.

    Attributes:
        reason: A member of the closed list in `base.reasons`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EvalError(PointsmanError):
    """An expression has no value for this event: a missing field, a wrong type, an overflow."""


class LateEvent(EvalError):
    """The event is older than what a window still takes."""


class ModelError(PointsmanError):
    """A model did not answer.

    Attributes:
        failure: The failure class, as it stands in `result.attempts[].class`.
    """

    failure: ClassVar[str] = "internal"


class ModelTimeout(ModelError):
    """No answer within the attempt's timeout or the event's deadline."""

    failure = "timeout"


class ModelRefused(ModelError):
    """It could not be reached, or answered that it will not serve this."""

    failure = "refused"


class ModelOverloaded(ModelError):
    """The model, or the cap in front of it, is full.

    Attributes:
        retry_after: Seconds after which the server asked to be tried again; None where it did not say.
    """

    failure = "overloaded"

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidInput(ModelError):
    """This event's inputs do not fit the model; trying again cannot help."""

    failure = "invalid_input"


class InvalidReply(ModelError):
    """The answer does not fit the mapping: wrong length, shape, type or not JSON."""

    failure = "invalid_reply"


class ModelInternal(ModelError):
    """The model raised, or answered with a fault of its own."""

    failure = "internal"


class StateError(PointsmanError):
    """The state store failed; the runner stops before it commits."""
