"""`tables.NAME: {python, cache, timeout}`: rows that a Python function gives."""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.base.config import Duration, PythonName
from pointsman.base.config import key as declare
from pointsman.spec.tables.base import tables

__all__ = ["Python"]


@tables.add("python")
class Python:
    """Rows that a Python function gives: it takes a list of keys and returns a list of as many rows.

    It is asked once for all keys of a batch that are not cached, and the batch waits for it. A row is a map;
    None says that there is no row. A class is built once per worker and its `predict` called; `async def` is
    awaited. Only look-ups read such a table: expressions cannot.
    """

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `tables.<name>: {python: …}`."""

        python: str = declare(
            PythonName(), "The function, or class with `predict`, that gives rows.", example='"crm:profiles"'
        )
        cache: float = declare(
            Duration(zero=True),
            "How long a row is kept before it is asked for again; that there is none is kept for 5 s at "
            "most.",
            default=60.0,
            example="5m",
        )
        timeout: float = declare(
            Duration(),
            "How long a batch waits for the function; rows that do not come in time are absent.",
            default=0.1,
            example="50ms",
        )

    @staticmethod
    def example() -> str:
        """A valid value of `tables.<name>`, as YAML."""
        return '{python: "baseline:profiles", cache: 5m, timeout: 50ms}'
