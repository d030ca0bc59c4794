"""Trains the delay models and writes them to `models/`: `python -m examples.flights.train`.

Each learns from the flights of January to June of its own routes; July to December are left for `run.py`,
which says how well the models rank flights they have not seen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from examples.flights.data import REGIONAL, airport, frame

__all__ = ["FEATURES", "FOLDER", "TIMETABLE", "TYPICAL", "features", "owner", "train"]

FOLDER = Path(__file__).parent / "models"
LAST_MONTH = 6
TYPICAL = {"temp": 57.0, "wind_speed": 9.2, "precip": 0.0, "visib": 10.0, "pressure": 1017.9}
"""What stands for weather that was not measured; the same values as in `pipeline.yaml`."""
TIMETABLE = ["hour", "weekday", "distance", "airport_delay"]
"""What is known of every flight, whatever the weather station does."""
FEATURES = [*TIMETABLE, *TYPICAL]


def features(rows: pd.DataFrame) -> pd.DataFrame:
    """The inputs of each row of `frame`, all float32. Its own delay is none: only those before it are."""
    local = pd.to_datetime(rows["departed"], unit="ms", utc=True).dt.tz_convert("America/New_York")
    weekday = (local.dt.day_of_week + 1) % 7  # CEL counts from Sunday
    filled = rows.fillna(TYPICAL).assign(weekday=weekday, airport_delay=airport(rows)["delay"].fillna(0.0))
    return filled[FEATURES].astype(np.float32)


def owner(rows: pd.DataFrame) -> np.ndarray:
    """The name of the model that learns from each row; the timetable's learns from all."""
    return np.select(
        [rows["distance"] >= 2000, rows["carrier"].isin(REGIONAL), rows["origin"] == "EWR"],
        ["long_haul", "regional", "newark"],
        default="queens",
    )


def train(known: pd.DataFrame, late: np.ndarray) -> bytes:
    """An ONNX model of the probability that a flight is late, from all columns of `known`.

    It has one float input of shape (n, 1) per feature; its output `probabilities` has the shape (n, 2).
    """
    names = list(known)
    order = make_column_transformer(("passthrough", names), remainder="drop")
    trees = GradientBoostingClassifier(
        n_estimators=60, max_depth=3, learning_rate=0.15, subsample=0.5, random_state=2013
    )
    fitted = make_pipeline(order, trees).fit(known, late.astype(np.int64))
    types = [(name, FloatTensorType([None, 1])) for name in names]
    model = to_onnx(fitted, name="flights", initial_types=types, options={"zipmap": False}, target_opset=18)
    return bytes(model.SerializeToString())


def main() -> None:
    """Trains every model and writes it."""
    rows = frame()
    known, late = features(rows), rows["late"].to_numpy()
    by_owner = owner(rows)
    first = (rows["month"] <= LAST_MONTH).to_numpy()
    parts = {name: (first & (by_owner == name), FEATURES) for name in sorted(set(by_owner))}
    parts["timetable"] = (first, TIMETABLE)
    for name, (own, columns) in parts.items():
        content = train(known.loc[own, columns], late[own])
        (FOLDER / f"{name}.onnx").write_bytes(content)
        print(f"{name}.onnx: {own.sum():,} flights, {late[own].mean():.1%} late, {len(content):,} bytes")


if __name__ == "__main__":
    main()
