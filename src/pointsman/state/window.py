"""What a window is: how long, in what sub-buckets, and what is computed over it.

Time is event time, in milliseconds since 1970. It is cut into sub-buckets of `bucket` milliseconds; an event
stands in number `time // bucket`, and at an event of number k a window covers the `buckets` numbers up to k.
A tumbling window is one sub-bucket long. An exact window covers the event times in (time - over, time];
there sub-buckets are but the pieces it is stored in.

An event lands if it is dated later than the newest counted event of its key minus `over`. It sees the window
at its own time, so twice `over` of sub-buckets is kept. They lie in a ring of slots: number k in slot
`k % ring`, and each record says its number, so that nothing needs to be deleted while a key lives.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pointsman.base.errors import EvalError, LateEvent, Misfit
from pointsman.base.keys import key_text
from pointsman.cel.values import MISSING, Mistyped, Optional
from pointsman.state.base import SLOTS

__all__ = ["KINDS", "Aggregate", "See", "Window", "ahead", "has_value", "late", "name_of", "number_of"]

KINDS: Final = (
    "count", "sum", "mean", "min", "max", "std", "last", "rate", "since_last", "distinct", "quantile",
)  # fmt: skip
"""Every aggregate."""

BARE: Final = ("count", "rate", "since_last")
"""Those that are about events rather than values, so that they may stand without an expression."""

SKETCHES: Final = ("distinct", "quantile")
NEVER: Final = -(1 << 62)
"""A time before every event's."""

SPARE_MS: Final = 3_600_000
"""A key is kept for so long beyond twice `over`."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One number over the events of a window.

    Attributes:
        kind: One of KINDS.
        value: The place among the window's values that it is about; None: events, whatever their values.
        name: Its name in the field's map; None where the field is the number itself.
        q: Which quantile, in [0, 1].
    """

    kind: str
    value: int | None = None
    name: str | None = None
    q: float = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """A window's definition.

    Attributes:
        over: Its length in milliseconds.
        aggregates: What is computed; one without a name stands alone.
        values: How many values an event brings.
        bucket: A sub-bucket's length in milliseconds.
        tumbling: Whether windows follow one another, aligned to 1970, instead of ending at each event.
        exact: Whether event times count as they are.
        where: Whether each event says first if it counts.
        include: Whether an event's value counts the event itself.
    """

    over: int
    aggregates: tuple[Aggregate, ...]
    values: int
    bucket: int
    tumbling: bool = False
    exact: bool = False
    where: bool = False
    include: bool = True

    @classmethod
    def of(
        cls,
        over: int,
        aggregates: Sequence[Aggregate],
        values: int,
        *,
        bucket: int | None = None,
        tumbling: bool = False,
        exact: bool = False,
        where: bool = False,
        include: bool = True,
    ) -> Window:
        """A window whose sub-bucket is over/60, if not said otherwise; raises a Misfit where it has too many.

        Args:
            bucket: A sub-bucket's length in milliseconds; None: a sixtieth of `over`.
        """
        width = over if tumbling else max(1, over // 60) if bucket is None else bucket
        made = cls(over, tuple(aggregates), values, width, tumbling, exact, where, include)
        if width > over:
            raise Misfit("E205", "the sub-bucket is longer than the window", "make bucket smaller than over")
        if made.ring * made.parts > SLOTS:
            most = SLOTS // made.parts // 2 - 1
            raise Misfit(
                "E205",
                f"the window would have {made.buckets:,} sub-buckets, of at most {most:,}",
                "make bucket larger",
            )
        return made

    @property
    def buckets(self) -> int:
        """How many sub-buckets it covers."""
        return -(-self.over // self.bucket)

    @property
    def kept(self) -> int:
        """How many sub-buckets, up to that of a key's newest event, can still be seen by an event."""
        return 2 * self.buckets

    @property
    def ring(self) -> int:
        """How many sub-buckets have a place of their own."""
        return 2 * self.buckets + 2

    @property
    def parts(self) -> int:
        """How many records a sub-bucket has: one, and one for each sketch; any number in an exact window."""
        return 1 if self.exact else 1 + sum(one.kind in SKETCHES for one in self.aggregates)

    @property
    def idle(self) -> int:
        """Milliseconds without an event after which a key may be dropped."""
        return 2 * self.over + SPARE_MS


class See(Protocol):
    """What a window shows an event."""

    def __call__(self, when: int, counts: int, key: Any, *values: Any) -> Any:
        """The aggregates as a map, or the one without name; MISSING where it has no value.

        Args:
            when: The event's time.
            counts: 1: the event is counted; 0: it only sees; -1: it is dated too far ahead of its record.
            values: First, where the window has `where`, whether the event is counted; then its values.

        Raises:
            EvalError: The event is late or ahead, or its key has no value; nothing has changed.
        """


def name_of(key: Any) -> str:
    """The text of a key; EvalError where it is none."""
    found = None if key is MISSING else key_text(key)
    if found is None:
        raise EvalError("the window's key has no value" if key is MISSING or key is None else "no key")
    return found


def has_value(value: Any) -> bool:
    """Whether an expression gave something to be counted."""
    if value.__class__ is Optional:
        value = value.value
    return value is not None and value is not MISSING and value.__class__ is not Mistyped


def number_of(value: Any) -> float | None:
    """A value as a number that can be counted; None for null, what is missing, infinite or no number."""
    if value.__class__ is Optional:
        value = value.value
    if isinstance(value, (int, float)) and value.__class__ is not bool:
        try:
            found = float(value)
        except OverflowError:
            return None
        return found if found - found == 0.0 else None
    return None


def late(when: int, newest: int, over: int) -> LateEvent:
    """Why an event is not counted any more."""
    before = datetime.timedelta(milliseconds=newest - when)
    return LateEvent(
        f"late: dated {before} before the newest event of its key; "
        f"the window takes up to {datetime.timedelta(milliseconds=over)}"
    )


def ahead() -> EvalError:
    """Why an event is not counted yet, nor ever."""
    return EvalError("ahead: dated further beyond its record's timestamp than source.max_ahead")
