"""`pointsman models` and `check --live`: what servers say, shown beside what the document says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cli.conftest import Pointsman
from pointsman.base.errors import ModelInternal, ModelRefused
from pointsman.cli.scrape import parsed
from pointsman.model.remote import Health
from pointsman.runner.metrics import Metrics, expose
from spec.wire import Wire, wired

PIPELINE = """\
pipeline: small
source:
  topics: [events]
  fields: {user_id: string, amount: double}
endpoints:
  scorers: {wire: "http://models:8080/path", auth: {bearer: "${TOKEN:-swordfish}"}}
models:
  fraud:
    endpoint: scorers
    version: 3
    inputs:
      amunt: amount
      user: user_id
  chat: {endpoint: scorers, inputs: {amount: amount}}
  lone: {wire: "http://down:8080", inputs: {amount: amount}}
  here: {python: "baseline:predict"}
routes:
  - {name: all, use: fraud, fallback: [chat, lone, here]}
"""
FRAUD = Health(True, "4", {"amount": ("float64", (-1, 1)), "user": ("int64", (-1, 2))})
LOADING = Health(False, why="it is being loaded")
DOWN = ModelRefused("connection refused")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline with models behind a server, one alone and one in this process."""
    wired(monkeypatch)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE, "utf-8")
    (tmp_path / "baseline.py").write_text("def predict(rows):\n    return rows\n", "utf-8")
    return tmp_path


def test_check_live_compares_what_servers_declare(
    pointsman: Pointsman, folder: Path, golden: Callable[[str, str], None]
) -> None:
    """A wrong name, type and version, a model that is loading and a server that is down are findings."""
    Wire.says.update(fraud=FRAUD, chat=LOADING, lone=DOWN)
    done = pointsman("check", "--live", cwd=folder)

    assert done.code == 1
    golden("check-live", done.out)
    assert "swordfish" not in done.out + done.err


def test_check_alone_asks_nobody(pointsman: Pointsman, folder: Path) -> None:
    """Without --live the network is not touched."""
    Wire.says.update(lone=DOWN)

    assert pointsman("check", cwd=folder).code == 0


def test_a_server_that_is_down_is_one_finding(pointsman: Pointsman, folder: Path) -> None:
    """All models of an endpoint together say once that it cannot be asked, at its address."""
    Wire.says.update(fraud=DOWN, chat=ModelRefused("connection reset"))
    told = json.loads(pointsman("check", "--live", "--json", cwd=folder).out)

    assert [(one["code"], one["line"], one["column"]) for one in told["findings"]] == [("E501", 6, 19)]


def test_a_server_that_stumbles_over_one_model_is_told_at_the_model(
    pointsman: Pointsman, folder: Path
) -> None:
    """A fault of a server that can be reached is about the model that it was asked for."""
    Wire.says.update(fraud=ModelInternal("no such model"))
    told = json.loads(pointsman("check", "--live", "--json", cwd=folder).out)

    assert [(one["code"], one["line"], one["column"]) for one in told["findings"]] == [("E502", 9, 15)]


def test_an_endpoint_that_cannot_be_is_a_finding(pointsman: Pointsman, folder: Path) -> None:
    """An address that is none is told where it stands, once for all models that share it."""
    text = PIPELINE.replace("http://models:8080/path", "models:8080")
    (folder / "pipeline.yaml").write_text(text, "utf-8")
    told = json.loads(pointsman("check", "--json", cwd=folder).out)

    assert [(one["code"], one["line"], one["column"]) for one in told["findings"]] == [("E441", 6, 19)]


def test_models_are_listed_once_where_nobody_watches(pointsman: Pointsman, folder: Path) -> None:
    """Where each is, whether it is ready and which version answers; exit 1 where one is not."""
    Wire.says.update(fraud=FRAUD, chat=LOADING, lone=DOWN)
    done = pointsman("models", cwd=folder)

    assert done.code == 1
    assert done.out.splitlines() == [
        "model  protocol  address                       ready  version",
        "fraud  wire      scorers (http://models:8080)  yes    4",
        "chat   wire      scorers (http://models:8080)  no",
        "lone   wire      http://down:8080              no",
        "here   python    baseline:predict              yes",
        "chat: it is being loaded",
        "lone: connection refused",
    ]


