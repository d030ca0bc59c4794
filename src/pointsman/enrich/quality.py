"""`FIELD: {quality: {required, ranges, …}}`: how far an event's data can be trusted, in [0, 1], and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pointsman.base.config import (
    ByExpression,
    Choice,
    Duration,
    Expression,
    ListOf,
    Nested,
    Number,
    OneOf,
    Text,
    Whole,
)
from pointsman.base.config import key as declare
from pointsman.base.errors import Misfit
from pointsman.base.keys import key_text
from pointsman.cel.program import Program
from pointsman.cel.values import MISSING, Optional
from pointsman.enrich import checks
from pointsman.enrich.base import COUNTS, Tables, enrichers
from pointsman.state.base import Backing, Store
from pointsman.state.shelf import Shelf

__all__ = ["Duplicates", "Outliers", "Quality", "QualityKeys"]

TYPES = ("string", "int", "double", "bool", "timestamp", "bytes", "list", "map")
_LEAST: Final = 10
"""Values that must have been seen before one can be an outlier."""
_IDLE_MS: Final = 30 * 86_400_000
_MOST_LEARNED: Final = 10_000
"""Values of a category that are known at a time."""

_DUPLICATES, _OUTLIERS, _LEARNED, _KNOWN = 0, 1, 1000, 60_000
"""Slots of the store, but for the first with the check's number. The last is that of the empty key."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What makes an event a repeat of another."""

    key: Program = declare(Expression(), "What repeats; an event without it is none.", example="txn_id")
    within: float = declare(Duration(), "How long one is remembered, in event time.", example="1h")


@dataclass(frozen=True, slots=True)
class Outliers:
    """When a number lies too far from those before it."""

    by: Program | None = declare(
        Expression(), "Whose numbers it is compared with; left out: all of the partition.", default=None
    )
    z: float = declare(
        Number(0.1), "Robust standard deviations from the median that are allowed.", default=6.0
    )
    last: int = declare(Whole(_LEAST, 100), "How many numbers it is compared with.", default=50)


@dataclass(frozen=True, slots=True)
class QualityKeys:
    """What good data is."""

    required: Sequence[Program] = declare(
        ListOf(Expression()), "What has to be there, and not null.", default=(), example="[user_id, amount]"
    )
    ranges: Sequence[tuple[Program, Sequence[float]]] = declare(
        ByExpression(ListOf(Number(), least=2)),
        "Lowest and highest value of numbers.",
        default=(),
        example="{amount: [0, 1000000]}",
    )
    patterns: Sequence[tuple[Program, str]] = declare(
        ByExpression(Text()),
        "Regular expressions (RE2) that texts hold a match of.",
        default=(),
        example="{user_id: '^U[0-9]+$'}",
    )
    types: Sequence[tuple[Program, str]] = declare(
        ByExpression(Choice(TYPES)), "Types of values.", default=(), example="{amount: double}"
    )
    max_age: float | None = declare(
        Duration(),
        "How much older than its record an event may be.",
        default=None,
        example="5m",
    )
    duplicates: Duplicates | None = declare(
        Nested(Duplicates),
        "When an event is a repeat.",
        default=None,
        example="{key: txn_id, within: 1h}",
    )
    categories: Sequence[tuple[Program, Any]] = declare(
        ByExpression(OneOf((ListOf(Text()), Choice(("learn",))))),
        "The known values of a category, or `learn`: those seen before.",
        default=(),
        example="{device: [iOS, Android, web], country: learn}",
    )
    outliers: Sequence[tuple[Program, Outliers]] = declare(
        ByExpression(Nested(Outliers)),
        "Numbers that should not lie far from those before them.",
        default=(),
        example="{amount: {by: user_id}}",
    )


