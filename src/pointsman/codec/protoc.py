"""Compiles the .proto text of a schema into descriptors."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import MissingExtra
from pointsman.codec.readers import Unusable
from pointsman.codec.registry import Schema

__all__ = ["compiled", "require"]

_MAIN: Final = "pointsman-schema.proto"
_SECONDS: Final = 30.0


def require() -> None:
    """Raises MissingExtra where protobuf or its compiler is not installed."""
    try:
        found = find_spec("google.protobuf") is not None and find_spec("grpc_tools") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise MissingExtra("format protobuf", "protobuf")


def compiled(schema: Schema) -> Any:
    """The descriptor of a schema's file, in a pool of its own; raises Unusable where it does not compile."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    require()
    pool = descriptor_pool.DescriptorPool()
    files = {f.name: f for f in descriptor_pb2.FileDescriptorSet.FromString(_descriptors(schema)).file}
    try:
        for file in files.values():  # protoc writes each behind what it imports
            pool.AddSerializedFile(file.SerializeToString())
        return _Kept(pool, pool.FindFileByName(_MAIN))
    except (TypeError, KeyError) as error:
        raise Unusable(f"the schema cannot be used: {error}") from None


class _Kept:
    """A file's descriptor with the pool that it lives in."""

    def __init__(self, pool: Any, file: Any) -> None:
        self._pool = pool  # descriptors do not keep it alive
        self.message_types_by_name = file.message_types_by_name


def _descriptors(schema: Schema) -> bytes:
    own = Path(next(iter(import_module("grpc_tools").__path__))) / "_proto"
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for reference in schema.references:
            file = (root / reference.name).resolve()
            if not file.is_relative_to(root.resolve()):
                raise Unusable(f"a reference is called '{reference.name}', which is no path below a folder")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(reference.text, "utf-8")
        (root / _MAIN).write_text(schema.text, "utf-8")
        out = root / "pointsman-descriptors"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"-I{own}", "--include_imports"]
        done = subprocess.run(
            [*command, f"--descriptor_set_out={out}", _MAIN],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode == 0:
            return out.read_bytes()
    said = next((line for line in done.stderr.splitlines() if "warning" not in line), "no reason given")
    raise Unusable(f"the schema does not compile: {said.removeprefix(f'{_MAIN}:')}")
