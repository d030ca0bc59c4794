"""Models in the ONNX format."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from model import graphs
from pointsman.base.errors import InvalidInput, Misfit, MissingExtra, ModelInternal
from pointsman.cel import program as cel
from pointsman.cel.values import MISSING, Mistyped, Timestamp, Uint
from pointsman.model.onnx import OnnxModel


def opened(path: Path, inputs: Mapping[str, Any] | Sequence[str], version: str | None = None) -> OnnxModel:
    """The model of a file, with inputs of which nothing is known but their names, or given as CEL."""
    if isinstance(inputs, Mapping):
        scope = cel.Scope({"text": "string", "flag": "bool", "at": "timestamp", "number": "double"})
        inputs = {name: cel.compile(text, scope) for name, text in inputs.items()}
    else:
        inputs = dict.fromkeys(inputs)
    keys = SimpleNamespace(inputs=inputs, version=version, timeout=1.0)
    return OnnxModel.open("m", OnnxModel.Config(onnx=path), keys, path.parent)


def refused(path: Path, inputs: Any) -> Misfit:
    with pytest.raises(Misfit) as caught:
        opened(path, inputs)
    return caught.value


def column(model: OnnxModel, values: Sequence[Any], output: str = "y") -> list[Any]:
    """What a model of one input says of each value; a message where it fails."""
    replies = model.predict([(value,) for value in values])
    return [str(reply) if isinstance(reply, InvalidInput) else reply[output] for reply in replies]


def test_named_inputs_are_the_documents_columns_in_order(tmp_path: Path) -> None:
    """A scikit-learn model of one input takes k named inputs as its columns and agrees with scikit-learn."""
    path, fitted = graphs.classifier(tmp_path / "m.onnx", zipmap=False)
    model = opened(path, ["first", "second"])
    rows = [(0.5, 1), (-2, 0.25), (3.0, -4.0)]
    replies = model.predict(rows)
    wanted = fitted.predict_proba(np.array(rows, dtype=np.float32))
    assert [reply["label"] for reply in replies] == fitted.predict(np.array(rows)).tolist()
    assert np.allclose([reply["probabilities"] for reply in replies], wanted, atol=1e-6)
    assert {type(value) for reply in replies for value in reply["probabilities"]} == {float}


def test_one_named_input_may_be_the_list_of_all_columns(tmp_path: Path) -> None:
    """`inputs: {features: "[a, b]"}` and one input for each column say the same."""
    path, _ = graphs.classifier(tmp_path / "m.onnx", zipmap=False)
    listed, apart = opened(path, ["features"]), opened(path, ["a", "b"])
    assert listed.predict([([0.5, 1],), ([2, -1.5],)]) == apart.predict([(0.5, 1), (2, -1.5)])


def test_a_zipmap_is_a_map_with_strings_as_keys(tmp_path: Path) -> None:
    """A classifier that answers with a map per row gives that map."""
    path, fitted = graphs.classifier(tmp_path / "m.onnx", zipmap=True)
    (reply,) = opened(path, ["a", "b"]).predict([(0.5, 1.0)])
    wanted = fitted.predict_proba(np.array([[0.5, 1.0]]))[0]
    assert list(reply["output_probability"]) == ["0", "1"]
    assert reply["output_probability"]["1"] == pytest.approx(wanted[1], abs=1e-6)


def test_inputs_go_by_name_where_the_names_are_the_graphs(tmp_path: Path) -> None:
    """A pipeline with one input per column takes numbers and strings in any order of the document."""
    path, _ = graphs.regressor_by_column(tmp_path / "m.onnx")
    replies = opened(path, ["device", "amount"]).predict([("iOS", 1), ("web", 2.0), ("unknown", 3.0)])
    assert [round(reply["variable"], 4) for reply in replies[:2]] == [1.0, 5.0]
    assert isinstance(replies[2]["variable"], float)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (graphs.FLOAT, [1, 1.5, True, Uint(3)], [1.0, 1.5, 1.0, 3.0]),
        (graphs.DOUBLE, [1e300, -0.1], [1e300, -0.1]),
        (graphs.INT64, [1, -(2**63), 2**63 - 1, 3.0, False], [1, -(2**63), 2**63 - 1, 3, 0]),
        (graphs.STRING, ["a", "", "é"], ["a", "", "é"]),
        (graphs.BOOL, [True, False], [True, False]),
    ],
)
def test_values_are_converted_to_the_type_of_the_graph(
    tmp_path: Path, kind: int, given: list[Any], said: list[Any]
) -> None:
    """What fits comes back as Python's own type."""
    found = column(opened(graphs.echo(tmp_path / "m.onnx", kind), ["x"]), given)
    assert found == said
    assert [type(value) for value in found] == [type(value) for value in said]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (graphs.FLOAT, None, "input 'x' is null, expected a number"),
        (graphs.FLOAT, "12", "input 'x' is a string, expected a number"),
        (graphs.FLOAT, [1.0], "input 'x' is a list, expected a number"),
        (graphs.FLOAT, 1e39, "input 'x' is too large for a float"),
        (graphs.FLOAT, 10**400, "input 'x' is too large for a float"),
        (graphs.FLOAT, Timestamp(0), "input 'x' is a timestamp, expected a number"),
        (graphs.FLOAT, MISSING, "input 'x' is without a usable value, expected a number"),
        (graphs.FLOAT, Mistyped("a", "f", "int"), "input 'x' is without a usable value, expected a number"),
        (graphs.INT64, 1.5, "input 'x' is a double, expected a whole number"),
        (graphs.INT64, math.nan, "input 'x' is not finite, expected a whole number"),
        (graphs.INT64, 2**63, "input 'x' is out of range for an int64"),
        (graphs.INT64, "1", "input 'x' is a string, expected a whole number"),
        (graphs.STRING, 1, "input 'x' is an int, expected a string"),
        (graphs.STRING, None, "input 'x' is null, expected a string"),
        (graphs.BOOL, 1, "input 'x' is an int, expected a bool"),
    ],
)
def test_a_value_that_does_not_fit_fails_its_own_row(
    tmp_path: Path, kind: int, value: Any, said: str
) -> None:
    """The other rows of the batch are answered."""
    good: Any = {graphs.STRING: "a", graphs.BOOL: True}.get(kind, 2)
    found = column(opened(graphs.echo(tmp_path / "m.onnx", kind), ["x"]), [good, value, good])
    assert found == [good, said, good]


