"""`onnx: FILE`: a model in the ONNX format, run in process on one thread of the CPU."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from pointsman.base.config import FileName, key
from pointsman.base.errors import InvalidInput, InvalidReply, Misfit, MissingExtra, ModelError, ModelInternal
from pointsman.model.base import CommonKeys, Row, models
from pointsman.model.maps import mapper
from pointsman.model.tensors import KINDS, Column, Tensor, columns_of, stack, tensor

__all__ = ["OnnxModel"]

_RESULTS: dict[str, tuple[str, ...]] = {
    "string": ("string",),
    "bool": ("bool", "float", "double", "float16", "int64", "int32", "int8", "uint8"),
}
"""Which element types an expression of a CEL type can feed, where not all."""

_SCALARS = ("string", "bool", "int", "uint", "double")
_NEVER = (
    "bytes",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "timestamp",
    "duration",
    "null_type",
)


@dataclass(frozen=True, slots=True)
class _Feed:
    """One input of the graph: what it takes, and which values of a row it is made of.

    Attributes:
        column: What the graph takes for each row.
        take: Positions in a row; more than one are laid side by side.
    """

    column: Column
    take: tuple[int, ...]


@models.add("onnx")
class OnnxModel:
    """Runs an ONNX graph on a batch.

    Inputs go by name where the document's names are the graph's. A graph with one two-dimensional input, as
    scikit-learn models have, takes the document's inputs as its columns, in the document's order; one input
    alone may be the list of all columns. A reply is a map of the graph's outputs; an output of one element is
    that element, a longer one a list, and the keys of a map are strings. The version is the document's, else
    `version` in the file's own metadata, else the first 8 digits of the file's SHA-256.
    """

    protocol: ClassVar[str] = "onnx"
    tensor: ClassVar[bool] = True
    """Its inputs have to be named."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """The keys of an ONNX model."""

        onnx: Path = key(FileName(), "The model's file.", example="models/fraud_v2.onnx")

    def __init__(self, session: Any, feeds: Sequence[_Feed], version: str, single: bool) -> None:
        """Args:
        session: An onnxruntime InferenceSession.
        feeds: What its inputs are made of.
        version: What results name as the model's version.
        single: Whether the graph takes one row at a time.
        """
        self.version: str | None = version
        self._run = session.run
        self._feeds = tuple(feeds)
        self._outputs = [output.name for output in session.get_outputs()]
        self._named = mapper(self._outputs)
        self._single = single

    @classmethod
    def open(cls, name: str, config: Config, common: CommonKeys, folder: Path) -> OnnxModel:  # noqa: ARG003  # the role's signature
        """Loads the graph and compares its inputs with the document's.

        Raises:
            Misfit: The file cannot be loaded, or its inputs are not the document's.
            MissingExtra: onnxruntime is not installed.
        """
        session, digest = _session(config.onnx)
        if common.inputs is None:
            wanted = ", ".join(f"{i.name}: …" for i in session.get_inputs())
            raise Misfit("E402", "an ONNX model needs inputs", f"add inputs: {{{wanted}}}")
        feeds, single = _feeds(session.get_inputs(), common.inputs, config.onnx.name)
        found = session.get_modelmeta().custom_metadata_map.get("version")
        return cls(session, feeds, common.version or found or digest[:8], single)

    @staticmethod
    def example() -> str:
        """A valid model, as YAML."""
        return "{onnx: models/fraud_v2.onnx, inputs: {amount: event.amount, spend: event.spend}}"

    def predict(self, rows: Sequence[Row]) -> Sequence[Any | ModelError]:
        """Runs the graph once on the rows that fit it."""
        bad: dict[int, str] = {}
        fed = {feed.column.name: _tensor(feed, rows, bad) for feed in self._feeds}
        if not bad:
            return self._replies(fed, len(rows))
        good = [i for i in range(len(rows)) if i not in bad]
        replies: list[Any] = [InvalidInput(bad[i]) if i in bad else None for i in range(len(rows))]
        if good:
            fitting = {name: tensor[good] for name, tensor in fed.items()}
            for i, reply in zip(good, self._replies(fitting, len(good)), strict=True):
                replies[i] = reply
        return replies

    def _replies(self, fed: Mapping[str, Tensor], n: int) -> Sequence[Any | ModelError]:
        """A reply for each row; a batch that the graph refuses is tried row by row."""
        if not self._single or n == 1:
            try:
                return self._call(fed, n)
            except InvalidReply:
                raise
            except Exception as error:
                if n == 1:
                    return [ModelInternal(f"onnxruntime: {_short(error)}")]
        one = [{name: tensor[i : i + 1] for name, tensor in fed.items()} for i in range(n)]
        return [reply for row in one for reply in self._replies(row, 1)]

    def _call(self, fed: Mapping[str, Tensor], n: int) -> Sequence[Any]:
        outputs = self._run(None, fed)
        columns = [columns_of(name, out, n) for name, out in zip(self._outputs, outputs, strict=True)]
        return self._named(zip(*columns, strict=True))

    def close(self) -> None:
        """Nothing to free: the session goes with the object."""


def _session(path: Path) -> tuple[Any, str]:
    """The loaded graph, and the SHA-256 of its file in hexadecimal."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingExtra("an ONNX model", "onnx") from None
    try:
        content = path.read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        text = f"there is no file {path.name}" if missing else f"{path.name}: {error.strerror}"
        raise Misfit("E401", text, f"looked for {path}", ("onnx",)) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        hint = "export the model again, for an opset that the installed onnxruntime knows"
        raise Misfit(
            "E401", f"{path.name} is not a model that runs: {_short(error)}", hint, ("onnx",)
        ) from None
    return session, hashlib.sha256(content).hexdigest()


