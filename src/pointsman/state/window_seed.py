"""What a test sets as known before its event: a window that shows given values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pointsman.base.errors import Misfit
from pointsman.state.ddsketch import DDSketch
from pointsman.state.hyperloglog import Distinct, fingerprint
from pointsman.state.window import Aggregate, Window, number_of
from pointsman.state.window_cells import cells_of
from pointsman.state.window_exact import ExactStore
from pointsman.state.window_store import WindowStore

__all__ = ["seed"]


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
        _seed_events(store, key, given, when)
    else:
        _seed_cells(store, key, given, when)


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
    if number is None or (whole and (number < 0 or not number.is_integer())):
        wanted = "a whole number" if whole else "a number"
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
            count = value if one.kind == "count" else round(value * window.over / 1000)
            put("has" if at is not None else "events", at, "", count)
        elif one.kind in ("sum", "min", "max"):
            put(one.kind, at, "", value)
        elif one.kind == "mean":
            total = next((v for other, v in given if (other.kind, other.value) == ("sum", at)), value)
            count = max(1, round(total / value)) if value else 1
            put("sum", at, "", total)
            put("numbers", at, "", count)
        elif one.kind == "std":
            for part, what in (("n", 2), ("m", 0.0), ("s", value * value)):
                put("moments", at, part, what)
        elif one.kind == "last":
            put("last", at, "t", when)
            put("last", at, "v", value)
        elif one.kind == "since_last":
            put("newest", at, "", when - round(value * 1000))
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
    for one, value in given:
        if one.kind in ("count", "rate"):
            count = value if one.kind == "count" else round(value * store.window.over / 1000)
            events = count if one.value is None else events
            if one.value is not None:
                columns["has", one.value] = [True] * count
        elif one.kind == "since_last":
            ago = round(value * 1000)
        elif one.kind == "distinct" and one.value is not None:
            columns["print", one.value] = [fingerprint(other) for other in _different(value)]
        elif one.value is not None:
            numbers = columns.setdefault(("number", one.value), [])
            numbers += _NUMBERS.get(one.kind, _itself)(value)
    for n in range(max([events, *map(len, columns.values())])):
        row = [columns[use][n] if n < len(columns.get(use, ())) else None for use in store.uses]
        store.put(key, (when - ago, *row))


def _itself(value: float) -> list[float]:
    return [value]


_NUMBERS: Mapping[str, Callable[[float], list[float]]] = {
    "std": lambda value: [-value / 2**0.5, value / 2**0.5],
}