def test_a_server_that_hangs_is_given_up(
    pointsman: Pointsman, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits longer than --timeout."""

    async def hang(_: Wire) -> Health:
        await asyncio.Event().wait()
        return Health(True)

    monkeypatch.setattr(Wire, "health", hang)
    rows = json.loads(pointsman("models", "--json", "--timeout", "0.05", cwd=folder).out)["models"]

    assert {row["why"] for row in rows if row["protocol"] == "wire"} == {"no answer within 0.05 s"}


@pytest.fixture
def metrics() -> Iterator[str]:
    """The address of a run's metrics."""
    counted = Metrics()
    counted.count("pointsman_model_results_total", 75, "fraud", "ok")
    counted.count("pointsman_model_results_total", 25, "here", "ok")
    for _ in range(98):
        counted.observe("pointsman_model_call_seconds", 0.004, "fraud")
    for _ in range(2):
        counted.observe("pointsman_model_call_seconds", 0.8, "fraud")
    counted.set("pointsman_model_breaker_state", 2, "fraud")
    text = expose(counted.snapshot()).encode()

    class Serve(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *told: object) -> None:
            del told

    with HTTPServer(("127.0.0.1", 0), Serve) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_with_metrics_also_breaker_latency_share(pointsman: Pointsman, folder: Path, metrics: str) -> None:
    """What a run counted stands beside what servers say."""
    done = pointsman("models", "--json", "--metrics", metrics, cwd=folder)
    fraud, chat, _, here = json.loads(done.out)["models"]

    assert done.code == 0
    assert (fraud["median_ms"], fraud["p99_ms"], fraud["share"]) == (5.0, 1000.0, 0.75)
    assert (here["share"], chat["share"]) == (0.25, None)
    assert (fraud["breaker"], here["breaker"]) == ("open", None)
    assert fraud["address"] == "http://models:8080"


def test_on_a_terminal_it_looks_until_told_to_stop(
    pointsman: Pointsman, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that becomes ready is seen; Ctrl-C ends it."""
    Wire.says.update(chat=LOADING)
    looks = iter([Wire.says.clear, None])

    def sleep(seconds: float) -> None:
        del seconds
        change = next(looks)
        if change is None:
            raise KeyboardInterrupt
        change()

    monkeypatch.setattr("pointsman.cli.models.is_terminal", lambda: True)
    monkeypatch.setattr("pointsman.cli.models.time.sleep", sleep)
    done = pointsman("models", cwd=folder)
    last = [line.split() for line in done.out.splitlines() if line.startswith(("fraud", "chat", "lone"))]

    assert done.code == 130
    assert [line[line.index("yes")] for line in last[-3:]] == ["yes"] * 3


def test_metrics_that_cannot_be_read_are_the_environments_fault(pointsman: Pointsman, folder: Path) -> None:
    """The message says where it looked and how to serve them."""
    done = pointsman("models", "--metrics", "127.0.0.1:9", cwd=folder)

    assert done.code == 3
    assert "no metrics at http://127.0.0.1:9/metrics" in done.err


def test_metrics_are_read_as_they_are_written() -> None:
    """What a run exposes comes back the same, histograms and odd labels too."""
    counted = Metrics()
    counted.count("pointsman_model_results_total", 3, 'a "b"\\\n{c}', "ok")
    counted.set("pointsman_lag_events", 7, "t", "0")
    for value in (0.0001, 0.3, 99.0):
        counted.observe("pointsman_model_call_seconds", value, "m")
    snapshot = counted.snapshot()
    read = parsed(expose(snapshot))

    assert {name: read[name] for name in snapshot} == snapshot
