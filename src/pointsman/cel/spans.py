"""Which part of the text each node was written as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pointsman.cel.resolve import Has, Slot, children
from pointsman.cel.tokens import Token, tokenize
from pointsman.cel.tree import Call, Node

__all__ = ["spans"]

_OPEN: Final = ("(", "[", "[?", "{")
_CLOSE: Final = (")", "]", "}")


def spans(text: str, root: Node) -> dict[int, tuple[int, int]]:
    """Returns node id → (start, end) in characters; brackets that belong to a call or index are inside."""
    finder = _Finder(tokenize(text))
    finder.visit(root)
    return finder.found


@dataclass(slots=True)
class _Finder:
    tokens: list[Token]
    found: dict[int, tuple[int, int]] = field(default_factory=dict)
    numbers: dict[int, int] = field(init=False)
    partners: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = {token.at: number for number, token in enumerate(self.tokens)}
        self.partners = {}
        waiting: list[int] = []
        for number, token in enumerate(self.tokens):
            if token.kind == "mark" and token.text in _OPEN:
                waiting.append(number)
            elif token.kind == "mark" and token.text in _CLOSE and waiting:
                self.partners[waiting.pop()] = number

    def visit(self, node: Node) -> tuple[int, int]:
        parts = [self.visit(child) for child in self.written(node)]
        number = self.numbers.get(node.at)
        if number is not None:
            parts.append(self.slot(number, node) if isinstance(node, Slot) else self.own(number, node))
        start = min((part[0] for part in parts), default=0)
        end = max((part[1] for part in parts), default=0)
        self.found[node.id] = self.closed(start, end)
        return self.found[node.id]

    def written(self, node: Node) -> tuple[Node, ...]:
        """Returns the children that have a place of their own in the text."""
        if isinstance(node, Call) and node.function == "_?._":
            return (node.args[0],)
        return children(node)

    def slot(self, number: int, node: Slot) -> tuple[int, int]:
        """Returns the span of `amount`, `event.amount`, `event.?amount` or `event["amount"]`."""
        first = self.tokens[number]
        root, _, member = node.path.partition(".")
        end = first.end
        if member and first.text == root and number + 1 < len(self.tokens):
            mark = self.tokens[number + 1].text
            if mark in (".", ".?") and number + 2 < len(self.tokens):
                end = self.tokens[number + 2].end
            elif number + 1 in self.partners:
                end = self.tokens[self.partners[number + 1]].end
        return first.at, end

    def own(self, number: int, node: Node) -> tuple[int, int]:
        """Returns the span of the node's own token: with its closing bracket, and the function's name."""
        first, last = number, self.partners.get(number, number)
        text = self.tokens[number].text
        if text == "(" or (text == "in" and isinstance(node, Has)):
            first = max(number - 1, 0)
            while first >= 2 and self.tokens[first - 1].text == "." and self.tokens[first - 2].kind == "name":
                first -= 2
        elif text in (".", ".?"):
            last = min(number + 1, len(self.tokens) - 1)
        return self.tokens[first].at, self.tokens[last].end

    def closed(self, start: int, end: int) -> tuple[int, int]:
        """Returns the span widened until no bracket in it is cut in half."""
        changed = True
        while changed:
            changed = False
            for opening, closing in self.partners.items():
                first, last = self.tokens[opening].at, self.tokens[closing].end
                if start <= first < end < last:
                    end, changed = last, True
                elif first < start < last <= end:
                    start, changed = first, True
        return start, end
