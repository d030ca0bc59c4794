"""A short set of chaos: workers are killed, hang and change while events flow; `make chaos` plays more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.play import Play
from pointsman.bus.local import LocalBroker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker that faults may kill."""
    with LocalBroker(tmp_path_factory.mktemp("chaos") / "broker") as started:
        yield started


@pytest.mark.parametrize(("seed", "on_disk"), [(101, False), (104, True)])
def test_each_event_is_decided_once_and_state_is_as_it_should_be(
    broker: LocalBroker, tmp_path: Path, seed: int, on_disk: bool
) -> None:
    """Every event once for a read-committed reader; metadata and final state are the oracle's."""
    verdict = Play(broker, tmp_path / "play", seed, on_disk=on_disk, count=600).run(print)
    assert verdict.events == 600
    assert verdict.good, verdict


def test_at_least_once_loses_nothing(broker: LocalBroker, tmp_path: Path) -> None:
    """Each event has its decision or dead letter; repeats agree in id, source and event."""
    verdict = Play(broker, tmp_path / "play", 13, delivery="at_least_once", count=600).run(print)
    assert verdict.good, verdict
