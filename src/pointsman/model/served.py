"""What every model behind an endpoint has: a version, patience for questions, and a server to let go of."""

from __future__ import annotations

from pointsman.model.base import CommonKeys
from pointsman.model.endpoint import Endpoint

__all__ = ["Served"]


class Served:
    """A model behind an endpoint, shared or its own.

    Attributes:
        version: What `result.model_version` says; None where nothing is known.
    """

    def __init__(self, common: CommonKeys, endpoint: Endpoint) -> None:
        """Args:
        common: The keys of every model.
        endpoint: Where it is.
        """
        self.version = common.version
        self._timeout = common.timeout
        self._endpoint = endpoint

    async def close(self) -> None:
        """Closes its connections, unless it shares them."""
        await self._endpoint.release()
