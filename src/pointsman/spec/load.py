"""Loads a pipeline document: reads, merges, resolves, compiles and checks it, and tells all that is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pointsman.base.errors import EnvironmentFault, Finding, SpecError
from pointsman.spec import kinds
from pointsman.spec.document import Document
from pointsman.spec.expressions import Expressions
from pointsman.spec.node import Node
from pointsman.spec.overlay import merge
from pointsman.spec.place import File
from pointsman.spec.read import Reader
from pointsman.spec.sections import Sections
from pointsman.spec.substitute import substitute
from pointsman.spec.yaml import parse

__all__ = ["check", "examine", "load", "read_file"]


def load(
    path: str | Path, overlays: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None
) -> Document:
    """The document at `path`, checked.

    Args:
        path: The document's file; its folder is what relative paths start from.
        overlays: Files merged over it, in order.
        environment: What `${NAME}` is looked up in; the process's environment by default.

    Raises:
        SpecError: The document is wrong; carries every error.
        EnvironmentFault: A file cannot be read.
    """
    document, findings = examine(path, overlays, environment)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors or document is None:
        raise SpecError(errors)
    return document


def check(
    path: str | Path, overlays: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None
) -> list[Finding]:
    """Every error and warning of a document, in the order of its files; arguments as for `load`."""
    return examine(path, overlays, environment)[1]


def read_file(path: str | Path, order: int = 0) -> tuple[File, list[Finding]]:
    """A file's text.

    Raises:
        EnvironmentFault: It cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        return File(str(path), content.decode("utf-8-sig").removeprefix("\ufeff"), order), []
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        file = File(str(path), before + "\ufffd", order)
        finding = file.place(len(before)).finding("E101", "this byte is not UTF-8", "save the file as UTF-8")
        return file, [finding]


def examine(
    path: str | Path, overlays: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None
) -> tuple[Document | None, list[Finding]]:
    """The document, or None where there are errors, and every error and warning; arguments as for `load`."""
    names = [str(path), *map(str, overlays)]
    root, findings = _tree(names)
    if root is None:
        return None, _sorted(findings, names)
    folder = Path(path).resolve().parent
    findings += substitute(root, os.environ if environment is None else environment, folder)
    reader = Reader(folder, Expressions(), _model_names(root), kinds.read)
    document = Sections(reader, root, Path(path).resolve(), findings).read()
    findings = _sorted(findings + reader.findings, names)
    if document is not None:
        warnings = [finding for finding in findings if finding.severity == "warning"]
        document = replace(document, warnings=warnings)
    return document, findings


def _tree(names: Sequence[str]) -> tuple[Node | None, list[Finding]]:
    """The merged tree of all files, or None where one cannot be read as a map."""
    findings: list[Finding] = []
    merged: Node | None = None
    readable = True
    for order, name in enumerate(names):
        file, found = read_file(name, order)
        findings += found
        if found:
            readable = False
            continue
        root, found = parse(file)
        findings += found
        if root is None or root.shape != "map":
            readable = False
            if not found:
                message = (
                    "the file is empty" if root is None else f"expected a map of keys, found {root.found}"
                )
                findings.append(file.place(0).finding("E204", message, "begin with 'pipeline: NAME'"))
            continue
        merged = root if merged is None else merge(merged, root)
    return (merged if readable else None), findings


def _sorted(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    order = {name: number for number, name in reversed(list(enumerate(names)))}
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda f: (order.get(f.file, len(order)), f.line, f.column, f.code))


def _model_names(root: Node) -> frozenset[str] | None:
    """The names of the models, known before anything else is read; None where they cannot be."""
    node = root.members.get("models")
    if node is None or node.shape != "map":
        return None
    return frozenset(node.members)
