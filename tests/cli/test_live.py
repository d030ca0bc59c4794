"""`pointsman check --live` on real protocols: what each can tell, and what it says where that is little."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.conftest import Pointsman

SAYS = {
    "/v2/models/fraud/ready": "{}",
    "/v2/models/fraud": '{"name": "fraud", "versions": ["3"], "outputs": [], '
    '"inputs": [{"name": "amount", "datatype": "FP64", "shape": [-1, 1]}]}',
    "/v2/models/silent/ready": "{}",
    "/v1/models/income": '{"name": "income", "ready": true}',
    "/v1/models": '{"data": [{"id": "small"}, {"id": "large"}]}',
    "/ping": "\n",
    "/version": "2.21.3",
    "/scores/health": "fine",
    "/topics/asked": '{"name": "asked"}',
}
"""What a server of every protocol says to GET; 404 to all else."""

PIPELINE = """\
version: 1
pipeline: small
source: {topics: [events], fields: {amount: double}}
models:
  fraud: {open_inference: "SERVER", inputs: {amuont: amount}}
  silent: {open_inference: "SERVER", inputs: {amount: amount}}
  income: {kserve: "SERVER", inputs: {amount: amount}}
  chat: {openai: "SERVER/v1", model: small, prompt: "string(amount)"}
  missing: {openai: "SERVER/v1", model: smal, prompt: "string(amount)"}
  scorer: {mlflow: "SERVER", inputs: {amount: amount}}
  known: {http: "SERVER/scores", health: /health, inputs: {amount: amount}}
  plain: {http: "SERVER/scores", inputs: {amount: amount}, batch: {size: 8}}
  handed: {kafka_rest: "SERVER", topic: asked, api: v2, inputs: {amount: amount}}
  down: {mlflow: "http://127.0.0.1:DOWN", inputs: {amount: amount}}
routes:
  - {name: all, use: fraud, fallback: [silent, income, chat, missing, scorer, known, plain, handed, down]}
"""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server of every protocol."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = SAYS.get(self.path)
            self.send_response(404 if said is None else 200)
            self.end_headers()
            self.wfile.write((said or '{"error": "not found"}').encode())

        def log_message(self, *told: object) -> None:
            del told

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def folder(server: str, tmp_path: Path) -> Iterator[Path]:
    """A pipeline that asks the server by every protocol, and one server that is down."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        text = PIPELINE.replace("SERVER", server).replace("DOWN", str(nobody.getsockname()[1]))
        (tmp_path / "pipeline.yaml").write_text(text, "utf-8")
        yield tmp_path


def test_each_protocol_tells_what_it_can(
    pointsman: Pointsman, folder: Path, golden: Callable[[str, str], None]
) -> None:
    """A wrong tensor name, a model that is not there and a server that is down exit 1; the rest is said."""
    done = pointsman("check", "--live", cwd=folder)
    text = re.sub(r"(127\.0\.0\.1(?::|', ))[0-9]+", r"\1<port>", done.out)

    assert done.code == 1
    golden("check-live-protocols", re.sub(r"\^{5,}", "^^^^^", text))


def test_programs_get_the_same(pointsman: Pointsman, folder: Path) -> None:
    """--json has the findings, and what is known of the models whose inputs were not compared."""
    told = json.loads(pointsman("check", "--live", "--json", cwd=folder).out)
    alone = json.loads(pointsman("check", "--json", cwd=folder).out)

    assert {one["code"] for one in told["findings"]} == {"W228", "E501", "E502", "E503"}
    assert set(told["not_compared"]) == {"silent", "income", "chat", "scorer", "known", "plain", "handed"}
    assert [one["code"] for one in alone["findings"]] == ["W228"]
    assert "not_compared" not in alone


@pytest.mark.parametrize(
    ("model", "warned"),
    [
        ('{http: "http://h:1", batched: true, inputs: {n: n}, batch: {size: 8}}', None),
        ('{kafka_rest: "http://h:1", topic: t, inputs: {n: n}, batch: {size: 8}}', "write api: v2, or"),
        ("{kafka: t, inputs: {n: n}, batch: {size: 8}}", "remove it; requests"),
        (
            '{open_inference: "http://h:1", inputs: {n: n}, tensors: {n: {axis: none}}, batch: {size: 8}}',
            "write an axis for each of 'tensors', or remove it",
        ),
        ("{kafka: t, inputs: {n: n}}", None),
    ],
)
def test_batch_where_a_request_is_one_event(
    pointsman: Pointsman, tmp_path: Path, model: str, warned: str | None
) -> None:
    """`batch` is warned of at its place where the model takes none; what `defaults` gives is not."""
    text = f"""version: 1
pipeline: p
source: {{topics: [in], fields: {{n: double}}}}
defaults: {{{"" if "batch:" in model else "batch: {size: 8}"}}}
models:
  far: {model}
routes: [{{name: all, use: far}}]
"""
    (tmp_path / "pipeline.yaml").write_text(text, "utf-8")
    found = json.loads(pointsman("check", "--json", cwd=tmp_path).out)["findings"]

    if warned is None:
        assert found == []
        return
    (one,) = found
    at = text.splitlines()[5].index("{size: 8}") + 1
    assert (one["code"], one["severity"], one["line"], one["column"]) == ("W228", "warning", 6, at)
    assert warned in one["hint"]
