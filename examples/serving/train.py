"""Trains the ONNX model of Perth and writes it to `models/`: `python -m examples.serving.train`.

The models behind the servers are trained where they are served, in `tests/servers`; all of them learn from
deliveries that take a minute, two for each kilometre and three for each stop.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

__all__ = ["FOLDER", "perth", "truth"]

FOLDER = Path(__file__).parent / "models"


def truth(km: float, stops: float) -> float:
    """The minutes that a delivery takes."""
    return 2.0 * km + 3.0 * stops + 1.0


def perth() -> bytes:
    """A linear regression over kilometres and stops."""
    import pandas as pd

    rows = pd.DataFrame({"km": [0.0, 1.0, 0.0, 1.0], "stops": [0.0, 0.0, 1.0, 1.0]}, dtype=np.float32)
    columns = make_column_transformer(("passthrough", ["km", "stops"]))
    minutes = [truth(km, stops) for km, stops in zip(rows["km"], rows["stops"], strict=True)]
    fitted = make_pipeline(columns, LinearRegression()).fit(rows, minutes)
    inputs = [(name, FloatTensorType([None, 1])) for name in ("km", "stops")]
    written: bytes = to_onnx(fitted, initial_types=inputs, target_opset=17).SerializeToString()
    return written


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "perth.onnx").write_bytes(perth())
