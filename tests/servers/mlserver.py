"""MLServer 1.7.1: the Open Inference Protocol by REST and gRPC, with a scikit-learn model and echoes."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from servers.environment import environment
from servers.process import Server, free_port, serving

__all__ = ["REQUIREMENTS", "serve"]

REQUIREMENTS = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")

TRAIN = """
import joblib, numpy as np
from sklearn.linear_model import LinearRegression
x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
joblib.dump(LinearRegression().fit(x, 2 * x[:, 0] + 3 * x[:, 1] + 1), "model.joblib")
"""
"""A model that answers 2a + 3b + 1."""

RUNTIME = '''
from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse, ResponseOutput


class Echo(MLModel):
    """Gives every tensor back under its own name."""

    async def predict(self, payload):
        outputs = [
            ResponseOutput(name=one.name, shape=one.shape, datatype=one.datatype, data=one.data)
            for one in payload.inputs
        ]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


class Refusing(MLModel):
    """Refuses whatever it is given."""

    async def predict(self, payload):
        raise InferenceError("amount must not be negative")


class Raising(MLModel):
    """Has a mistake of its own."""

    async def predict(self, payload):
        raise RuntimeError("no such column")
'''

MODELS = {
    "linear": ("mlserver_sklearn.SKLearnModel", {"uri": "./model.joblib", "version": "v7"}),
    "echo": ("runtime.Echo", {"version": "v1"}),
    "refusing": ("runtime.Refusing", {}),
    "raising": ("runtime.Raising", {}),
}

SAID = {
    "linear": {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1, 1]}],
    }
}
"""What a model's metadata declares."""


@contextlib.contextmanager
def serve(folder: Path, rest_port: int = 0, grpc_port: int = 0) -> Iterator[Server]:
    """A running MLServer.

    Args:
        folder: An empty folder, or the one of an earlier run.
        rest_port: Its port; 0 for any free one.
        grpc_port: The same for gRPC.
    """
    python = environment("mlserver", *REQUIREMENTS)
    rest_port, grpc_port = rest_port or free_port(), grpc_port or free_port()
    settings = {
        "host": "127.0.0.1",
        "http_port": rest_port,
        "grpc_port": grpc_port,
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "runtime.py").write_text(RUNTIME)
    for name, (implementation, parameters) in MODELS.items():
        (folder / name).mkdir(exist_ok=True)
        model = {
            "name": name,
            "implementation": implementation,
            "parameters": parameters,
            **SAID.get(name, {}),
        }
        (folder / name / "model-settings.json").write_text(json.dumps(model))
    if not (folder / "linear" / "model.joblib").exists():
        subprocess.run([python, "-c", TRAIN], cwd=folder / "linear", check=True)
    command = [python.parent / "mlserver", "start", "."]
    rest, grpc = f"http://127.0.0.1:{rest_port}", f"grpc://127.0.0.1:{grpc_port}"
    with serving(command, folder, "/v2/health/ready", rest=rest, grpc=grpc) as server:
        yield server