def test_a_batch_of_which_no_row_fits_does_not_run(tmp_path: Path) -> None:
    """The graph is not called with nothing."""
    model = opened(graphs.echo(tmp_path / "m.onnx", graphs.FLOAT), ["x"])
    assert [type(reply) for reply in model.predict([(None,), ("a",)])] == [InvalidInput, InvalidInput]


def test_numbers_that_are_not_finite_are_numbers(tmp_path: Path) -> None:
    """NaN and infinity pass through a float model."""
    found = column(opened(graphs.echo(tmp_path / "m.onnx", graphs.FLOAT), ["x"]), [math.nan, math.inf, 1])
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, 1.0]


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        (["n", 1], [1, [2]], [1.0, 2.0]),
        (["n", 3], [[1, 2, 3], [4, 5, 6]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
        (["n", "k"], [[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]]),
        (["n", 2, 2], [[[1, 2], [3, 4]]], [[[1.0, 2.0], [3.0, 4.0]]]),
    ],
)
def test_a_row_may_be_a_vector(tmp_path: Path, shape: list[Any], given: list[Any], said: list[Any]) -> None:
    """One element is a value, more are a list of the graph's shape."""
    assert column(opened(graphs.echo(tmp_path / "m.onnx", graphs.FLOAT, shape), ["x"]), given) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1, 2], "input 'x' has 2 values, expected 3"),
        ([1, 2, 3, 4], "input 'x' has 4 values, expected 3"),
        (7, "input 'x' is an int, expected a list of 3"),
        ([1, None, 3], "input 'x' is null, expected a number"),
    ],
)
def test_a_vector_of_another_length_fails_its_own_row(tmp_path: Path, value: Any, said: str) -> None:
    """The others are answered."""
    model = opened(graphs.echo(tmp_path / "m.onnx", graphs.FLOAT, ["n", 3]), ["x"])
    assert column(model, [[1, 2, 3], value]) == [[1.0, 2.0, 3.0], said]


def test_a_graph_that_takes_one_row_at_a_time_is_called_so(tmp_path: Path) -> None:
    """A fixed batch of one, as exporters make it, answers batches row by row."""
    model = opened(graphs.echo(tmp_path / "m.onnx", graphs.FLOAT, [1, 2]), ["a", "b"])
    assert [reply["y"] for reply in model.predict([(1, 2), (3, 4)])] == [[1.0, 2.0], [3.0, 4.0]]


def test_a_row_that_the_graph_refuses_does_not_sink_the_batch(tmp_path: Path) -> None:
    """A batch that fails is tried row by row; an index out of range is one row's fault."""
    table = numpy_helper.from_array(np.array([10.0, 20.0], dtype=np.float32), "table")
    path = graphs.graph(
        tmp_path / "m.onnx",
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [("x", graphs.INT64, ["n"])],
        [("y", graphs.FLOAT, ["n"])],
        constants=[table],
    )
    good, bad, last = opened(path, ["x"]).predict([(1,), (7,), (0,)])
    assert (good, last) == ({"y": 20.0}, {"y": 10.0})
    assert isinstance(bad, ModelInternal)
    assert "onnxruntime: " in str(bad)


