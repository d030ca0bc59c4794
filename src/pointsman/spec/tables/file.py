"""`tables.NAME: {file, key}`: rows kept in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pointsman.base.config import FileName, Text
from pointsman.base.config import key as declare
from pointsman.spec.tables.base import tables

__all__ = ["File"]


@tables.add("file")
class File:
    """Rows kept in a file, read whole before the first event and again when it changes."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of `tables.<name>: {file: …}`."""

        file: Path = declare(FileName(), "A CSV, JSONL or Parquet file.", example="customers.csv")
        key: str = declare(Text(), "The column whose value names a row.", example="user_id")

    @staticmethod
    def example() -> str:
        """A valid value of `tables.<name>`, as YAML."""
        return "{file: customers.csv, key: user_id}"
