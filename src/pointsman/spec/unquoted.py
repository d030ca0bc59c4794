"""Mistakes that YAML makes of values that should have been quoted.

CEL and YAML share their signs: `a ? "b" : "c"` holds a colon, `!x` is a tag, `"a" == b` ends after `"a"`, a
comma ends a value inside `{…}`. Each of these is found here by reading the value once more as an expression,
and reported with the line to paste.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from pointsman.base.errors import Finding
from pointsman.spec.place import File

__all__ = ["Mistake", "blank", "comment", "diagnose", "quoted"]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEY = r"(?P<key>[\w.$/-]+|\"[^\"]*\"|'[^']*')"
_BLOCK = re.compile(
    rf"(?P<lead>[ ]*(?:-[ ]+)*){_KEY}[ ]*:[ ]+(?:(?P<value>[^\s#].*?)[ \t]*|(?P<bare>#.*))$", re.MULTILINE
)
_FLOW_KEY = re.compile(rf"\s*{_KEY}\s*:(?=[\s\[{{\"'])\s*")
_YAML_TAG = re.compile(r"!!(?:str|int|float|bool|null|map|seq|binary|timestamp|set|omap|pairs)\b")
MOST_CHARACTERS = 20_000
"""How far the end of a value is looked for."""

_PAIRS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A value that YAML misreads.

    Attributes:
        start: Where the value begins.
        end: Where it ends.
        meant: The value as it would read in quotes; None where that cannot be known.
        finding: What to tell.
    """

    start: int
    end: int
    meant: str | None
    finding: Finding


def quoted(text: str) -> str:
    """`text` as a quoted YAML scalar of one line, in single quotes where that reads better."""
    if "'" in text and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def blank(file: File) -> str:
    """The file's text with every recovered value overwritten by letters, every position unchanged."""
    if not file.recovered:
        return file.text
    parts, last = [], 0
    for start in sorted(file.recovered):
        end = file.recovered[start][1]
        if start < last:
            continue
        first, *rest = re.split(r"(?=[\r\n])", file.text[start:end])
        parts += [file.text[last:start], "x" * len(first), *(re.sub(r"[^\r\n]", " ", line) for line in rest)]
        last = end
    return "".join([*parts, file.text[last:]])


def _string_end(text: str, start: int, stop: int) -> int | None:
    """Where the quoted string that begins at `start` ends, or None where it is not closed before `stop`."""
    sign, index = text[start], start + 1
    while index < stop:
        if text[index] == "\\":
            index += 1
        elif text[index] == sign:
            return index + 1
        index += 1
    return None


def _extent(text: str, start: int, stop: int, flow: bool) -> int | None:
    """Where the expression that begins at `start` ends; None where a string or bracket is left open.

    It ends at a comment, and in a flow collection at its `,` or bracket.
    """
    expected: list[str] = []
    index = start
    while index < stop:
        sign = text[index]
        if sign in "\"'":
            end = _string_end(text, index, stop)
            if end is None:
                return None
            index = end
            continue
        if sign == "#" and text[index - 1] in " \t":
            break
        if sign in _PAIRS:
            expected.append(_PAIRS[sign])
        elif expected and sign == expected[-1]:
            expected.pop()
        elif flow and not expected and sign in ",]}":
            break
        elif sign in ")]}":
            return None
        index += 1
    if expected:
        return None
    while index > start and text[index - 1].isspace():
        index -= 1
    return index


def _reads(value: str, flow: bool) -> bool:
    """Whether YAML reads `value` as one whole value."""
    before, after = ("{k: ", "}") if flow else ("k: ", "")
    try:
        events = list(yaml.parse(before + value + after, Loader=_LOADER))
    except yaml.YAMLError:
        return False
    inner = events[2:-2]  # without the begin and end of stream and document
    if any(getattr(event, "tag", None) for event in inner):
        return False
    if len(inner) < 4 or not isinstance(inner[0], yaml.MappingStartEvent):
        return False
    first, last = inner[2], inner[-2]
    end = (first if isinstance(first, (yaml.ScalarEvent, yaml.AliasEvent)) else last).end_mark
    if end is None or end.index != len(before) + len(value):
        return False
    return not isinstance(first, yaml.ScalarEvent) or (len(inner) == 4 and not _odd(first))


def _odd(event: yaml.ScalarEvent) -> bool:
    text: str = event.value
    return event.style in (None, "") and any(text.count(a) != text.count(b) for a, b in _PAIRS.items())


def _mistake(file: File, key: str, start: int, end: int, why: str) -> Mistake:
    meant = " ".join(line.strip() for line in file.text[start:end].splitlines())
    message = f"YAML cannot read this value without quotes{why}"
    finding = file.place(start, end).finding("E103", message, f"write: {key}: {quoted(meant)}")
    if "\n" in file.text[start:end]:
        return Mistake(start, end, None, finding)
    return Mistake(start, end, meant, finding)


def _why(value: str) -> str:
    """What YAML made of it, where that can be said in a few words."""
    first = value[0]
    if first in "\"'":
        return f": for YAML it ends at the second {first}"
    if first in "[{":
        return f": {first} begins a YAML {'list' if first == '[' else 'map'}"
    named = {
        "!": "! begins a YAML tag",
        "&": "& begins a YAML anchor",
        "*": "* begins a YAML alias",
        "|": "| begins a YAML block",
        ">": "> begins a YAML block",
        "#": "# begins a comment",
    }
    if first in named:
        return f": {named[first]}"
    if first in "%@`-?":
        return f": nothing may begin with {first}"
    if ": " in value or value.endswith(":"):
        return ": the colon is a YAML sign"
    return ""


