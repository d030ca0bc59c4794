"""A real server as the conformance suite takes one: it cannot be told to misbehave."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = ["at"]


class RealStand:
    """A server at an address."""

    faults: frozenset[str] = frozenset()
    failures: Mapping[str, Sequence[str]] = {}

    def __init__(self, address: str) -> None:
        self.address = address

    def misbehave(self, fault: str) -> None:
        """It cannot."""
        raise NotImplementedError(fault)

    def headers(self) -> Mapping[str, str]:
        """It does not tell."""
        raise NotImplementedError

    async def left(self) -> None:
        """It does not tell."""
        raise NotImplementedError


@contextlib.asynccontextmanager
async def at(address: str) -> AsyncIterator[RealStand]:
    """The server at an address, which others start and stop."""
    yield RealStand(address)
