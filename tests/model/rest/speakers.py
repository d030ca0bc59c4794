"""What servers of each REST protocol answer: a model that gives 2a + 3b + 1, and one that gives back.

TensorFlow Serving and OpenAI's API are stand-ins written from their public documentation.
"""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["anything", "kserve", "mlflow", "open_inference", "openai", "tensorflow_serving"]


def _linear(row: Any) -> float:
    a, b = row.values() if isinstance(row, dict) else row
    return float(2 * a + 3 * b + 1)


def _longer(found: list[Any], fault: str) -> list[Any]:
    return [*found, found[-1]] if fault == "wrong_length" else found


def kserve(method: str, path: str, body: Any, fault: str) -> tuple[int, Any]:
    """KServe's V1 protocol."""
    if method == "GET":
        if fault == "not_ready":
            return 503, {"error": "Model with name linear is not ready."}
        return 200, {"name": "linear", "ready": True}
    rows = body["instances"]
    found = rows if path == "/v1/models/echo:predict" else [_linear(row) for row in rows]
    return 200, {"predictions": _longer(found, fault)}


def mlflow(method: str, path: str, body: Any, fault: str) -> tuple[int, Any]:
    """MLflow's scoring server."""
    if method == "GET":
        return (503, "\n") if fault == "not_ready" else (200, "\n")
    assert path == "/invocations"
    rows = body["dataframe_split"]["data"] if "dataframe_split" in body else body.get("instances")
    if rows is None:
        columns = body["inputs"]
        rows = list(zip(*columns.values(), strict=True)) if isinstance(columns, dict) else columns
    if len(rows[0] if isinstance(rows[0], list) else [0]) == 1:
        return 200, {"predictions": [row[0] if isinstance(row, list) else row for row in rows]}
    return 200, {"predictions": _longer([_linear(row) for row in rows], fault)}


def open_inference(method: str, path: str, body: Any, fault: str) -> tuple[int, Any]:
    """The Open Inference Protocol."""
    if method == "GET":
        if path.endswith("/ready"):
            return (400, {"error": "model is loading"}) if fault == "not_ready" else (200, {})
        inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
        outputs = [{"name": "score", "datatype": "FP64", "shape": [-1]}]
        return 200, {"name": "linear", "versions": ["4"], "inputs": inputs, "outputs": outputs}
    if "/echo/" in path:
        outputs = body["inputs"]
    else:
        one = body["inputs"][0]
        assert len(one["data"]) == math.prod(one["shape"])
        pairs = zip(one["data"][::2], one["data"][1::2], strict=True)
        found = _longer([_linear(pair) for pair in pairs], fault)
        outputs = [{"name": "score", "datatype": "FP64", "shape": [len(found)], "data": found}]
    ident = "another" if fault == "wrong_id" else body["id"]
    return 200, {"model_name": "linear", "model_version": "4", "id": ident, "outputs": outputs}


def tensorflow_serving(method: str, path: str, body: Any, fault: str) -> tuple[int, Any]:
    """TensorFlow Serving."""
    if method == "GET" and path.endswith("/metadata"):
        dims = [{"size": "-1", "name": ""}]
        info = {"dtype": "DT_DOUBLE", "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": "n:0"}
        one = {"inputs": {"a": info, "b": info}, "outputs": {"score": info}, "method_name": "predict"}
        spec = {"name": "linear", "signature_name": "", "version": "12"}
        signatures = {"signature_def": {"signature_def": {"serving_default": one}}}
        return 200, {"model_spec": spec, "metadata": signatures}
    if method == "GET":
        state = "LOADING" if fault == "not_ready" else "AVAILABLE"
        status = {"error_code": "OK", "error_message": ""}
        return 200, {"model_version_status": [{"version": "12", "state": state, "status": status}]}
    echo = path.endswith("/echo:predict")
    if "inputs" in body:
        columns = body["inputs"]
        if echo:
            return 200, {"outputs": columns}
        rows = list(zip(columns["a"], columns["b"], strict=True))
        return 200, {"outputs": _longer([_linear(row) for row in rows], fault)}
    rows = body["instances"]
    return 200, {"predictions": _longer(rows if echo else [_linear(row) for row in rows], fault)}


def anything(method: str, path: str, body: Any, fault: str) -> tuple[int, Any]:
    """A REST API as somebody may have written it."""
    if path == "/health":
        return (503, {"detail": "starting"}) if fault == "not_ready" else (200, {})
    if path.startswith("/echo"):
        return 200, {"method": method, "path": path, "body": body}
    if isinstance(body, list):
        return 200, {"data": _longer([_linear(row) for row in body], fault)}
    return 200, {"data": {"score": _linear(body)}}


def openai(method: str, path: str, body: Any, fault: str) -> tuple[int, Any]:
    """Chat and embeddings as OpenAI's API has them."""
    if method == "GET":
        if fault == "not_ready":
            return 404, {"error": {"message": "The model 'small' does not exist", "type": "not_found"}}
        return 200, {"id": "small-2026", "object": "model"}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    if path.endswith("/embeddings"):
        data = [
            {"object": "embedding", "index": n, "embedding": [float(len(text)), 1.0]}
            for n, text in enumerate(body["input"])
        ]
        data = _longer(data[::-1], fault)
        usage = {"prompt_tokens": 4 * len(body["input"]), "total_tokens": 4 * len(body["input"])}
        return 200, {"object": "list", "data": data, "model": "small-2026", "usage": usage}
    said = body["messages"][-1]["content"]
    if "response_format" in body:
        said = json.dumps({"said": said})
    message = {"role": "assistant", "content": said.upper() if "response_format" not in body else said}
    choices = [] if fault == "wrong_length" else [{"index": 0, "message": message, "finish_reason": "stop"}]
    return 200, {"id": "c-1", "model": "small-2026", "choices": choices, "usage": usage}
