"""Which part of the text each node was written as."""

from __future__ import annotations

from pointsman.cel.resolve import children
from pointsman.cel.tokens import Token, tokenize
from pointsman.cel.tree import Node

__all__ = ["spans"]

_OPEN = {"(": ")", "[": "]", "[?": "]", "{": "}"}


def spans(text: str, root: Node) -> dict[int, tuple[int, int]]:
    """Returns node id → (start, end) in characters; brackets that belong to a call or index are inside."""
    tokens = tokenize(text)
    by_start = {token.at: number for number, token in enumerate(tokens)}
    found: dict[int, tuple[int, int]] = {}
    _visit(root, tokens, by_start, _partners(tokens), found)
    return found


def _partners(tokens: list[Token]) -> dict[int, int]:
    """Returns the number of each opening bracket's closing token."""
    waiting: list[int] = []
    partners = {}
    for number, token in enumerate(tokens):
        if token.text in _OPEN and token.kind == "mark":
            waiting.append(number)
        elif token.text in (")", "]", "}") and token.kind == "mark" and waiting:
            partners[waiting.pop()] = number
    return partners


def _visit(
    node: Node,
    tokens: list[Token],
    by_start: dict[int, int],
    partners: dict[int, int],
    found: dict[int, tuple[int, int]],
) -> tuple[int, int]:
    inside = [_visit(child, tokens, by_start, partners, found) for child in children(node)]
    starts = [start for start, _ in inside]
    ends = [end for _, end in inside]
    number = by_start.get(node.at)
    if number is not None:
        starts.append(tokens[number].at)
        ends.append(tokens[number].end)
        if number in partners:
            ends.append(tokens[partners[number]].end)
    start, end = (min(starts), max(ends)) if starts else (0, 0)
    start, end = _closed(start, end, tokens, partners)
    found[node.id] = (start, end)
    return start, end


def _closed(start: int, end: int, tokens: list[Token], partners: dict[int, int]) -> tuple[int, int]:
    """Returns the span widened until no bracket in it is cut in half."""
    changed = True
    while changed:
        changed = False
        for opening, closing in partners.items():
            first, last = tokens[opening].at, tokens[closing].end
            if start <= first < end < last:
                end, changed = last, True
            elif first < start < last <= end:
                start, changed = first, True
    return start, end
