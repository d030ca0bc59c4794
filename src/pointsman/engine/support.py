"""What generated code calls: conversions, error notes and the rare paths, kept out of the generated text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

from pointsman.base.errors import EvalError, InvalidInput, RecordError
from pointsman.base.records import Batch, Headers, SourceRecord
from pointsman.cel.functions.time import parse_timestamp
from pointsman.cel.program import describe
from pointsman.cel.values import MISSING, Mistyped, Timestamp
from pointsman.codec.base import EventDecoder
from pointsman.engine.policy import encode

__all__ = [
    "Errors",
    "age_of",
    "answered",
    "bool_of",
    "headers_of",
    "id_of",
    "input_error",
    "json_key",
    "known",
    "present",
    "record_time",
    "redriven",
    "text_key",
    "text_of",
    "time_of",
    "unit_of",
    "unpacked",
    "unusable",
    "verdict",
    "with_more",
]


FIRST_ERRORS = 5
ID_HEADER = "pointsman-id"
CE_ID, CE_TIME = "ce_id", "ce_time"


class Errors:
    """What erred for one event: the first five by name, and how many in all."""

    __slots__ = ("first", "names")

    def __init__(self) -> None:
        self.first: list[dict[str, str]] = []
        self.names: list[str] = []

    @property
    def total(self) -> int:
        """How many parts erred."""
        return len(self.names)

    def note(self, at: str, error: BaseException) -> Errors:
        """Adds the error of the part called `at`."""
        self.names.append(at)
        if len(self.first) < FIRST_ERRORS:
            self.first.append({"at": at, "error": describe(error)})
        return self


def bool_of(value: Any) -> bool:
    """A condition's value; raises EvalError unless it is a boolean."""
    if value is True or value is False:
        return bool(value)
    raise EvalError(f"the condition gave {_kind(value)}, not a boolean")


def verdict(answers: Any) -> bool:
    """The one answer of a Python condition asked about one event."""
    if not isinstance(answers, Sequence) or len(answers) != 1:
        raise EvalError("the Python condition must return a list with one boolean for each event")
    return bool_of(answers[0])


def _kind(value: Any) -> str:
    return "null" if value is None else f"a value of type {type(value).__name__}"


def id_of(value: Any) -> str:
    """An event's id: a string, or a whole number's digits; anything else raises EvalError."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    raise EvalError(f"an id is a string, not {_kind(value)}")


def time_of(value: Any) -> int:
    """Milliseconds since 1970 of a timestamp or of epoch milliseconds; anything else raises EvalError."""
    if value.__class__ is int:
        found = value
    elif isinstance(value, Timestamp):
        found = value.ns // 1_000_000
    elif value.__class__ is float and math.isfinite(value):
        found = int(value)
    elif value.__class__ is str:
        found = parse_timestamp(value).ns // 1_000_000
    else:
        raise EvalError(f"a time is a timestamp or epoch milliseconds, not {_kind(value)}")
    if not _FIRST_MS <= found <= _LAST_MS:
        raise EvalError("the time is outside the years 1 to 9999")
    return int(found)


_FIRST_MS = -62_135_596_800_000
_LAST_MS = 253_402_300_799_999


def record_time(batch: Batch, index: int, headers: Headers | None) -> int:
    """A CloudEvent's `time`, else the record's own timestamp; where it has none, when it was polled."""
    for name, value in headers or ():
        if name == CE_TIME and value:
            try:
                return time_of(parse_timestamp(value.decode()))
            except (EvalError, UnicodeDecodeError):
                break
    found = batch.timestamps[index]
    return batch.now_ms if found == -1 else found


def age_of(batch: Batch, index: int, when: int) -> int:
    """How many milliseconds an event dated `when` is older than its record; 0 where it is not."""
    found = batch.timestamps[index]
    return max(0, (batch.now_ms if found == -1 else found) - when)


def text_key(key: bytes | None) -> Any:
    """The Kafka key as expressions see it: a string, bytes where it is not UTF-8, null without one."""
    if key is None:
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key


def json_key(key: bytes | None) -> bytes:
    """The Kafka key as it stands in a record."""
    if key is None:
        return b"null"
    try:
        return encode(key.decode())
    except UnicodeDecodeError:
        return encode({"base64": key})


def headers_of(headers: Headers | None) -> dict[str, Any]:
    """Headers as expressions see them: the last of a name wins; strings where they are UTF-8."""
    return {name: text_key(value) for name, value in headers or ()}


def known(headers: Headers | None) -> str | None:
    """The id that a redriven record brings with it, else that of a CloudEvent."""
    found = None
    for name, value in headers or ():
        if value and (name == ID_HEADER or (name == CE_ID and found is None)):
            try:
                found = value.decode()
            except UnicodeDecodeError:
                continue
            if name == ID_HEADER:
                return found
    return found


def unpacked(decoder: EventDecoder, record: SourceRecord) -> tuple[bytes | None, Headers | None]:
    """The value that a record's event is read from, and the event's headers; raises RecordError."""
    value, headers = record.value, record.headers
    found = decoder.open(value, headers) if decoder.open is not None and value is not None else None
    return (value, headers) if found is None else found


def redriven(headers: Headers) -> bool:
    """Whether a record was sent again: its event has changed what is remembered before."""
    return any(name == ID_HEADER and value for name, value in headers)


def answered(ask: Callable[[list[Any]], Sequence[Any]], rows: list[Any]) -> Iterator[Any]:
    """A value, or the exception that stands for it, for each row that is asked about."""
    try:
        values = ask(rows) if rows else ()
        if len(values) != len(rows):
            raise EvalError(f"{len(values)} values came back for {len(rows)} events; return one for each")
    except Exception as error:
        return repeat(error)
    return iter(values)


def present(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The map of those names that have a value; a mistyped one stands as it was sent."""
    return {
        name: value.value if value.__class__ is Mistyped else value
        for name, value in zip(names, values, strict=True)
        if value is not MISSING
    }


def text_of(key: str | bytes | None) -> str | None:
    """A record's key for a Python function: a string; bytes that are not UTF-8 are escaped."""
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else key


def unit_of(key: str | bytes | None, ident: str) -> str:
    """What sticks where no unit is named: the record's key, else the event's id."""
    return text_of(key) or ident


def unusable(raw: bytes | None, most: int) -> RecordError:
    """Why a value is not even decoded."""
    if raw is None:
        return RecordError("empty", "the record has no value (a tombstone)")
    return RecordError("too_large", f"the value has {len(raw)} bytes, limits.bytes allows {most}")


def input_error(model: str, error: BaseException) -> InvalidInput:
    """Why a model cannot be given this event."""
    return InvalidInput(f"the inputs of {model} have no value: {describe(error)}")


def with_more(opened: bytes, unit: str | None, errors: Errors | None) -> bytes:
    """A decision with what only some events have to say."""
    parts = [opened]
    if unit is not None:
        parts += (b',"unit":', encode(unit))
    if errors is not None:
        parts += (b',"errors":', encode(errors.first), b',"errors_total":%d' % errors.total)
    parts.append(b"}")
    return b"".join(parts)
