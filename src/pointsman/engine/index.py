"""The route index: which of many routes can match an event at all, in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import merge
from typing import Any

from pointsman.cel.program import Program
from pointsman.cel.values import MISSING, Mistyped

__all__ = ["RouteIndex"]

_UNCERTAIN = frozenset({type(MISSING), Mistyped})


class RouteIndex:
    """Finds the routes whose indexable conjunct does not already say no.

    A condition with a conjunct `path == "constant"` (or `path in [constants]`) is certainly false where
    `path` holds another value, because in CEL `false && error` is false. Where `path` has no value the
    conjunct errs, so every route on that path stays a candidate and its error is counted.

    Attributes:
        paths: The paths that are looked at, in the order `candidates` takes their values.
    """

    def __init__(self, conditions: Sequence[Program | None]) -> None:
        """Args:
        conditions: The routes' conditions in order; None is always a candidate.
        """
        usable = [dict(c.equalities) if c is not None else {} for c in conditions]
        weight = Counter(path for paths in usable for path in paths)
        self.always: list[int] = []
        tables: dict[str, dict[str, list[int]]] = {}
        routes: dict[str, list[int]] = {}
        for number, paths in enumerate(usable):
            if not paths:
                self.always.append(number)
                continue
            path = max(paths, key=lambda p: (weight[p], p))
            routes.setdefault(path, []).append(number)
            for constant in paths[path]:
                tables.setdefault(path, {}).setdefault(constant, []).append(number)
        self.paths = tuple(sorted(tables))
        self._tables = [tables[path] for path in self.paths]
        self._routes = [routes[path] for path in self.paths]

    def candidates(self, *values: Any) -> Sequence[int]:
        """The numbers of the routes worth trying, ascending.

        Args:
            *values: What each of `paths` holds for this event.
        """
        found = []
        for table, routes, value in zip(self._tables, self._routes, values, strict=True):
            if value.__class__ is str:
                some = table.get(value)
            else:
                some = routes if value.__class__ in _UNCERTAIN else None
            if some:
                found.append(some)
        if not found:
            return self.always
        if self.always:
            found.append(self.always)
        return found[0] if len(found) == 1 else list(merge(*found))
