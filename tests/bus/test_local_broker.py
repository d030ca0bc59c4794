"""The local broker: a real Kafka that starts, survives a crash and stops."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from kafka import SILENT, Kafka, TopicFactory
from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local import LocalBroker, service
from pointsman.bus.local import broker as broker_module


def test_what_is_written_can_be_read(broker: Kafka, topic: TopicFactory) -> None:
    """Records come back from all partitions with key, value and headers."""
    name = topic(partitions=3)
    broker.produce(name, [(f"k{i}", f"v{i}") for i in range(20)], headers={"h": "1"})
    found = broker.consume_all(name)
    assert sorted(m.key() for m in found) == sorted(f"k{i}".encode() for i in range(20))
    assert found[0].headers() == [("h", b"1")]


def test_topics_are_not_created_by_asking(broker: Kafka) -> None:
    """A misspelt topic is an error, not a new topic."""
    metadata = Producer({**broker.client_config}, logger=SILENT).list_topics("no-such-topic", timeout=10)
    error = metadata.topics["no-such-topic"].error
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_crash_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After kill -9 and a restart the same address serves the same records; a stop leaves the data."""
    with LocalBroker(tmp_path / "b") as local:
        kafka = Kafka(local.client_config)
        kafka.create_topic("t")
        kafka.produce("t", ["one"])
        local.kill()
        local.restart()
        assert local.client_config == kafka.client_config
        assert [m.value() for m in kafka.consume_all("t")] == [b"one"]
        with pytest.raises(EnvironmentFault, match="already runs"):
            LocalBroker(tmp_path / "b").start()
        pid = local.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (tmp_path / "b" / "data" / "t-0").is_dir()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """After kill -9 of the program that holds it, no broker is left behind."""
    script = "from pathlib import Path; import sys; from pointsman.bus.local import LocalBroker\n"
    script += "LocalBroker(Path(sys.argv[1])).start(); print('up', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "b")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    assert service.status(tmp_path / "b").running
    holder.kill()
    holder.communicate()
    deadline = time.monotonic() + 30
    while service.status(tmp_path / "b").running:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accents, blanks and commas are fine, also where the locale is not UTF-8."""
    monkeypatch.setenv("LC_ALL", "C")
    with LocalBroker(tmp_path / "Zoë, her data") as local:
        kafka = Kafka(local.client_config)
        kafka.create_topic("t")
        kafka.produce("t", ["v"])
        assert (tmp_path / "Zoë, her data" / "data" / "t-0").is_dir()


def test_a_temporary_broker_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder of its own the broker's files go with it, after a failed start too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with LocalBroker() as local:
        assert local.log.is_relative_to(tmp_path)
    with pytest.raises(EnvironmentFault, match="did not come up"):
        LocalBroker().start(seconds=0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_room_is_named(tmp_path: Path) -> None:
    """What cannot be written ends with the path and what to do, not with a traceback."""
    (tmp_path / "b").write_text("a file where the folder should be")
    with pytest.raises(EnvironmentFault, match=r"cannot use .*b: .*POINTSMAN_CACHE"):
        LocalBroker(tmp_path / "b").start()


def test_a_taken_port_is_named() -> None:
    """A port that another program listens on is refused before anything is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EnvironmentFault, match=f"port {port} of 127.0.0.1 is taken"):
            LocalBroker(port=port).start()


def test_a_port_taken_in_between_is_given_up(broker: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another broker was quicker on the chosen port, that one is not taken for ours: a new port is."""
    taken = int(broker.bootstrap.partition(":")[2])
    ports = iter([taken])
    real = broker_module._free_port
    monkeypatch.setattr(broker_module, "_free_port", lambda: next(ports, None) or real())
    with LocalBroker() as local:
        assert local.bootstrap != broker.bootstrap
        Kafka(local.client_config).create_topic("t")


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    """Damaged data end the start with the last lines of Kafka's own log."""
    with LocalBroker(tmp_path / "b"):
        pass
    (tmp_path / "b" / "data" / "meta.properties").write_text("version=1\ncluster.id=\n")
    with pytest.raises(EnvironmentFault, match=r"(?s)did not come up; its log .*meta.properties"):
        LocalBroker(tmp_path / "b").start()
