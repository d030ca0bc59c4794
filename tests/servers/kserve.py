"""KServe 0.21: the V1 protocol, and the Open Inference Protocol by REST and gRPC, with models of our own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from servers.environment import environment
from servers.process import Server, free_port, serving

__all__ = ["REQUIREMENTS", "serve"]

REQUIREMENTS = ("kserve==0.21.0",)

PROGRAM = '''
"""Serves two models on the loopback interface; KServe itself listens on all interfaces."""
import sys

import grpc.aio
import uvicorn
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput

REST, GRPC = int(sys.argv[1]), int(sys.argv[2])


class Config(uvicorn.Config):
    def __init__(self, *args, **more):
        super().__init__(*args, **{**more, "host": "127.0.0.1"})


uvicorn.Config = Config
made = grpc.aio.server


def server(*args, **more):
    found = made(*args, **more)
    bound = found.add_insecure_port
    found.add_insecure_port = lambda address: bound(f"127.0.0.1:{GRPC}")
    return found


grpc.aio.server = server


class Linear(Model):
    """Answers 2a + 3b + 1."""

    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, InferRequest):
            values = payload.inputs[0].as_numpy()
            found = 2 * values[:, 0] + 3 * values[:, 1] + 1
            output = InferOutput("score", [len(found)], "FP64", data=found.tolist())
            return InferResponse(payload.id, self.name, [output], model_version="v1")
        rows = [list(row.values()) if isinstance(row, dict) else row for row in payload["instances"]]
        if any(a < 0 for a, _ in rows):
            raise InvalidInput("a must not be negative")
        return {"predictions": [2 * a + 3 * b + 1 for a, b in rows]}


class Raising(Model):
    """Has a mistake of its own."""

    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        raise RuntimeError("no such column")


class Loading(Model):
    """Is not ready yet."""

    async def predict(self, payload, headers=None, response_headers=None):
        return {"predictions": []}


if __name__ == "__main__":
    ModelServer(http_port=REST, grpc_port=GRPC, workers=1).start(
        [Linear("linear"), Raising("raising"), Loading("loading")]
    )
'''


@contextlib.contextmanager
def serve(folder: Path, rest_port: int = 0, grpc_port: int = 0) -> Iterator[Server]:
    """A running KServe.

    Args:
        folder: An empty folder, or the one of an earlier run.
        rest_port: Its port; 0 for any free one.
        grpc_port: The same for gRPC.
    """
    python = environment("kserve", *REQUIREMENTS)
    rest_port, grpc_port = rest_port or free_port(), grpc_port or free_port()
    (folder / "models.py").write_text(PROGRAM)
    command = [python, "models.py", str(rest_port), str(grpc_port)]
    rest, grpc = f"http://127.0.0.1:{rest_port}", f"grpc://127.0.0.1:{grpc_port}"
    with serving(command, folder, "/v1/models/linear", rest=rest, grpc=grpc) as server:
        yield server
