"""CEL text as tokens: where things stand, and whether the text is small enough to be read at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.cel.problems import Problem

__all__ = ["Token", "limits", "tokenize"]

LENGTH_LIMIT: Final = 20_000
"""Characters of an expression."""

DEPTH_LIMIT: Final = 100
"""Brackets within brackets, and prefix operators in a row."""

_STRING: Final = (
    r"(?:[rR][bB]?|[bB][rR]?)?"
    r"(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^\\'\n]|\\.)*'|\"(?:[^\\\"\n]|\\.)*\")"
)
_TOKEN: Final = re.compile(
    rf"(?P<space>\s+|//[^\n]*)|(?P<string>{_STRING})"
    r"|(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?[uU]?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<quoted>`[^`\n]*`)"
    r"|(?P<mark>&&|\|\||[=!<>]=|\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}])|(?P<other>.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: `string`, `number`, `name`, `quoted`, `mark` or `other` (what CEL does not have).
        text: As written.
        at: Offset in characters.
    """

    kind: str
    text: str
    at: int

    @property
    def end(self) -> int:
        """Offset behind the last character."""
        return self.at + len(self.text)


def tokenize(text: str) -> list[Token]:
    """Returns the tokens of any text, right or wrong, without white space and comments."""
    return [
        Token(str(found.lastgroup), found[0], found.start())
        for found in _TOKEN.finditer(text)
        if found.lastgroup != "space"
    ]


def limits(text: str) -> Problem | None:
    """Returns the problem of a text that is too large to be read, if it is."""
    if len(text) > LENGTH_LIMIT:
        message = f"the expression has {len(text):,} characters, at most {LENGTH_LIMIT:,} are read"
        return Problem(
            0,
            1,
            "E305",
            message,
            "split it over several metadata fields or routes; put a long list into a table",
        )
    if any("\ud800" <= char <= "\udfff" for char in text) or "\0" in text:
        return Problem(0, 1, "E300", "the expression holds a character that is not text")
    return _too_deep(tokenize(text))


def _too_deep(tokens: Sequence[Token]) -> Problem | None:
    depth = prefixes = 0
    for token in tokens:
        if token.kind != "mark":
            prefixes = 0
        elif token.text in ("(", "[", "[?", "{"):
            depth += 1
        elif token.text in (")", "]", "}"):
            depth -= 1
        elif token.text in ("!", "-", "?"):
            prefixes += 1
        if depth > DEPTH_LIMIT or prefixes > DEPTH_LIMIT:
            return too_deep(token.at)
    return None


def too_deep(at: int = 0) -> Problem:
    """Returns the problem of a text nested deeper than it is read."""
    hint = "give the inner part a name of its own under enrich; a long sum nests too: group it with ( )"
    return Problem(at, 1, "E305", "the expression is nested too deeply: at most 32 levels are read", hint)
