"""Words and signs of Python, and of other languages, where CEL has another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from pointsman.cel.problems import Problem
from pointsman.cel.tokens import Token, tokenize

__all__ = ["CONSTANTS", "METHODS", "pythonisms"]

_BETWEEN: Final = {
    "and": "write && in place of 'and'",
    "or": "write || in place of 'or'",
    "is": "write == in place of 'is'",
    "if": "write 'condition ? a : b' in place of 'a if condition else b'",
}
"""Words that stand between two operands in Python."""

_BEFORE: Final = {
    "not": "write ! in place of 'not': !(amount > 5), !(x in [1, 2])",
    "elif": "write 'a ? b : c ? d : e' in place of if, elif, else",
    "lambda": "macros take a name and an expression: items.exists(i, i.price > 5)",
}
"""Words that stand before an operand in Python."""

CONSTANTS: Final = {
    "True": "true",
    "False": "false",
    "None": "null",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "null",
    "nil": "null",
    "undefined": "null",
}
"""Constants by their names elsewhere."""

_SIGNS: Final = {
    "=": ("'=' does not compare", "write == to compare"),
    "&": ("'&' is not an operator", "write && for 'and'; math.bitAnd(a, b) for bits"),
    "|": ("'|' is not an operator", "write || for 'or'; math.bitOr(a, b) for bits"),
    "^": ("'^' is not an operator", "write math.bitXor(a, b) for bits; x * x for a square"),
    "~": ("'~' is not an operator", 'write math.bitNot(a) for bits; x.matches("…") for a regular expression'),
    "@": ("'@' is not part of CEL", "names are written bare: amount > 1000"),
    "$": ("'$' is not part of CEL", "names are written bare: amount > 1000"),
    ";": (
        "';' is not part of CEL",
        "an expression is one expression; give parts names of their own under enrich",
    ),
    "#": ("'#' does not begin a comment", "a comment begins with //"),
    "“": ("a typographic quote does not begin a string", "write \" or '"),
    "”": ("a typographic quote does not end a string", "write \" or '"),
    "‘": ("a typographic quote does not begin a string", "write \" or '"),
    "’": ("a typographic quote does not end a string", "write \" or '"),
    "≥": ("'≥' is not an operator", "write >="),
    "≤": ("'≤' is not an operator", "write <="),
    "≠": ("'≠' is not an operator", "write !="),
}
"""Signs that no CEL token begins with."""

_PAIRS: Final = {
    ("*", "*"): ("'**' is not an operator", "write x * x"),
    ("<", ">"): ("'<>' is not an operator", "write !="),
    ("==", "="): ("'===' is not an operator", "write =="),
    ("!=", "="): ("'!==' is not an operator", "write !="),
    ("=", ">"): ("'=>' is not an operator", "write >="),
    ("=", "<"): ("'=<' is not an operator", "write <="),
    ("+", "="): ("'+=' is not an operator", "an expression gives a value and changes nothing"),
    ("-", "="): ("'-=' is not an operator", "an expression gives a value and changes nothing"),
    ("?", "?"): ("'??' is not an operator", "write event.?x.orValue(0)"),
    ("?", "."): ("'?.' is not an operator", "write .? as in event.?x.orValue(0)"),
}
"""Neighbours without a space between that are one operator elsewhere."""

METHODS: Final = {
    "len": "size(x)",
    "length": "size(x)",
    "count": "size(x), or size(items.filter(i, …))",
    "str": "string(x)",
    "float": "double(x)",
    "number": "double(x)",
    "lower": "x.lowerAscii()",
    "toLowerCase": "x.lowerAscii()",
    "upper": "x.upperAscii()",
    "toUpperCase": "x.upperAscii()",
    "strip": "x.trim()",
    "startswith": "x.startsWith(…)",
    "endswith": "x.endsWith(…)",
    "includes": "x.contains(…), or value in list",
    "find": "x.indexOf(…)",
    "search": "x.matches(…)",
    "match": "x.matches(…)",
    "regex": "x.matches(…)",
    "re": "x.matches(…)",
    "get": "x.?name.orValue(default)",
    "any": "items.exists(i, condition)",
    "some": "items.exists(i, condition)",
    "every": "items.all(i, condition)",
    "existsOne": "items.exists_one(i, condition)",
    "isinstance": "type(x) == string",
    "typeof": "type(x) == string",
    "exists": "has(event.x), or items.exists(i, condition)",
    "isnull": "x == null, or !has(event.x)",
    "coalesce": "event.?x.orValue(default)",
    "abs": "math.abs(x)",
    "min": "math.least(a, b)",
    "max": "math.greatest(a, b)",
    "round": "math.round(x)",
    "floor": "math.floor(x)",
    "ceil": "math.ceil(x)",
    "sqrt": "math.sqrt(x)",
    "not": "!x",
    "now": "now, without brackets: the event's time",
    "datetime": 'timestamp("2026-01-31T00:00:00Z")',
    "timedelta": 'duration("1h30m")',
}
"""What people call a function → what it is here."""


def pythonisms(text: str, names: Collection[str], *, broken: bool) -> list[Problem]:
    """Returns what is Python, or another language, in an expression's text.

    Args:
        text: The expression.
        names: What may be used as a name; a field may be called `is` or `True`.
        broken: Whether the text is not CEL. If it is, only `True`, `None` and their like are looked for.
    """
    tokens = tokenize(text)
    problems = [
        problem
        for number in range(len(tokens))
        if (problem := _at(tokens, number, names, broken)) is not None
    ]
    return _without_followers(problems)


def _at(tokens: Sequence[Token], number: int, names: Collection[str], broken: bool) -> Problem | None:
    token = tokens[number]
    before = tokens[number - 1] if number else None
    after = tokens[number + 1] if number + 1 < len(tokens) else None
    if token.kind == "name" and not (before and before.text in (".", ".?")):
        return _word(token, before, after, names, broken)
    if not broken:
        return None
    if after is not None and after.at == token.end and (token.text, after.text) in _PAIRS:
        return Problem(token.at, after.end - token.at, "E304", *_PAIRS[token.text, after.text])
    if token.kind == "other" and token.text in _SIGNS:
        return Problem(token.at, 1, "E304", *_SIGNS[token.text])
    return None


def _word(
    token: Token, before: Token | None, after: Token | None, names: Collection[str], broken: bool
) -> Problem | None:
    word = token.text
    length = len(word)
    if word in names:
        return None
    if word in CONSTANTS:
        return Problem(token.at, length, "E304", f"'{word}' is not CEL's", f"write {CONSTANTS[word]}")
    if not broken:
        return None
    lower = word.lower()
    operand_before = before is not None and (
        before.kind in ("name", "string", "number") or before.text in (")", "]", "}")
    )
    if lower in _BETWEEN and operand_before:
        return Problem(token.at, length, "E304", f"'{word}' is not an operator", _BETWEEN[lower])
    if lower in _BEFORE and after is not None:
        return Problem(token.at, length, "E304", f"'{word}' is not an operator", _BEFORE[lower])
    if before is not None and before.kind == "number" and before.end == token.at:
        return _bad_number(before, word)
    if after is not None and after.kind == "string" and after.at == token.end:
        message = f"'{word}' cannot stand before a string"
        hint = "only r and b may stand before a string"
        if lower == "f":
            hint = 'join with +, or write "%s…".format([x])'
        return Problem(token.at, length, "E304", message, hint)
    return None


def _bad_number(number: Token, rest: str) -> Problem:
    whole = number.text + rest
    hint = "write the whole number"
    if not rest.strip("_0123456789"):
        hint = f"write {whole.replace('_', '')}"
    return Problem(number.at, len(whole), "E300", f"'{whole}' is not a number", hint)


def _without_followers(problems: list[Problem]) -> list[Problem]:
    """Returns the problems without those inside the one before, such as the second sign of a pair."""
    kept: list[Problem] = []
    for problem in problems:
        if not kept or problem.offset >= kept[-1].offset + kept[-1].length:
            kept.append(problem)
    return kept
