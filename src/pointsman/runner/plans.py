"""Which models a document's plans begin with, and whom each of those plans may ask."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.spec.document import Document
from pointsman.strategy.base import strategies

__all__ = ["asked", "picked"]


def picked(document: Document) -> tuple[str, ...]:
    """The models that a route, or `limits.max_lag`, can pick: each has a topic of requests."""
    found = dict.fromkeys(
        name for number in range(len(document.routes)) for name in _models(document, number)
    )
    lag = document.limits.max_lag
    if lag is not None and lag.then is not None:
        found[lag.then] = None
    return tuple(found)


def asked(document: Document, model: str) -> tuple[str, ...]:
    """Every model that a plan which begins with `model` may ask, itself first."""
    found = {model: None}
    lag = document.limits.max_lag
    instead = lag is not None and lag.then == model
    for number, route in enumerate(document.routes):
        if instead or model in _models(document, number):
            own = document.models[model].common.fallback
            chain = own if route.fallback is None else route.fallback
            found |= {stop: None for stop in chain or () if isinstance(stop, str)}
    return tuple(found)


def _models(document: Document, number: int) -> Sequence[str]:
    route = document.routes[number]
    return strategies.get(route.use.strategy).from_config(route.use.config, route.name).models
