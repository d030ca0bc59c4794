"""The committed ONNX models are what the training scripts make."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what skl2onnx and its own dependencies deprecate is theirs
    from examples.payments import train

ROOT = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.onnx")), ids=lambda path: path.name)
def test_committed_models_are_small(path: Path) -> None:
    """A model is small enough for a repository: 100 KB, and 30 KB in payments."""
    assert path.stat().st_size < (30_000 if "payments" in path.parts else 100_000)


@pytest.mark.parametrize(("name", "trained"), [("fraud_v2", train.fraud), ("ios", train.ios)])
def test_training_again_gives_the_same_model(name: str, trained: object) -> None:
    """The script's seed is fixed: training again scores new transactions as the committed file does.

    Scores are compared, not bytes: another version of scikit-learn may lay out the same trees differently.
    """
    assert callable(trained)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        fresh = onnxruntime.InferenceSession(trained())
    committed = onnxruntime.InferenceSession(ROOT / "payments" / "models" / f"{name}.onnx")
    rows = train.drawn(500, seed=1)
    columns = {
        given.name: rows[[given.name]].to_numpy(dtype=object if "string" in given.type else np.float32)
        for given in committed.get_inputs()
    }
    np.testing.assert_allclose(fresh.run(None, columns)[1], committed.run(None, columns)[1], atol=1e-4)
