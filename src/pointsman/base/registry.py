"""Where components of a role are found: one file of a room each, plus entry points of other packages."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """The components of one role, by the key that names them in a document.

    The room's files are imported at the first look-up; each registers itself with `@registry.add("name")`.
    Another package adds a component with an entry point in the group `pointsman.<role>`.
    """

    def __init__(self, role: str, room: str) -> None:
        """Args:
        role: What the components are, such as `strategy`; names the entry point group.
        room: The package whose modules are the components, such as `pointsman.strategy`.
        """
        self.role = role
        self.room = room
        self._found: dict[str, type[T]] = {}
        self._loaded = self._begun = False
        self._loading = threading.RLock()

    def add(self, name: str):  # type: ignore[no-untyped-def]  # a decorator that returns what it got
        """Registers the decorated class under `name`."""

        def keep(cls: type[T]) -> type[T]:
            if name in self._found and self._found[name] is not cls:
                raise ValueError(f"two {self.role} components are called {name!r}")
            self._found[name] = cls
            return cls

        return keep

    def _load(self) -> None:
        if self._loaded:
            return
        with self._loading:
            if self._loaded or self._begun:  # another thread has loaded it, or a module of the room asks
                return
            self._begun = True
            package = importlib.import_module(self.room)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.room}.{module.name}")
            for point in entry_points(group=f"pointsman.{self.role}"):
                self._found.setdefault(point.name, point.load())
            self._loaded = True

    def get(self, name: str) -> type[T]:
        """The component called `name`; raises KeyError where there is none."""
        self._load()
        return self._found[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load()
        return sorted(self._found)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._found

    def __iter__(self) -> Iterator[tuple[str, type[T]]]:
        self._load()
        return iter(sorted(self._found.items()))
