"""The content hash: what makes two documents the same policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from pointsman.base.config import PythonName
from pointsman.base.errors import EnvironmentFault
from pointsman.base.hashing import content_hash
from pointsman.spec.document import ModelSpec
from pointsman.spec.node import Node
from pointsman.spec.read import declared

__all__ = ["document_hash"]


def document_hash(root: Node, models: Mapping[str, ModelSpec], folder: Path) -> str:
    """The hash of a document and of the local files its models name.

    The document counts as it stands before `${…}` is resolved, so that no secret is in it and the same
    document has the same hash everywhere. Comments, quotes, anchors and layout do not count; the order of
    keys does, because enrichers and the arms of a split stand in order.

    Raises:
        EnvironmentFault: A file cannot be read.
    """
    files = {
        f"{name}.{key}": _digest(path) for name, spec in models.items() for key, path in _files(spec, folder)
    }
    whole = {"document": root.plain(raw=True), "files": files}
    return content_hash(json.dumps(whole, ensure_ascii=True, separators=(",", ":")).encode())


def _files(spec: ModelSpec, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that a model's own keys name: paths, and the modules of Python names."""
    for name, key in declared(type(spec.config)).items():
        value = getattr(spec.config, name, None)
        if isinstance(value, Path):
            yield name, value
        elif isinstance(value, str) and isinstance(key.kind, PythonName):
            module = folder / Path(*value.partition(":")[0].split(".")).with_suffix(".py")
            if module.is_file():
                yield name, module


def _digest(path: Path) -> str:
    digest = sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
