"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in any string; `$${` stands for `${` itself.

What they become is never shown: a node keeps its raw text for messages and for the content hash.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pointsman.base.errors import Finding
from pointsman.spec.node import Node
from pointsman.spec.positions import locate

__all__ = ["scrub", "substitute"]

MOST_BYTES = 1_048_576

_PIECE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def substitute(root: Node, environment: Mapping[str, str], folder: Path) -> list[Finding]:
    """Resolves every `${…}` below `root` in place.

    Args:
        root: The merged document.
        environment: The environment's variables.
        folder: What the paths of `${file:…}` are relative to.

    Returns:
        A finding for each that has no value.
    """
    findings: list[Finding] = []
    for node in _scalars(root):
        if "${" in node.raw:
            _resolve(node, environment, folder, findings)
    return findings


def scrub(node: Node, message: str) -> str:
    """`message` with whatever `${…}` became written as it stands in the file."""
    for start, end, raw_start, raw_end in node.pieces:
        if secret := node.text[start:end]:
            message = message.replace(secret, node.raw[raw_start:raw_end])
    return message


def _scalars(root: Node) -> Iterator[Node]:
    """Every scalar once, aliases too."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.shape == "scalar":
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            waiting += node.items
            waiting += node.members.values()


def _resolve(node: Node, environment: Mapping[str, str], folder: Path, findings: list[Finding]) -> None:
    if node.pieces:
        return
    parts: list[str] = []
    pieces: list[tuple[int, int, int, int]] = []
    length = last = 0
    broken = False
    for found in _PIECE.finditer(node.raw):
        before = node.raw[last : found.start()]
        if found[0] == "$${":
            value: str | None = "${"
        elif found[1] is None:
            value = _refuse(
                node, found, findings, "'${' is not closed", "add }, or write $${ for the text ${"
            )
        else:
            value = _value(node, found, environment, folder, findings)
        if value is None:
            broken, value = True, ""
        start = length + len(before)
        parts += [before, value]
        length = start + len(value)
        pieces.append((start, length, found.start(), found.end()))
        last = found.end()
    node.text = "".join([*parts, node.raw[last:]])
    node.pieces = tuple(pieces)
    node.broken = node.broken or broken


def _refuse(node: Node, found: re.Match[str], findings: list[Finding], message: str, hint: str) -> str | None:
    """Adds a finding at a `${…}`; there is no value then."""
    place = locate(node, found.start(), found.end() - found.start())
    findings.append(place.finding("E108", message, hint))
    return None


def _value(
    node: Node, found: re.Match[str], environment: Mapping[str, str], folder: Path, findings: list[Finding]
) -> str | None:
    inside = found[1]
    if inside.startswith("file:"):
        return _from_file(node, found, folder / inside.removeprefix("file:"), findings)
    name, dash, default = inside.partition(":-")
    if not _NAME.fullmatch(name):
        hint = "write ${NAME}, ${NAME:-default} or ${file:PATH}; $${ stands for the text ${"
        return _refuse(node, found, findings, f"'{found[0]}' does not name a variable", hint)
    if name in environment and not (dash and not environment[name]):
        return environment[name]
    if dash:
        return default
    near = difflib.get_close_matches(name, environment, 1, 0.75)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return _refuse(
        node,
        found,
        findings,
        f"the variable {name} is not set",
        f"{hint}set it, or write ${{{name}:-default}}",
    )


def _from_file(node: Node, found: re.Match[str], path: Path, findings: list[Finding]) -> str | None:
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            return _refuse(
                node, found, findings, f"the file {path.name} is larger than 1 MiB", "name a smaller file"
            )
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return _refuse(
            node, found, findings, f"the file {path.name} is not text in UTF-8", "name a text file"
        )
    except OSError as error:
        reason = error.strerror or "cannot be read"
        return _refuse(
            node,
            found,
            findings,
            f"the file cannot be read: {reason}",
            "paths are relative to the document's folder; write an existing one",
        )