@enrichers.add("quality")
class Quality:
    """Adds `score`, `reasons` and a member in [0, 1] for each indicator that is asked for.

    `completeness`, `ranges`, `patterns`, `types`, `freshness`, `duplicates`, `categories` and `outliers` are
    the shares of what was judged that is as it should be; one with nothing to judge is absent. The score is
    their product: 1 where nothing is wrong, and 0 where one thing is wholly wrong.
    """

    name: ClassVar[str] = "quality"
    result: str = "map"
    aged: ClassVar[bool] = True
    mistyped: ClassVar[bool] = True

    @dataclass(frozen=True, slots=True)
    class Config:
        """The one key of the indicators."""

        quality: QualityKeys = declare(Nested(QualityKeys), "What good data is.")

    def __init__(self, keys: QualityKeys) -> None:
        """Args:
        keys: What good data is.

        Raises:
            Misfit: A range is empty, or a pattern is no regular expression.
        """
        self.inputs: tuple[Program, ...] = ()
        self.default: Any = MISSING
        self._keys = keys
        self._checks: list[tuple[str, slice, checks.Check]] = []
        programs: list[Program] = []

        def add(name: str, found: Sequence[Program], check: Callable[[list[str]], checks.Check]) -> None:
            if found:
                self._checks.append(
                    (name, slice(len(programs), len(programs) + len(found)), check(_names(found)))
                )
                programs.extend(found)

        add("completeness", keys.required, checks.complete)
        bounds = [_bounds(program, pair) for program, pair in keys.ranges]
        add("ranges", _programs(keys.ranges), lambda names: checks.within(names, bounds))
        patterns = [_pattern(program, text) for program, text in keys.patterns]
        add("patterns", _programs(keys.patterns), lambda names: checks.matching(names, patterns))
        add("types", _programs(keys.types), lambda names: checks.typed(names, [k for _, k in keys.types]))
        self._max_age = None if keys.max_age is None else round(keys.max_age * 1000)
        self._first = len(programs)  # where the values of what remembers begin
        programs += _remembered(keys)
        self.optional: tuple[Program, ...] = tuple(programs)
        self._opens = any(program.result == "optional" for program in programs)

    @classmethod
    def from_config(cls, config: Config) -> Quality:
        """Builds the enricher of a field: one that remembers where an indicator needs to."""
        keys = config.quality
        learned = any(known == "learn" for _, known in keys.categories)
        remembers = keys.duplicates is not None or keys.outliers or learned
        return (Remembering if remembers else Judging)(keys)

    @staticmethod
    def example() -> str:
        """A valid value of `enrich.<field>`, as YAML."""
        return "{quality: {required: [event.amount], ranges: {event.amount: [0, 1000000]}, max_age: 5m}}"

    def _opened(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values in optionals, such as `event.?x` gives them; MISSING where one has none."""
        if not self._opens:
            return values
        return [
            value if value.__class__ is not Optional else value.value if value.present else MISSING
            for value in values
        ]

    def judged(self, age: int, values: Sequence[Any], reasons: list[str]) -> dict[str, Any]:
        """The indicators that follow from the event alone."""
        found: dict[str, Any] = {}
        for name, part, check in self._checks:
            share = check(values[part], reasons)
            if share is not None:
                found[name] = share
        if self._max_age is not None:
            found["freshness"] = checks.fresh(age, self._max_age, reasons)
        fixed = [
            checks.category(program.shown(), value, known, reasons)
            for (program, known), value in zip(self._keys.categories, values[self._first :], strict=False)
            if known != "learn" and value is not MISSING and value is not None
        ]
        if fixed:
            found["categories"] = sum(fixed) / len(fixed)
        return found


def scored(found: dict[str, Any], reasons: list[str]) -> dict[str, Any]:
    """The indicators with their product and the reasons."""
    score = 1.0
    for share in found.values():
        score *= share
    return {"score": score, **found, "reasons": reasons}


class Judging(Quality):
    """Looks at one event alone."""

    def bind(self, tables: Tables) -> Callable[..., dict[str, Any]]:  # noqa: ARG002  it reads none
        """From the event's age in milliseconds and the values to the indicators."""

        def judge(age: int, *values: Any) -> dict[str, Any]:
            reasons: list[str] = []
            return scored(self.judged(age, self._opened(values), reasons), reasons)

        return judge


class Remembering(Quality):
    """Looks at earlier events of the partition, too."""

    @property
    def definition(self) -> str:
        """What the meaning of the stored bytes depends on."""
        keys = self._keys
        parts = [] if keys.duplicates is None else [f"duplicates {keys.duplicates.key.text}"]
        parts += [
            f"learn {number} {program.text}"  # the number is the slot's
            for number, (program, known) in enumerate(keys.categories)
            if known == "learn"
        ]
        parts += [
            f"outliers {program.text} by {of.by.text if of.by else ''} last {of.last}"
            for program, of in keys.outliers
        ]
        return "; ".join(parts)

    def store(self, backing: Backing) -> Shelf:
        """What is remembered of one partition."""
        within = 0 if self._keys.duplicates is None else round(self._keys.duplicates.within * 1000)

        def idle(values: dict[int, Any], now_ms: int) -> bool:
            if max(values, default=0) >= _KNOWN:
                return False
            last = [_IDLE_MS + value[0] for slot, value in values.items() if value and slot != _DUPLICATES]
            if values.get(_DUPLICATES) is not None:
                last.append(values[_DUPLICATES] + within)
            return bool(last) and max(last) < now_ms

        return Shelf(backing, idle, self._told, _unlearned)

    def recall(self, store: Store, tables: Tables) -> Callable[..., dict[str, Any]]:  # noqa: ARG002  it reads none
        """From an event's time, whether it counts, its age and the values to the indicators."""
        assert isinstance(store, Shelf)
        keys, first = self._keys, self._first + len(self._keys.categories)
        step = first + (keys.duplicates is not None)

        def see(when: int, counts: int, age: int, *given: Any) -> dict[str, Any]:
            reasons: list[str] = []
            values = self._opened(given)
            found = self.judged(age, values, reasons)
            self._learned(store, when, counts == COUNTS, values, found, reasons)
            if keys.duplicates is not None:
                name = key_text(values[first])
                if name is not None:
                    within = keys.duplicates.within * 1000
                    found["duplicates"] = _repeated(store, name, when, counts == COUNTS, within, reasons)
            judged = []
            for number, (program, of) in enumerate(keys.outliers):
                at = step + 2 * number
                whose = "" if of.by is None else key_text(values[at + 1])
                value = values[at]
                if whose is not None and value.__class__ in (int, float):
                    judged.append(
                        _outlying(store, whose, number, value, when, counts == COUNTS, of, program, reasons)
                    )
            known = [one for one in judged if one is not None]
            if known:
                found["outliers"] = sum(known) / len(known)
            return scored(found, reasons)

        return see

    def _learned(
        self, store: Shelf, when: int, counts: bool, values: Sequence[Any], found: dict[str, Any],
        reasons: list[str],
    ) -> None:  # fmt: skip
        """Looks a category's value up among those seen, and keeps it."""
        judged = []
        for number, (program, known) in enumerate(self._keys.categories):
            name = key_text(values[self._first + number])
            if known != "learn" or name is None:
                continue
            seen = store.get(name, _LEARNED + number)
            if seen is None:
                judged.append(checks.category(program.shown(), name, (), reasons))
                if (store.get("", _KNOWN + number) or 0) >= _MOST_LEARNED:
                    reasons.append(
                        f"{program.shown()}: {_MOST_LEARNED:,} values are known, and no more learned"
                    )
                elif counts:
                    store.put(name, _LEARNED + number, [when])
                    store.put("", _KNOWN + number, (store.get("", _KNOWN + number) or 0) + 1)
                continue
            judged.append(True)
            if counts and when > seen[0] + 3_600_000:
                store.put(name, _LEARNED + number, [when])
        if judged:
            before = found.get("categories")
            fixed = sum(known != "learn" for _, known in self._keys.categories) if before is not None else 0
            found["categories"] = ((before or 0.0) * fixed + sum(judged)) / (fixed + len(judged))

    def _told(self, values: dict[int, Any]) -> dict[str, Any]:
        """What people are shown of a key."""
        told: dict[str, Any] = {}
        for slot, value in sorted(values.items()):
            if slot == _DUPLICATES:
                told["last seen"] = value
            elif slot < _LEARNED:
                told[f"numbers of {self._keys.outliers[slot - _OUTLIERS][0].shown()}"] = value[1]
            elif slot >= _KNOWN:
                told[f"values of {self._keys.categories[slot - _KNOWN][0].shown()}"] = value
            else:
                told[f"{self._keys.categories[slot - _LEARNED][0].shown()} last seen"] = value[0]
        return told


def _unlearned(store: Shelf, values: dict[int, Any]) -> None:
    """A key was dropped, and what was learned of it."""
    for slot, value in values.items():
        if value is not None and slot >= _LEARNED:
            known = slot - _LEARNED + _KNOWN
            store.put("", known, (store.get("", known) or 1) - 1)


def _repeated(
    store: Shelf, name: str, when: int, counts: bool, within: float, reasons: list[str]
) -> float:  # fmt: skip
    """0 for an event whose key was seen shortly before, or after where it is late."""
    seen = store.get(name, _DUPLICATES)
    repeat = seen is not None and abs(when - seen) < within
    if repeat:
        reasons.append(f"{checks.shown(name)} was seen {abs(when - seen) / 1000:g} s before")
    if counts and (seen is None or when > seen):
        store.put(name, _DUPLICATES, when)
    return 0.0 if repeat else 1.0


def _outlying(
    store: Shelf, whose: str, number: int, value: float, when: int, counts: bool, of: Outliers,
    program: Program, reasons: list[str],
) -> bool | None:  # fmt: skip
    """Whether a number is as those before it; None while there are too few."""
    kept = store.get(whose, _OUTLIERS + number)
    seen = kept[1] if kept else []
    good = None
    if len(seen) >= _LEAST:
        good = not checks.outlying(program.shown(), value, seen, of.z, reasons)
    if counts:
        store.put(
            whose,
            _OUTLIERS + number,
            [max(when, kept[0] if kept else when), [*seen, float(value)][-of.last :]],
        )
    return good


def _names(programs: Sequence[Program]) -> list[str]:
    return [program.shown() for program in programs]


def _programs(pairs: Sequence[tuple[Program, Any]]) -> list[Program]:
    return [program for program, _ in pairs]


def _remembered(keys: QualityKeys) -> list[Program]:
    """The expressions of the indicators that remember, in the order in which `recall` takes their values."""
    found = _programs(keys.categories)
    if keys.duplicates is not None:
        found.append(keys.duplicates.key)
    for program, of in keys.outliers:
        found += [program, of.by or program]
    return found


def _bounds(program: Program, pair: Sequence[float]) -> tuple[float, float]:
    if len(pair) != 2 or pair[0] > pair[1]:
        found = ", ".join(f"{one:g}" for one in pair)
        raise Misfit(
            "E205", f"[{found}] is no range", "write [lowest, highest]", ("quality", "ranges", program.text)
        )
    return pair[0], pair[1]


def _pattern(program: Program, text: str) -> Any:
    import re2  # Google's engine: linear time whatever the text

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        hint, path = "RE2 has no look-around and no back-references", ("quality", "patterns", program.text)
        raise Misfit("E205", f"{text!r} is no regular expression: {said}", hint, path) from None
