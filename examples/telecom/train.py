"""Trains the three ONNX models and writes them to `models/`: `python -m examples.telecom.train`.

The sessions are made up, with a fixed seed: an iPhone buffers more, and where the latency is high it
matters most.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["FOLDER", "drawn", "trained"]

FOLDER = Path(__file__).parent / "models"


def drawn(size: int, seed: int) -> pd.DataFrame:
    """`size` sessions with `stalled`."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "signal": random.normal(-95.0, 12.0, size),
            "mbps": random.lognormal(0.8, 0.8, size),
            "rtt": random.lognormal(4.2, 0.7, size),
            "ios": random.random(size) < 0.5,
        },
    )
    lift = 0.3 * rows["mbps"] - (rows["signal"] + 95.0) / 8.0 - 0.7 * rows["ios"]
    lift += (rows["rtt"] / 100.0) ** 1.5
    rows["stalled"] = random.random(size) < 1 / (1 + np.exp(3.5 - lift))
    return rows


def trained(name: str) -> bytes:
    """The model of a name as ONNX: one float input of shape (n, 1) per feature, `probabilities` of (n, 2)."""
    rows = drawn(20_000, seed=5)
    if name == "congested":
        rows, features = rows[rows["rtt"] > 150.0], ["signal", "mbps", "rtt"]
        model = GradientBoostingClassifier(n_estimators=30, max_depth=3, random_state=5)
    else:
        rows, features = rows[(rows["rtt"] <= 150.0) & (rows["ios"] == (name == "ios"))], ["signal", "mbps"]
        model = make_pipeline(StandardScaler(), LogisticRegression())
    order = make_column_transformer(("passthrough", features), remainder="drop")
    known = rows[features].astype(np.float32)
    fitted = make_pipeline(order, model).fit(known, rows["stalled"].astype(np.int64))
    types = [(feature, FloatTensorType([None, 1])) for feature in features]
    made = to_onnx(fitted, name="telecom", initial_types=types, options={"zipmap": False}, target_opset=18)
    return bytes(made.SerializeToString())


def main() -> None:
    """Trains each model and writes it."""
    for name in ("ios", "android", "congested"):
        content = trained(name)
        (FOLDER / f"{name}.onnx").write_bytes(content)
        print(f"{name}.onnx: {len(content):,} bytes")


if __name__ == "__main__":
    main()
