"""Chaos inside the engines: kills of workers, Java machines and the broker, saved and resumed; `make chaos`
with ON=kafka-streams or ON=flink plays more."""

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


@pytest.mark.parametrize("host", ["kafka-streams", "flink"])
@pytest.mark.parametrize("seed", [1, 3, 5])
def test_each_event_is_decided_once_and_state_is_as_it_should_be(
    broker: LocalBroker, tmp_path: Path, host: str, seed: int
) -> None:
    """Every event once for a read-committed reader; metadata, and what is stored, are the oracle's."""
    # With a folder of its own a killed process begins again under its name, and ends its open transaction.
    verdict = Play(broker, tmp_path / "play", seed, on_disk=True, count=300, host=host).run(print)
    assert verdict.events == 300
    assert verdict.good, verdict
