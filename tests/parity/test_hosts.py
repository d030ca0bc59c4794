"""What a host cannot run is refused, with the line and the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from examples import payments
from pointsman.base.errors import SpecError
from pointsman.cli.main import app
from pointsman.runner.hosts import require
from pointsman.spec import load

PAYMENTS = Path(payments.__file__).parent / "pipeline.yaml"
ENGINES = ("kafka-streams", "flink")


def found(tmp_path: Path, overlay: str, host: str) -> list[tuple[str, int, str]]:
    """Code, line and message of each error that `check --on` finds with something merged over a document."""
    path = tmp_path / "overlay.yaml"
    path.write_text(overlay)
    arguments = ["check", str(PAYMENTS), "--overlay", str(path), "--on", host, "--json"]
    done = CliRunner().invoke(app, arguments)
    errors = [one for one in json.loads(done.stdout)["findings"] if one["severity"] == "error"]
    assert done.exit_code == (1 if errors else 0)
    return [(one["code"], one["line"], one["message"]) for one in errors]


@pytest.mark.parametrize("host", ENGINES)
def test_a_property_that_java_has_not(tmp_path: Path, host: str) -> None:
    """Java's clients are given the document's properties; one they lack is an error there alone."""
    overlay = "kafka:\n  fetch.wait.max.ms: 50\n  statistics.interval.ms: 5000\n"
    ((code, line, message),) = found(tmp_path, overlay, host)
    assert (code, line) == ("E445", 3)
    assert "'statistics.interval.ms' does not work in a stream engine" in message
    assert found(tmp_path, overlay, "native") == []


@pytest.mark.parametrize("host", ENGINES)
def test_a_model_for_overload(tmp_path: Path, host: str) -> None:
    """An engine decides what it is given: nobody there knows the lag that another model is to answer for."""
    overlay = "limits:\n  max_lag: {events: 1000, then: baseline}\n"
    ((code, line, message),) = found(tmp_path, overlay, host)
    assert (code, line) == ("E446", 2)
    assert "'baseline' would never answer" in message
    assert found(tmp_path, overlay, "native") == []
    assert found(tmp_path, "limits:\n  max_lag: {events: 1000, then: wait}\n", host) == []


def test_a_group_that_names_no_application(tmp_path: Path) -> None:
    """Kafka Streams names topics after the group; Flink does not."""
    overlay = 'kafka: {group.id: "all of us"}\n'
    ((code, line, _),) = found(tmp_path, overlay, "kafka-streams")
    assert (code, line) == ("E446", 1)
    assert found(tmp_path, overlay, "flink") == []


def test_a_run_refuses_what_check_refuses(tmp_path: Path) -> None:
    """The same findings stop a run before it begins."""
    path = tmp_path / "overlay.yaml"
    path.write_text("limits: {max_lag: {events: 1000, then: baseline}}\n")
    document = load(PAYMENTS, (path,))
    for host in ENGINES:
        with pytest.raises(SpecError, match="E446"):
            require(document, host)
    require(document, "native")
