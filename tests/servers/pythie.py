"""pythie-serving 3.4: TensorFlow Serving's Predict over gRPC, with a scikit-learn model.

It has no model status, no metadata and no versions, and answers UNKNOWN where TensorFlow Serving itself
answers NOT_FOUND or INVALID_ARGUMENT.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from servers.environment import environment
from servers.process import Server, free_port, serving

__all__ = ["REQUIREMENTS", "serve"]

REQUIREMENTS = ("pythie-serving==3.4.3", "scikit-learn")

TRAIN = """
import cloudpickle, numpy as np
from sklearn.linear_model import LinearRegression
x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
cloudpickle.dump(LinearRegression().fit(x, 2 * x[:, 0] + 3 * x[:, 1] + 1), open("linear.pickled", "wb"))
"""
"""A model that answers 2a + 3b + 1."""

PROGRAM = '''
"""Hosts the servicer on the loopback interface; pythie-serving's own command listens on all of them."""
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
from google.protobuf import text_format
from pythie_serving.sklearn_wrapper import SklearnPredictionServiceServicer
from pythie_serving.tensorflow_proto.tensorflow_serving.apis import prediction_service_pb2_grpc
from pythie_serving.tensorflow_proto.tensorflow_serving.config import model_server_config_pb2

READY, GRPC = int(sys.argv[1]), int(sys.argv[2])
CONFIG = 'model_config_list {config {name: "linear" base_path: "." model_platform: "sklearn"}}'


class Ready(BaseHTTPRequestHandler):
    """Says that the server has started: gRPC alone cannot be asked."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()


config = text_format.Parse(CONFIG, model_server_config_pb2.ModelServerConfig())
server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
servicer = SklearnPredictionServiceServicer(model_server_config=config)
prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
server.add_insecure_port(f"127.0.0.1:{GRPC}")
server.start()
HTTPServer(("127.0.0.1", READY), Ready).serve_forever()
'''


@contextlib.contextmanager
def serve(folder: Path, rest_port: int = 0, grpc_port: int = 0) -> Iterator[Server]:
    """A running pythie-serving.

    Args:
        folder: An empty folder, or the one of an earlier run.
        rest_port: Where it says that it is ready; 0 for any free one.
        grpc_port: Its port.
    """
    python = environment("pythie", *REQUIREMENTS)
    rest_port, grpc_port = rest_port or free_port(), grpc_port or free_port()
    (folder / "serve.py").write_text(PROGRAM)
    (folder / "metadata.json").write_text(json.dumps({"feature_names": ["a", "b"]}))
    if not (folder / "linear.pickled").exists():
        subprocess.run([python, "-c", TRAIN], cwd=folder, check=True)
    command = [python, "serve.py", str(rest_port), str(grpc_port)]
    rest, grpc = f"http://127.0.0.1:{rest_port}", f"grpc://127.0.0.1:{grpc_port}"
    with serving(command, folder, "/", rest=rest, grpc=grpc) as server:
        yield server
