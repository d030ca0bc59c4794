"""MLflow 3.17's scoring server, with a model that was logged with a signature."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from servers.environment import environment
from servers.process import Server, free_port, serving

__all__ = ["REQUIREMENTS", "serve"]

REQUIREMENTS = ("mlflow==3.17.0",)

MODEL = '''
"""Answers 2a + 3b + 1; refuses what is negative."""
import mlflow
import numpy as np


class Linear(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if isinstance(model_input, dict):
            a, b = np.asarray(model_input["a"]), np.asarray(model_input["b"])
        elif hasattr(model_input, "columns"):
            a, b = model_input["a"].to_numpy(), model_input["b"].to_numpy()
        else:
            a, b = np.asarray(model_input)[:, 0], np.asarray(model_input)[:, 1]
        if (a < 0).any():
            raise ValueError("a must not be negative")
        return 2 * a + 3 * b + 1


mlflow.models.set_model(Linear())
'''

SAVE = """
import mlflow
mlflow.pyfunc.save_model("model", python_model="linear.py", pip_requirements=[])
"""


@contextlib.contextmanager
def serve(folder: Path, rest_port: int = 0) -> Iterator[Server]:
    """A running scoring server.

    Args:
        folder: An empty folder, or the one of an earlier run.
        rest_port: Its port; 0 for any free one.
    """
    python = environment("mlflow", *REQUIREMENTS)
    rest_port = rest_port or free_port()
    (folder / "linear.py").write_text(MODEL)
    if not (folder / "model" / "MLmodel").exists():
        subprocess.run([python, "-c", SAVE], cwd=folder, check=True, capture_output=True)
    command = [python.parent / "mlflow", "models", "serve", "-m", "model", "--env-manager", "local"]
    command += ["-h", "127.0.0.1", "-p", str(rest_port), "--workers", "1"]
    with serving(command, folder, "/ping", rest=f"http://127.0.0.1:{rest_port}") as server:
        yield server
