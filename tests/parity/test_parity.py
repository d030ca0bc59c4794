"""Every host decides the cases of `cases/` as they say; here the native runner, whole and split."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kafka import Kafka
from parity.case import all_cases, read_case
from parity.native import Fused, Split
from parity.stage import Play, Stage
from parity.verdict import compare, write_wanted

WRITE = os.environ.get("POINTSMAN_GOLDEN") == "write"
HOSTS = (Fused(), Split())


@pytest.fixture(scope="module")
def plays(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Play]]:
    """Every case on every host."""
    stage = Stage(broker, tmp_path_factory.mktemp("parity"))
    yield stage.play([read_case(name) for name in all_cases()], HOSTS)
    stage.close()


@pytest.mark.parametrize("name", all_cases())
def test_native(plays: dict[tuple[str, str], Play], name: str) -> None:
    """Fused and split write what the case says, record for record."""
    played = [plays[host.name, name] for host in HOSTS]
    if not played[0].case.served:
        del played[0]
    if WRITE:
        write_wanted(played)
    for play in played:
        compare(play)