def test_an_output_that_is_not_one_value_per_row_is_an_invalid_reply(tmp_path: Path) -> None:
    """A graph that sums over the batch cannot answer events."""
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    path = graphs.graph(tmp_path / "m.onnx", [node], [("x", graphs.FLOAT, ["n"])], [("y", graphs.FLOAT, [])])
    with pytest.raises(Exception, match=r"output 'y' has shape \[\] for 2 rows"):
        opened(path, ["x"]).predict([(1,), (2,)])


def test_the_version_is_the_documents_then_the_files_then_its_digest(tmp_path: Path) -> None:
    """Results always name a version."""
    named = graphs.echo(tmp_path / "named.onnx", graphs.FLOAT, version="2025-01")
    plain = graphs.echo(tmp_path / "plain.onnx", graphs.FLOAT)
    assert opened(named, ["x"], version="3").version == "3"
    assert opened(named, ["x"]).version == "2025-01"
    assert opened(plain, ["x"]).version == sha256(plain.read_bytes()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("kind", "shape", "inputs", "code", "said"),
    [
        (graphs.FLOAT, ["n", 3], ["a", "b"], "E402", "2 inputs (a, b); m.onnx takes 3 columns in 'x'"),
        (graphs.FLOAT, ["n"], ["a"], "E402", "inputs are a; m.onnx takes 'x': float"),
        (graphs.FLOAT, ["n", 2, 2], ["a", "b"], "E402", "inputs are a, b; m.onnx takes 'x': float[2][2]"),
        (graphs.FLOAT, [5, 2], ["a", "b"], "E402", "m.onnx takes exactly 5 rows of 'x' at a time"),
        (
            graphs.FLOAT,
            ["n", "t", 2],
            ["x"],
            "E402",
            "m.onnx takes 'x' of the shape ['n', 't', 2], with more than the batch left open",
        ),
        (graphs.FLOAT, [], ["x"], "E402", "m.onnx takes 'x' without a batch dimension: export it with one"),
        (graphs.FLOAT, ["n"], {"x": "text"}, "E403", "input 'x' is string; m.onnx takes 'x': float"),
        (graphs.FLOAT, ["n"], {"x": "at"}, "E403", "input 'x' is timestamp; m.onnx takes 'x': float"),
        (graphs.STRING, ["n"], {"x": "number > 1.0"}, "E403", "input 'x' is bool; m.onnx takes 'x': string"),
        (graphs.STRING, ["n"], {"x": "1 + 1"}, "E403", "input 'x' is int; m.onnx takes 'x': string"),
    ],
)
def test_inputs_that_are_not_the_graphs_are_refused_at_the_start(
    tmp_path: Path, kind: int, shape: list[Any], inputs: Any, code: str, said: str
) -> None:
    """Number, names, shape and type are compared with the file; the message has both sides."""
    error = refused(graphs.echo(tmp_path / "m.onnx", kind, shape), inputs)
    assert (error.code, str(error)) == (code, said)


def test_inputs_that_fit_are_not_refused(tmp_path: Path) -> None:
    """Numbers, bools and values of unknown type may feed a float."""
    path = graphs.echo(tmp_path / "m.onnx", graphs.FLOAT)
    for text in ("number", "1 + 1", "flag", "{'a': 1}.a"):
        assert opened(path, {"x": text})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file m.onnx"),
        (b"not a model", "m.onnx is not a model that runs: "),
        (b"", "m.onnx is not"),
    ],
)
def test_a_file_that_is_no_model_says_so(tmp_path: Path, content: bytes | None, said: str) -> None:
    """A missing or broken file is a finding at the model's file."""
    if content is not None:
        (tmp_path / "m.onnx").write_bytes(content)
    error = refused(tmp_path / "m.onnx", ["x"])
    assert (error.code, error.path) == ("E401", ("onnx",))
    assert str(error).startswith(said)


def test_without_inputs_the_message_names_those_of_the_graph(tmp_path: Path) -> None:
    """A tensor has to be told what it is made of."""
    path = graphs.echo(tmp_path / "m.onnx", graphs.FLOAT)
    keys = SimpleNamespace(inputs=None, version=None, timeout=1.0)
    with pytest.raises(Misfit) as caught:
        OnnxModel.open("m", OnnxModel.Config(onnx=path), keys, tmp_path)
    assert (caught.value.code, caught.value.hint) == ("E402", "add inputs: {x: …}")


def test_without_onnxruntime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the line that installs it."""
    real = builtins.__import__

    def without(name: str, *args: Any, **keys: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError(name)
        return real(name, *args, **keys)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"pip install 'pointsman\[onnx\]'"):
        opened(tmp_path / "m.onnx", ["x"])
