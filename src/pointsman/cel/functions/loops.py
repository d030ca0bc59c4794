"""What macros run: quantifiers, and builders of lists and maps, within a budget of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.cel.functions.access import make_map
from pointsman.cel.functions.faults import SIZE_LIMIT, Exhausted, no_overload
from pointsman.cel.functions.logic import boolean
from pointsman.cel.values import Optional, key_out

__all__ = [
    "Once",
    "Steps",
    "bounded",
    "build_list",
    "build_map",
    "every",
    "items",
    "just_one",
    "merge_map",
    "pairs",
    "some",
]

STEP_LIMIT: Final = 100_000
"""Times that the bodies of all macros of one evaluation may run."""


class Once:
    """A bound value that is evaluated when it is first used; one that is never used cannot err."""

    __slots__ = ("_make", "_raised", "_value")

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make: Callable[[], Any] | None = make
        self._value: Any = None
        self._raised: Exception | None = None

    def __call__(self) -> Any:
        if self._make is not None:
            make, self._make = self._make, None
            try:
                self._value = make()
            except Exception as error:
                self._raised = error
        if self._raised is not None:
            raise self._raised
        return self._value


class Steps:
    """The steps that one evaluation has left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEP_LIMIT

    def take(self, count: int) -> None:
        """Takes `count` steps; raises where there are not that many left."""
        self.left -= count
        if self.left < 0:
            raise Exhausted(f"the expression takes more than {STEP_LIMIT:,} steps")


Body = Callable[[Any], Any]


def items(value: Any) -> list[Any]:
    """Returns what a macro of one variable runs over: elements, or keys."""
    if value.__class__ is list:
        found: list[Any] = value
        return found
    if isinstance(value, Mapping):
        return [key_out(key) for key in value]
    raise no_overload("a macro", value)


def pairs(value: Any) -> list[tuple[Any, Any]]:
    """Returns what a macro of two variables runs over: index and element, or key and value."""
    if value.__class__ is list:
        return list(enumerate(value))
    if isinstance(value, Mapping):
        return [(key_out(key), content) for key, content in value.items()]
    raise no_overload("a macro", value)


def every(steps: Steps, over: list[Any], body: Body) -> bool:
    """Returns `all`: false if one is false, else the first error, else true."""
    return _quantify(steps, over, body, False)


def some(steps: Steps, over: list[Any], body: Body) -> bool:
    """Returns `exists`: true if one is true, else the first error, else false."""
    return _quantify(steps, over, body, True)


def _quantify(steps: Steps, over: list[Any], body: Body, decisive: bool) -> bool:
    steps.take(len(over))
    first: Exception | None = None
    for element in over:
        try:
            value = body(element)
            if value is decisive:
                return bool(decisive)
            if value is not (not decisive):
                boolean(value)
        except Exhausted:
            raise
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
    return not decisive


def just_one(steps: Steps, over: list[Any], body: Body) -> bool:
    """Returns `exists_one`; an error in any element is an error."""
    steps.take(len(over))
    return sum(boolean(body(element)) for element in over) == 1


def build_list(steps: Steps, over: list[Any], keep: Body | None, value: Body) -> list[Any]:
    """Returns `map` and `filter`."""
    steps.take(len(over))
    if keep is None:
        return [value(element) for element in over]
    return [value(element) for element in over if boolean(keep(element))]


def build_map(steps: Steps, over: list[Any], keep: Body | None, key: Body, value: Body) -> dict[Any, Any]:
    """Returns `transformMap`."""
    steps.take(len(over))
    chosen = over if keep is None else [element for element in over if boolean(keep(element))]
    return make_map([(key(element), value(element)) for element in chosen])


def merge_map(steps: Steps, over: list[Any], keep: Body | None, value: Body) -> dict[Any, Any]:
    """Returns `transformMapEntry`."""
    steps.take(len(over))
    entries: list[tuple[Any, Any]] = []
    for element in over:
        if keep is None or boolean(keep(element)):
            made = value(element)
            steps.take(len(made))
            entries.extend((key_out(key), content) for key, content in made.items())
    return make_map(entries)


def bounded(value: Any) -> Any:
    """Returns `value`; raises where it would be too large when written out.

    Bound names can share one list or text many times over: small in memory, huge as JSON.
    """
    elements, characters = STEP_LIMIT, 10 * SIZE_LIMIT
    waiting = [value]
    while waiting:
        top = waiting.pop()
        if top.__class__ is str or top.__class__ is bytes:
            characters -= len(top)
        elif top.__class__ is list or isinstance(top, Mapping):
            elements -= len(top)
            waiting.extend(top.values() if isinstance(top, Mapping) else top)
        elif top.__class__ is Optional:
            waiting.append(top.value)
        if elements < 0 or characters < 0:
            raise Exhausted(
                f"the expression builds a value of more than {STEP_LIMIT:,} elements "
                f"or {10 * SIZE_LIMIT:,} characters"
            )
    return value