def diagnose(file: File, text: str, index: int, flow: int | None) -> Mistake | None:
    """The unquoted value that made YAML fail at `index`, or None where it is something else.

    Args:
        file: The file; places are of its text.
        text: Its text with recovered values overwritten.
        index: Where the parser stopped.
        flow: Where the flow collection around it begins, if there is one.
    """
    line = file.line_of(min(index, max(0, len(text) - 1)))
    if flow is None:
        begin, end = file.bounds(line)
        if found := re.match(r"[ ]*(?:-[ ]+)*(?:[\w.$/-]+[ ]*:[ ]+)?(?=[{\[])", text[begin:end]):
            flow = begin + found.end()
    if flow is not None:
        inner = _in_flow(file, text, flow, len(text))
        if inner is not None:
            return inner
    for above in range(line, max(0, line - 50), -1):
        begin, end = file.bounds(above)
        found = _BLOCK.match(text, begin, end)
        if found is None:
            continue
        if above == line and index <= found.end("lead") and line > 1:
            previous = _unclosed_above(file, text, line)
            if previous is not None:
                return previous
        mistake = _in_block(file, text, above, found)
        return mistake or _unclosed_above(file, text, above)
    return None


def _in_block(file: File, text: str, line: int, found: re.Match[str]) -> Mistake | None:
    """The mistake in `key: value` of one line and the deeper lines that continue it."""
    if found["bare"]:
        return _mistake(file, found["key"], found.start("bare"), found.end("bare"), _why("#"))
    start, end = found.span("value")
    if _YAML_TAG.match(text, start):
        return None
    if text[start] in "\"'" and _string_end(text, start, end) == end:
        return None
    indent = len(found["lead"])
    last, after = line, line + 1
    while after <= file.line_of(len(text)):
        begin, stop = file.bounds(after)
        body = text[begin:stop]
        if body.strip() and (len(body) - len(body.lstrip(" ")) <= indent or _BLOCK.match(body)):
            break
        if body.strip():
            last = after
        after += 1
    stop = file.bounds(last)[1]
    for limit in (stop, end):
        whole = _extent(text, start, limit, flow=False)
        if whole is None:
            continue
        if _reads(text[start:whole], flow=False):
            return None
        return _mistake(file, found["key"], start, whole, _why(text[start:whole]))
    return _open_string(file, text, start, end)


def _open_string(file: File, text: str, start: int, end: int) -> Mistake | None:
    """The mistake of a value that begins with a quote and has no second one on its line."""
    if text[start] not in "\"'" or _string_end(text, start, end) is not None:
        return None
    finding = file.place(start, end).finding(
        "E102", f"the string that begins here has no closing {text[start]}", f"add {text[start]} at its end"
    )
    return Mistake(start, end, None, finding)


def _unclosed_above(file: File, text: str, line: int) -> Mistake | None:
    """A string left open a few lines above, which swallowed what came between."""
    for above in range(line, max(0, line - 20), -1):
        begin, end = file.bounds(above)
        found = _BLOCK.match(text, begin, end)
        if found and found["value"]:
            mistake = _open_string(file, text, *found.span("value"))
            if mistake:
                return mistake
    return None


def _in_flow(file: File, text: str, start: int, stop: int) -> Mistake | None:
    """The first misread value of the flow collection that begins at `start`."""
    index = start
    depth = 0
    while index < stop:
        sign = text[index]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
            if depth == 0:
                return None
        if sign in "{,":
            found = _FLOW_KEY.match(text, index + 1, stop)
            if found and found.end() < stop:
                first = found.end()
                end = _extent(text, first, min(stop, first + MOST_CHARACTERS), flow=True)
                if end is None or end == first:
                    index = first
                    continue
                if not _reads(text[first:end], flow=True):
                    inner = _in_flow(file, text, first, end) if text[first] in "{[" else None
                    return inner or _mistake(file, found["key"], first, end, _flow_why(text[first:end]))
                index = end
                continue
        if sign in "\"'":
            index = _string_end(text, index, stop) or stop
            continue
        index += 1
    return None


def _flow_why(value: str) -> str:
    reason = _why(value)
    if not reason or (value[0] not in "\"'[{" and any(sign in value for sign in ",[]{}")):
        return ": inside {…} its brackets and commas are YAML signs"
    return reason


def comment(file: File, start: int, end: int) -> Mistake | None:
    """The mistake of `key: a == "x #y"`, where YAML takes `#y"` for a comment and leaves a string open."""
    line = file.line_of(start)
    begin, stop = file.bounds(line)
    if file.line_of(end) != line or not re.match(r"\s+#", file.text[end:stop]):
        return None
    value = file.text[start:end]
    if _extent(value, 0, len(value), flow=False) is not None:
        return None
    found = _BLOCK.match(file.text, begin, stop)
    if found is None or found.start("value") != start:
        return None
    whole = _extent(file.text, start, stop, flow=False)
    if whole is None:
        return None
    return _mistake(file, found["key"], start, whole, ": # begins a comment")
