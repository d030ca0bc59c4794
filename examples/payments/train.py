"""Trains the two ONNX models and writes them to `models/`: `python -m examples.payments.train`.

The transactions are made up, with a fixed seed: they show how a scikit-learn model gets into a pipeline.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

__all__ = ["FOLDER", "drawn", "fraud", "ios"]

FOLDER = Path(__file__).parent / "models"
SEGMENTS = ["new", "silver", "gold"]
RISK = {"new": 1.2, "silver": 0.0, "gold": -1.0}


def drawn(size: int, seed: int) -> pd.DataFrame:
    """`size` transactions with `is_fraud`; large amounts of new customers are the likeliest."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "amount": random.lognormal(6.0, 1.2, size).round(2).astype(np.float32),
            "device": random.choice(["iOS", "Android", "Web"], size, p=[0.4, 0.4, 0.2]),
            "segment": random.choice(SEGMENTS, size, p=[0.3, 0.5, 0.2]),
        }
    )
    lift = rows["segment"].map(RISK) + 0.8 * (rows["device"] == "Web") + 1.1 * np.log(rows["amount"] / 1000)
    rows["is_fraud"] = random.random(size) < 1 / (1 + np.exp(1.5 - lift))
    return rows


def fraud() -> bytes:
    """fraud-model-v2: boosted trees over the amount, the device and the segment."""
    rows = drawn(8000, seed=8723)
    columns = make_column_transformer(
        ("passthrough", ["amount"]), (OneHotEncoder(handle_unknown="ignore"), ["device", "segment"])
    )
    trees = GradientBoostingClassifier(n_estimators=30, max_depth=3, random_state=8723)
    fitted = make_pipeline(columns, trees).fit(rows, rows["is_fraud"].astype(np.int64))
    return written(
        fitted, {"amount": FloatTensorType, "device": StringTensorType, "segment": StringTensorType}
    )


def ios() -> bytes:
    """ios-optimized-model: a logistic regression over the amount and the segment, learnt from iOS alone."""
    rows = drawn(8000, seed=1020)
    rows = rows[rows["device"] == "iOS"]
    columns = make_column_transformer(
        (StandardScaler(), ["amount"]), (OneHotEncoder(handle_unknown="ignore"), ["segment"])
    )
    fitted = make_pipeline(columns, LogisticRegression()).fit(rows, rows["is_fraud"].astype(np.int64))
    return written(fitted, {"amount": FloatTensorType, "segment": StringTensorType})


def written(fitted: object, inputs: dict[str, type]) -> bytes:
    """The fitted model as ONNX: one input of shape (n, 1) per feature, `probabilities` of shape (n, 2)."""
    types = [(name, kind([None, 1])) for name, kind in inputs.items()]
    model = to_onnx(fitted, name="payments", initial_types=types, options={"zipmap": False}, target_opset=18)
    return bytes(model.SerializeToString())


def main() -> None:
    """Trains both models and writes them."""
    for name, content in (("fraud_v2", fraud()), ("ios", ios())):
        (FOLDER / f"{name}.onnx").write_bytes(content)
        print(f"{name}.onnx: {len(content):,} bytes")


if __name__ == "__main__":
    main()
