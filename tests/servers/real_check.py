"""`pointsman check --live` at a real server; `make test-servers` runs this, and `make test` does not."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from cli.conftest import Pointsman, pointsman
from servers import mlserver

__all__ = ["pointsman"]

GOLDEN = Path(__file__).parent / "check-live.txt"

PIPELINE = """\
version: 1
pipeline: deliveries
source: {topics: [events], fields: {km: double, stops: double}}
endpoints:
  rest: {open_inference: "${REST}"}
  grpc: {open_inference: "${GRPC}"}
  away: {kserve: "${DOWN}"}
models:
  right: {endpoint: rest, model: linear, inputs: {a: km, b: stops}, tensors: {x: {of: [a, b]}}}
  named: {endpoint: rest, model: linear, inputs: {a: km, b: stops}, tensors: {y: {of: [a, b]}}}
  wired: {endpoint: grpc, model: linear, inputs: {a: km, b: stops}, tensors: {y: {of: [a, b]}}}
  newer: {endpoint: grpc, model: linear, version: v8, inputs: {a: km, b: stops}, tensors: {x: {of: [a, b]}}}
  thin: {endpoint: grpc, model: linear, inputs: {a: km}, tensors: {x: {of: [a]}}}
  down: {endpoint: away, model: linear, inputs: {a: km, b: stops}}
routes:
  - {name: all, use: right, fallback: [named, wired, newer, thin, down]}
"""


def test_a_wrong_tensor_and_a_server_that_is_down(
    pointsman: Pointsman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a real server declares is held against the document, and who is away is told; exit code 1.

    POINTSMAN_GOLDEN=write writes what was said to the golden file.
    """
    (tmp_path / "pipeline.yaml").write_text(PIPELINE, "utf-8")
    (tmp_path / "server").mkdir()
    with mlserver.serve(tmp_path / "server") as server, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("REST", server.rest)
        monkeypatch.setenv("GRPC", server.grpc)
        monkeypatch.setenv("DOWN", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        done = pointsman("check", "--live", cwd=tmp_path)
    said = re.sub(r"(127\.0\.0\.1(?::|', ))[0-9]+", r"\1<port>", done.out)
    if os.environ.get("POINTSMAN_GOLDEN") == "write":
        GOLDEN.write_text(said, "utf-8")

    assert done.code == 1
    assert said == GOLDEN.read_text("utf-8")