def _feeds(graph: Sequence[Any], inputs: Mapping[str, Any], file: str) -> tuple[list[_Feed], bool]:
    """How each input of the graph is made of the document's, and whether the graph takes single rows."""
    columns = {node.name: _column(node, file) for node in graph}
    single = any(node.shape and node.shape[0] == 1 for node in graph)
    names = list(inputs)
    if set(names) == set(columns):
        feeds = [_Feed(column, (names.index(name),)) for name, column in columns.items()]
    elif len(columns) == 1 and len(next(iter(columns.values())).shape) == 1:
        feeds = [_side_by_side(next(iter(columns.values())), names, file)]
    else:
        raise Misfit(
            "E402",
            f"inputs are {_listed(names)}; {file} takes {_listed([_spelled(c) for c in columns.values()])}",
            "name each input as the model does",
            ("inputs",),
        )
    for feed in feeds:
        for position in feed.take:
            _check_type(names[position], inputs[names[position]], feed.column, file, len(feed.take) == 1)
    return feeds, single


def _column(node: Any, file: str) -> Column:
    """What an input of the graph takes for each row."""
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if kind not in KINDS:
        raise Misfit("E403", f"{file} takes {node.type} for '{node.name}', which Pointsman does not build")
    if not node.shape:
        raise Misfit("E402", f"{file} takes '{node.name}' without a batch dimension: export it with one")
    if isinstance(node.shape[0], int) and node.shape[0] > 1:
        text = f"{file} takes exactly {node.shape[0]} rows of '{node.name}' at a time"
        raise Misfit("E402", text, "export it with a free batch dimension")
    if len(node.shape) > 2 and not all(isinstance(n, int) for n in node.shape[1:]):
        text = (
            f"{file} takes '{node.name}' of the shape {list(node.shape)}, with more than the batch left open"
        )
        raise Misfit("E402", text, "export it with fixed sizes for all dimensions but the first")
    return Column(node.name, kind, tuple(n if isinstance(n, int) else None for n in node.shape[1:]))


def _side_by_side(column: Column, names: list[str], file: str) -> _Feed:
    """The one input of a graph whose columns are the document's inputs."""
    width = column.shape[0]
    if len(names) != 1 and width is not None and width != len(names):
        raise Misfit(
            "E402",
            f"{len(names)} inputs ({_listed(names)}); {file} takes {width} columns in '{column.name}'",
            "give one input for each column, in the order the model was trained with",
            ("inputs",),
        )
    return _Feed(column, tuple(range(len(names))))


def _check_type(name: str, program: Any, column: Column, file: str, single: bool) -> None:
    """Refuses an expression that never has what the graph takes; `single`: it is all of a row."""
    found = str(getattr(program, "result", "dyn"))
    if single and found in _SCALARS and any(n not in (None, 1) for n in column.shape):
        text = f"input '{name}' is one {found}; {file} takes {_spelled(column)}"
        hint = (
            f"name {column.shape[0]} inputs, one for each column" if len(column.shape) == 1 else "give a list"
        )
        raise Misfit("E402", text, hint, ("inputs", name))
    if found in _NEVER or (found in _RESULTS and column.kind not in _RESULTS[found]):
        text = f"input '{name}' is {found}; {file} takes {_spelled(column)}"
        raise Misfit("E403", text, "convert it in the expression", ("inputs", name))
    if column.kind in ("string", "bool") and found in ("int", "uint", "double"):
        text = f"input '{name}' is {found}; {file} takes {_spelled(column)}"
        raise Misfit("E403", text, "convert it in the expression", ("inputs", name))


def _tensor(feed: _Feed, rows: Sequence[Row], bad: dict[int, str]) -> Tensor:
    """The tensor for one input of the graph."""
    if len(feed.take) == 1:
        position = feed.take[0]
        return stack(feed.column, [row[position] for row in rows], bad)  # type: ignore[index]  # with inputs, rows are tuples
    return tensor(feed.column, list(chain.from_iterable(rows)), len(feed.take), bad)


def _spelled(column: Column) -> str:
    size = "".join(f"[{'any' if n is None else n}]" for n in column.shape if n != 1)
    return f"'{column.name}': {column.kind}{size}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _short(error: BaseException) -> str:
    """The first line of an error, cut where it is long."""
    text = str(error).strip().partition("\n")[0]
    return text[:300] or type(error).__name__
