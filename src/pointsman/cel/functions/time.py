"""Timestamps and durations: parsing, printing, and their parts in a time zone.

References:
    RFC 3339; google/protobuf/timestamp.proto and duration.proto for the ranges.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions.faults import no_overload
from pointsman.cel.values import Duration, Timestamp

__all__ = ["FUNCTIONS", "duration", "timestamp"]

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime.datetime(1970, 1, 1)

_TIMESTAMP: Final = re.compile(
    r"(\d{4,5})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def parse_timestamp(text: str) -> Timestamp:
    """Returns the moment that an RFC 3339 text names; digits below a nanosecond are dropped."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise EvalError(f"'{text[:40]}' is not a timestamp such as 2026-01-31T23:59:59Z")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not 1 <= year <= 9999:
        raise EvalError("timestamp out of range: years 1 to 9999")
    try:
        moment = datetime.datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        raise EvalError(f"'{text[:40]}' is not a timestamp: no such date or time") from None
    if second > 60:
        raise EvalError(f"'{text[:40]}' is not a timestamp: no such second")
    seconds = _seconds(moment) + (second - min(second, 59))
    if found[8]:
        offset = int(found[9]) * 3600 + int(found[10]) * 60
        seconds -= offset if found[8] == "+" else -offset
    nanos = int((found[7] or "0")[:9].ljust(9, "0"))
    return Timestamp.checked(seconds * SECOND + nanos)


def _seconds(moment: datetime.datetime) -> int:
    span = moment - _EPOCH
    return span.days * 86_400 + span.seconds


_UNITS: Final = {
    "h": 3600 * SECOND,
    "m": 60 * SECOND,
    "s": SECOND,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ns": 1,
}
_PART: Final = re.compile(r"(\d*)(?:\.(\d*))?(h|ms|m|s|us|µs|μs|ns)", re.ASCII)


def parse_duration(text: str) -> Duration:
    """Returns the span that a text such as `1h30m` or `-1.5s` names."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return Duration(0)
    total = at = 0
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None or not (found[1] or found[2]) or len(found[1]) > 20:
            at = 0
            break
        unit = _UNITS[found[3]]
        fraction = (found[2] or "")[:20]
        total += int(found[1] or 0) * unit
        total += int(fraction or 0) * unit // 10 ** len(fraction)
        at = found.end()
    if at == 0:
        raise EvalError(f"'{text[:40]}' is not a duration such as 1h30m or 1.5s")
    return Duration.checked(sign * total)


def timestamp(value: Any) -> Timestamp:
    """Returns `timestamp(value)`: of RFC 3339 text, or of seconds since the epoch."""
    if value.__class__ is Timestamp:
        return value
    if value.__class__ is str:
        return parse_timestamp(value)
    if value.__class__ is int:
        return Timestamp.checked(value * SECOND)
    raise no_overload("timestamp()", value)


def duration(value: Any) -> Duration:
    """Returns `duration(value)`: of text such as `1h30m`."""
    if value.__class__ is Duration:
        return value
    if value.__class__ is str:
        return parse_duration(value)
    raise no_overload("duration()", value)


_OFFSET: Final = re.compile(r"([+-]?)(\d\d?):(\d\d)", re.ASCII)


@lru_cache(maxsize=256)
def _zone(name: str) -> datetime.tzinfo:
    found = _OFFSET.fullmatch(name)
    if found is not None:
        minutes = int(found[2]) * 60 + int(found[3])
        if minutes < 24 * 60:
            span = datetime.timedelta(minutes=-minutes if found[1] == "-" else minutes)
            return datetime.timezone(span)
    else:
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise EvalError(f"'{name[:40]}' is not a time zone such as Asia/Singapore or +08:00")


def _civil(moment: Timestamp, zone: Any) -> datetime.datetime:
    """Returns the wall clock's reading; the sub-second part is left out."""
    seconds = moment.ns // SECOND
    if zone is None:
        return _EPOCH + datetime.timedelta(seconds=seconds)
    if zone.__class__ is not str:
        raise no_overload("a time zone", zone)
    utc = (_EPOCH + datetime.timedelta(seconds=seconds)).replace(tzinfo=datetime.UTC)
    try:
        return utc.astimezone(_zone(zone))
    except OverflowError:  # a zone can lead out of the years 1 to 9999, which Python does not have
        raise _Outside from None


class _Outside(Exception):
    """The wall clock's year is 0 or 10000."""


_CYCLE: Final = 146_097 * 86_400 * SECOND
"""400 years, after which dates and weekdays repeat."""


def _part(name: str, read: Callable[[datetime.datetime], int]) -> Callable[..., int]:
    def get(moment: Any, zone: Any = None) -> int:
        if moment.__class__ is Timestamp:
            try:
                return read(_civil(moment, zone))
            except _Outside:
                shift = 1 if moment.ns < 0 else -1
                shown = read(_civil(Timestamp(moment.ns + shift * _CYCLE), zone))
                return shown - shift * 400 if name == "getFullYear" else shown
        raise no_overload(f"{name}()", moment)

    return get


def _part_or_span(name: str, read: Callable[[datetime.datetime], int], unit: int) -> Callable[..., int]:
    part = _part(name, read)

    def get(moment: Any, zone: Any = None) -> int:
        if moment.__class__ is Duration and zone is None:
            whole = abs(moment.ns) // unit
            return whole if moment.ns >= 0 else -whole
        return part(moment, zone)

    return get


def milliseconds(moment: Any, zone: Any = None) -> int:
    """Returns `getMilliseconds()`: the part below a second, of a timestamp or a duration."""
    if moment.__class__ is Timestamp:
        if zone is not None:
            _civil(moment, zone)
        return int(moment.ns % SECOND // 1_000_000)
    if moment.__class__ is Duration and zone is None:
        part = abs(moment.ns) % SECOND // 1_000_000
        return int(part if moment.ns >= 0 else -part)
    raise no_overload("getMilliseconds()", moment)


FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "timestamp": (timestamp, "timestamp"),
    "duration": (duration, "duration"),
    "getFullYear": (_part("getFullYear", lambda t: t.year), "int"),
    "getMonth": (_part("getMonth", lambda t: t.month - 1), "int"),
    "getDate": (_part("getDate", lambda t: t.day), "int"),
    "getDayOfMonth": (_part("getDayOfMonth", lambda t: t.day - 1), "int"),
    "getDayOfWeek": (_part("getDayOfWeek", lambda t: t.isoweekday() % 7), "int"),
    "getDayOfYear": (_part("getDayOfYear", lambda t: t.timetuple().tm_yday - 1), "int"),
    "getHours": (_part_or_span("getHours", lambda t: t.hour, 3600 * SECOND), "int"),
    "getMinutes": (_part_or_span("getMinutes", lambda t: t.minute, 60 * SECOND), "int"),
    "getSeconds": (_part_or_span("getSeconds", lambda t: t.second, SECOND), "int"),
    "getMilliseconds": (milliseconds, "int"),
}
