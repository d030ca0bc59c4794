"""Every case of `cases/` on every host, record for record; or refused there, as `check --on` says.

`POINTSMAN_GOLDEN=write pytest tests/engines/real_parity.py -k fused` makes what the native runner writes what
is wanted: to be read before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kafka import Kafka
from parity.case import all_cases, read_case
from parity.engines import Flink, KafkaStreams
from parity.frames import Frames
from parity.native import Fused, Split
from parity.stage import Host, Play, Stage
from parity.verdict import compare, write_wanted

WRITE = os.environ.get("POINTSMAN_GOLDEN") == "write"
NATIVE: tuple[Host, ...] = (Fused(), Split(), Fused("exactly_once"))
ENGINES: tuple[Host, ...] = (Frames(), KafkaStreams(), Flink())


@pytest.fixture(scope="module")
def plays(
    broker: Kafka, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[tuple[str, str], Play]]:
    """Each case on each host that a test asks for."""
    asked = {
        item.callspec.params["host"].name for item in request.session.items if "real_parity" in item.nodeid
    }
    hosts = [host for host in (*NATIVE, *ENGINES) if host.name in asked]
    if WRITE:
        hosts = list(NATIVE[:2])
    stage = Stage(broker, tmp_path_factory.mktemp("parity"))
    found = stage.play([read_case(name) for name in all_cases()], hosts)
    if WRITE:
        for name in all_cases():
            mine = [found[host.name, name] for host in hosts]
            write_wanted(mine if mine[0].case.served else mine[1:])
    yield found
    stage.close()


@pytest.mark.parametrize("name", all_cases())
@pytest.mark.parametrize("host", [*NATIVE, *ENGINES], ids=lambda host: host.name)
def test_a_host_writes_what_the_case_says(plays: dict[tuple[str, str], Play], host: Host, name: str) -> None:
    """Decisions, dead letters and whatever else, record for record."""
    play = plays[host.name, name]
    if play.refused:  # as docs/parity.md has it
        assert play.written() == []
    else:
        compare(play)
