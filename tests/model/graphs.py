"""Small ONNX models, made or trained by the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, save_model

FLOAT, DOUBLE, INT64, STRING, BOOL = (
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL,
)  # fmt: skip


def graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[tuple[str, int, Sequence[Any]]],
    outputs: Sequence[tuple[str, int, Sequence[Any]]],
    version: str | None = None,
    constants: Sequence[Any] = (),
) -> Path:
    """Saves a graph of `nodes` with inputs and outputs given as (name, type, shape)."""
    made = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(*given) for given in inputs],
        [helper.make_tensor_value_info(*given) for given in outputs],
        list(constants),
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if version is not None:
        helper.set_model_props(model, {"version": version})
    save_model(model, path)
    return path


def echo(path: Path, kind: int, shape: Sequence[Any] = ("n",), version: str | None = None) -> Path:
    """A graph whose output `y` is its input `x`."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return graph(path, [node], [("x", kind, shape)], [("y", kind, shape)], version)


def classifier(path: Path, zipmap: bool) -> tuple[Path, Any]:
    """A logistic regression of scikit-learn on two columns: the file and the model."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(7)
    x = draw.normal(size=(200, 2)).astype(np.float32)
    fitted = LogisticRegression().fit(x, (x[:, 0] + 2 * x[:, 1] > 0).astype(np.int64))
    made = to_onnx(fitted, x[:1], options={"zipmap": zipmap}, target_opset=17)
    path.write_bytes(made.SerializeToString())
    return path, fitted


def regressor_by_column(path: Path) -> tuple[Path, Any]:
    """A pipeline with one named input for each of a number and a string column: the file and the model."""
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"amount": [1.0, 2.0, 3.0, 4.0], "device": ["iOS", "web", "iOS", "web"]})
    encode = ColumnTransformer(
        [("d", OneHotEncoder(handle_unknown="ignore"), ["device"]), ("a", "passthrough", ["amount"])]
    )
    fitted = make_pipeline(encode, LinearRegression()).fit(frame, [1.0, 5.0, 3.0, 7.0])
    kinds = [("amount", FloatTensorType([None, 1])), ("device", StringTensorType([None, 1]))]
    path.write_bytes(to_onnx(fitted, initial_types=kinds, target_opset=17).SerializeToString())
    return path, fitted
