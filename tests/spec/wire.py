"""A protocol that needs no server, for tests of documents that name remote models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pointsman.base.config import Text, key
from pointsman.base.errors import ModelError
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.endpoint import Endpoint
from pointsman.model.mapping import Feeds
from pointsman.model.remote import Ask, Health


class Wire:
    """A model behind a wire of which a test says what its server answers."""

    protocol: ClassVar[str] = "wire"
    tensor: ClassVar[bool] = True
    batches: bool = True
    says: ClassVar[dict[str, Health | ModelError]] = {}
    """What the server says of each model, by its name in the document; ready where nothing stands here."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of a wired model."""

        wire: str = key(Text(), "The server's address.", example='"http://localhost:8080"', step=2)
        path: str = key(Text(), "The path below it.", default="/", example="/score", step=2)

    def __init__(self, name: str, common: CommonKeys, feeds: Feeds) -> None:
        self.name = name
        self.version = common.version
        self.feeds = feeds

    @classmethod
    def open(
        cls, name: str, config: Config, common: CommonKeys, folder: Path, endpoint: Endpoint | None
    ) -> Wire:
        """Checks the address."""
        del folder
        if endpoint is None:
            Endpoint(name, config.wire)
        return cls(name, common, Feeds.open(name, common.inputs, None, scalar=(1,)))

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return '{wire: "http://localhost:8080", inputs: {amount: event.amount}}'

    async def request(self, rows: Sequence[Row], ask: Ask) -> Sequence[Any | ModelError]:
        """One reply a row."""
        del ask
        return [0.5] * len(rows)

    async def health(self) -> Health:
        """What the test says."""
        said = self.says.get(self.name, Health(True))
        if isinstance(said, ModelError):
            raise said
        return said

    async def close(self) -> None:
        """Nothing to free."""


def wired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the protocol for one test."""
    models.names()  # what the package has is registered first
    monkeypatch.setitem(models._found, "wire", Wire)
    monkeypatch.setattr(Wire, "says", {})
