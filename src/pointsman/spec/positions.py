"""Where a character of a scalar's text stands in its file, whatever the scalar's style."""

from __future__ import annotations

from pointsman.spec.node import Node
from pointsman.spec.place import Place

__all__ = ["locate"]

_ESCAPES = {"x": 2, "u": 4, "U": 8}


def locate(node: Node, offset: int, length: int) -> Place:
    """The place of some characters of `node.text`; what `${…}` became stands at the `${…}`."""
    if node.shape != "scalar" or node.broken or not node.text:
        return node.place
    offset = max(0, min(offset, len(node.text)))
    first = _raw(node, offset, after=False)
    last = _raw(node, min(offset + max(1, length), len(node.text)), after=True)
    where = _offsets(node)
    begin = where[min(first, len(node.raw))]
    end = where[last - 1] + 1 if 0 < last <= len(node.raw) else begin + 1
    return node.file.place(begin, max(begin + 1, end))


def _raw(node: Node, offset: int, *, after: bool) -> int:
    """The offset in `node.raw` of an offset in `node.text`."""
    shift = 0
    for start, end, raw_start, raw_end in node.pieces:
        if offset < start or (after and offset == start):
            break
        if offset < end or (after and offset == end):
            return raw_end if after else raw_start
        shift = raw_end - end
    return offset + shift


def _offsets(node: Node) -> list[int]:
    """For each character of `node.raw`, and its end, the offset in the file.

    Signs other than white space stand in the file in the same order as in the text, so they are found
    exactly; folded line breaks and indentation are attributed to the nearest white space.
    """
    text, start, end = node.file.text, node.start, node.end
    if node.style in ("plain", "unquoted") and text[start:end] == node.raw:
        return list(range(start, end + 1))
    index = start
    if node.style in ("single", "double"):
        index, end = start + 1, end - 1
    elif node.style in ("literal", "folded"):
        index = min(end, (text.find("\n", start) + 1) or end)
    found: list[int] = []
    for sign in node.raw:
        index = _joined(text, index, end) if node.style == "double" else index
        if not sign.isspace():
            while index < end and text[index].isspace():
                index += 1
        found.append(min(index, end))
        if index < end and (not sign.isspace() or text[index].isspace() or node.style == "double"):
            index += _width(text, index, node.style)
    found.append(min(index, end))
    return found


def _joined(text: str, index: int, end: int) -> int:
    """What follows where a backslash joins two lines of a double-quoted scalar."""
    while index < end and text.startswith(("\\\n", "\\\r"), index):
        index += 1
        while index < end and text[index].isspace():
            index += 1
    return index


def _width(text: str, index: int, style: str) -> int:
    """How many characters of the file stand for one of the text."""
    if style == "single" and text.startswith("''", index):
        return 2
    if style == "double" and text[index] == "\\":
        return 2 + _ESCAPES.get(text[index + 1 : index + 2], 0)
    return 1
