"""Triton Inference Server 2.51, as nvidia-pytriton carries it: V2 by REST and gRPC, always raw in answers.

Its Python backend is built for Debian's own Python 3.11; where that is not the machine's, there is no Triton.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from servers.environment import NotMade, environment
from servers.process import Server, free_port, serving

__all__ = ["PYTHON", "REQUIREMENTS", "serve"]

PYTHON = Path("/usr/bin/python3.11")
"""The Python it needs."""

REQUIREMENTS = ("nvidia-pytriton==0.7.0", "numpy<2")

PROGRAM = '''
"""A model that answers 2a + 3b + 1, one that gives back, one that refuses, one with a mistake of its own."""
import sys

import numpy as np
from pytriton.decorators import batch
from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

HTTP, GRPC, METRICS = map(int, sys.argv[1:])
KINDS = ["float16", "float32", "int8", "uint64", "bool"]  # two to three seconds each


@batch
def linear(x):
    return {"score": (2 * x[:, :1] + 3 * x[:, 1:] + 1)}


@batch
def echo(x):
    return {"x": x}


@batch
def raising(x):
    raise RuntimeError("no such column")


address = "127.0.0.1"
config = TritonConfig(
    http_address=address, http_port=HTTP, grpc_address=address, grpc_port=GRPC,
    metrics_address=address, metrics_port=METRICS, allow_metrics=False,
)
pair = [Tensor(name="x", dtype=np.float64, shape=(2,))]
score = [Tensor(name="score", dtype=np.float64, shape=(1,))]
with Triton(config=config) as triton:
    batches = ModelConfig(max_batch_size=64)
    triton.bind("linear", linear, pair, score, model_version=3, config=batches)
    triton.bind("raising", raising, pair, score, config=batches)
    for kind in KINDS:
        tensor = [Tensor(name="x", dtype=np.dtype(kind).type, shape=(-1,))]
        triton.bind(f"echo-{kind}", echo, tensor, tensor, config=batches)
    text = [Tensor(name="x", dtype=bytes, shape=(-1,))]
    triton.bind("echo-string", echo, text, text, config=batches)
    triton.serve()
'''


@contextlib.contextmanager
def serve(folder: Path, rest_port: int = 0, grpc_port: int = 0) -> Iterator[Server]:
    """A running Triton.

    Args:
        folder: An empty folder, or the one of an earlier run.
        rest_port: Its port; 0 for any free one.
        grpc_port: The same for gRPC.

    Raises:
        NotMade: This machine cannot have one.
    """
    if not PYTHON.exists():
        raise NotMade(f"Triton needs {PYTHON}, which this machine has not")
    python = environment("triton", *REQUIREMENTS, base=str(PYTHON))
    rest_port, grpc_port = rest_port or free_port(), grpc_port or free_port()
    (folder / "serve.py").write_text(PROGRAM)
    command = [python, "serve.py", str(rest_port), str(grpc_port), str(free_port())]
    rest, grpc = f"http://127.0.0.1:{rest_port}", f"grpc://127.0.0.1:{grpc_port}"
    own = {"PYTRITON_HOME": str(folder / "home")}
    with serving(
        command, folder, "/v2/models/echo-string/ready", rest=rest, grpc=grpc, environment=own
    ) as server:
        yield server
