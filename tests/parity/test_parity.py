"""Some of the cases without an engine: whole, split, and in frames; `make test-engines` plays all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kafka import Kafka
from parity.case import read_case
from parity.frames import Frames
from parity.native import Fused, Split
from parity.stage import Play, Stage
from parity.verdict import compare

NAMES = ("remote", "repartition", "write-parts")
HOSTS = (Fused(), Split(), Frames())


@pytest.fixture(scope="module")
def plays(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Play]]:
    """Each case on each host."""
    stage = Stage(broker, tmp_path_factory.mktemp("parity"))
    yield stage.play([read_case(name) for name in NAMES], HOSTS)
    stage.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_a_host_writes_what_the_case_says(
    plays: dict[tuple[str, str], Play], host: Fused | Split | Frames, name: str
) -> None:
    """Decisions, dead letters and whatever else, record for record."""
    compare(plays[host.name, name])
