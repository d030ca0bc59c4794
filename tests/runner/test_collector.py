"""Python's collector in a worker's process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from pointsman.runner import collector


class Opened:
    """Something that a document opened, in a circle."""

    def __init__(self) -> None:
        self.circle = self


@pytest.fixture
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_as_before")
def test_a_process_that_does_other_things_keeps_its_collector() -> None:
    """Where the process is not the worker's own, nothing is frozen and no threshold moves."""
    before = gc.get_threshold()
    collector.settle("latency")
    collector.sweep()
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


@pytest.mark.usefixtures("_as_before")
def test_what_a_document_opened_is_looked_at_only_once_it_is_replaced() -> None:
    """While a document is at work even a full collection passes its objects by; its successor frees them."""
    collector.calm()
    opened = weakref.ref(Opened())
    collector.settle("throughput")
    gc.collect()
    assert opened() is not None
    collector.sweep()
    assert opened() is None


@pytest.mark.usefixtures("_as_before")
def test_the_latency_profile_collects_little_at_a_time() -> None:
    """However many circles a model makes, no collection of young objects finds more than a thousand or so."""
    collector.calm()
    collector.settle("latency")
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 0:
            found.append(info["collected"])

    gc.callbacks.append(note)
    try:
        for _ in range(20_000):
            Opened()
    finally:
        gc.callbacks.remove(note)
    assert found
    assert max(found) < 3_000
