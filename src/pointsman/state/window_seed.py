"""What a test sets as known before its event: a window that shows given values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isclose
from typing import Any, Final

from pointsman.base.errors import EvalError, Misfit
from pointsman.state.ddsketch import DDSketch
from pointsman.state.hyperloglog import Distinct, fingerprint
from pointsman.state.window import Aggregate, Window, number_of
from pointsman.state.window_cells import cells_of
from pointsman.state.window_exact import ExactStore
from pointsman.state.window_store import WindowStore

__all__ = ["seed"]

_MOST: Final = 100_000
"""So many events or values are made up for a test."""


def seed(store: WindowStore | ExactStore, key: str, value: Any, when: int) -> None:
    """Makes a window show `value` for `key` at `when`, as if the natural events had come just then.

    A sum is that of one event, a count is that of so many, `distinct` takes a number or a list of values,
    `since_last` the seconds ago; any other is the one value seen.

    Args:
        value: The aggregate without name, or a map of some aggregates.

    Raises:
        Misfit: That is no value of the window's.
    """
    given = _given(store.window, value)
    if isinstance(store, ExactStore):
        try:
            _seed_events(store, key, given, when)
        except EvalError as error:
            raise Misfit("E205", str(error), "set a smaller number, or leave bucket: exact out") from None
    else:
        _seed_cells(store, key, given, when)
    _verify(store, key, given, when)


def _verify(store: WindowStore | ExactStore, key: str, given: Given, when: int) -> None:
    """A window shows what it was given, or says what it cannot show."""
    shown = (store.show(key, when) or {}).get("value")
    for one, value in given:
        found = shown if one.name is None else (shown or {}).get(one.name)
        wanted = len(_different(value)) if one.kind == "distinct" else value
        if isinstance(value, list) or _near(one, wanted, found, store.window.over):
            continue
        whose = one.kind if one.name is None else one.name
        raise Misfit(
            "E205",
            f"no events that a test makes up show {value:g} as '{whose}' here, they show "
            f"{'nothing' if found is None else format(found, 'g')}",
            "set fewer aggregates, or such as can be together",
        )


def _near(one: Aggregate, wanted: float, found: float | None, over: int) -> bool:
    if found is None:
        return wanted == 0 and one.kind in ("count", "rate", "sum", "distinct")
    if one.kind == "rate":  # whole events
        return abs(found - wanted) <= 500.5 / over
    most = {"distinct": 0.2, "quantile": 0.0101}.get(one.kind, 1e-9)
    return isclose(found, wanted, rel_tol=most, abs_tol=1e-9)


Given = Sequence[tuple[Aggregate, Any]]


def _given(window: Window, value: Any) -> Given:
    named = {one.name: one for one in window.aggregates}
    if None in named:
        return [(named[None], _checked(named[None], value))]
    if not isinstance(value, Mapping):
        raise Misfit("E205", "the window is a map", f"give some of {', '.join(map(str, named))}")
    for name in value:
        if name not in named:
            raise Misfit("E205", f"the window has no '{name}'", f"give some of {', '.join(map(str, named))}")
    return [(named[name], _checked(named[name], one)) for name, one in value.items()]


def _checked(one: Aggregate, value: Any) -> Any:
    if one.kind == "distinct" and isinstance(value, list):
        return value
    number = number_of(value)
    whole = one.kind in ("count", "distinct")
    least = 0.0 if whole or one.kind in ("rate", "since_last", "std") else None
    small = number is not None and least is not None and number < least
    most = _MOST if one.kind == "distinct" else 1 << 53
    large = whole and number is not None and number > most
    if number is None or small or large or (whole and not number.is_integer()):
        wanted = "a whole number" if whole else "a number"
        wanted += f" up to {most:,}" if large else " from 0 on" if small else ""
        raise Misfit("E205", f"'{one.kind}' shows {wanted}, not {value!r}", "give the value before the event")
    return int(number) if whole else number


def _seed_cells(store: WindowStore, key: str, given: Given, when: int) -> None:
    window = store.window
    made = store.functions
    entry = store.live.get(key) or store.find(key)
    made.roll(entry, when // window.bucket)
    numbers = {(cell.kind, cell.value): cell.number for cell in cells_of(window)}

    def put(kind: str, value: int | None, part: str, what: Any) -> None:
        number = numbers.get((kind, value))
        if number is not None:
            setattr(entry, f"c{number}{part}", what)

    for kind, value in numbers:
        if kind in ("events", "has", "numbers"):
            put(kind, value, "", 1)
    for one, value in sorted(given, key=lambda pair: pair[0].kind == "mean"):
        at = one.value
        if one.kind in ("count", "rate"):
            count = value if one.kind == "count" else _whole(value * window.over / 1000, 1 << 53)
            put("has" if at is not None else "events", at, "", count)
        elif one.kind in ("sum", "min", "max"):
            put(one.kind, at, "", value)
        elif one.kind == "mean":
            total = next((v for other, v in given if (other.kind, other.value) == ("sum", at)), value)
            count = max(1, _whole(total / value, 1 << 53)) if value else 1
            put("sum", at, "", total)
            put("numbers", at, "", count)
        elif one.kind == "std":
            for part, what in (("n", 2), ("m", 0.0), ("s", value * value)):
                put("moments", at, part, what)
        elif one.kind == "last":
            put("last", at, "t", when)
            put("last", at, "v", value)
        elif one.kind == "since_last":
            put("newest", at, "", when - _whole(value * 1000, 1 << 53))
        else:
            put(one.kind, at, "", _sketch(one.kind, value))
    store.touch(entry, when)


def _sketch(kind: str, value: Any) -> Distinct | DDSketch:
    if kind == "quantile":
        sketch = DDSketch()
        sketch.add(value)
        return sketch
    part = Distinct()
    for other in _different(value):
        part.add(other)
    return part


def _different(value: Any) -> list[Any]:
    """As many values as a number says, or the values of a list."""
    return value if isinstance(value, list) else [["seed", n] for n in range(value)]


def _seed_events(store: ExactStore, key: str, given: Given, when: int) -> None:
    columns: dict[tuple[str, int], list[Any]] = {}
    events, ago = 1, 0
    sums = {one.value: value for one, value in given if one.kind == "sum"}
    means = {one.value for one, value in given if one.kind == "mean" and value}
    for one, value in given:
        if one.kind in ("count", "rate"):
            wanted = value if one.kind == "count" else value * store.window.over / 1000
            count = _whole(wanted, _MOST)
            events = count if one.value is None else events
            if one.value is not None:
                columns["has", one.value] = [True] * count
        elif one.kind == "since_last":
            ago = _whole(value * 1000, 1 << 53)
            if one.value is not None:
                columns.setdefault(("has", one.value), [True])
        elif one.kind == "distinct" and one.value is not None:
            columns["print", one.value] = [fingerprint(other) for other in _different(value)]
        elif one.kind == "mean" and one.value is not None and value and one.value in sums:
            # as many of the mean as give the sum
            count = max(1, _whole(sums[one.value] / value, _MOST))
            columns.setdefault(("number", one.value), []).extend([value] * count)
        elif one.value is not None and not (one.kind == "sum" and one.value in means):
            numbers = columns.setdefault(("number", one.value), [])
            numbers += _NUMBERS.get(one.kind, _itself)(value)
    for n in range(max([events, *map(len, columns.values())])):
        row = [columns[use][n] if n < len(columns.get(use, ())) else None for use in store.uses]
        store.put(key, (when - ago, *row))


def _whole(value: float, most: int) -> int:
    return round(min(value, most))


def _itself(value: float) -> list[float]:
    return [value]


_NUMBERS: Mapping[str, Callable[[float], list[float]]] = {
    "std": lambda value: [-value / 2**0.5, value / 2**0.5],
}
