"""YAML's own errors in words for people, and at the place where they are mended."""

from __future__ import annotations

import yaml

from pointsman.base.errors import Finding
from pointsman.spec.place import File

__all__ = ["explain"]

_CLOSING = {"[": "]", "{": "}"}
_INDENTATION = ("mapping values are not allowed", "expected <block end>", "expected key")


def explain(file: File, error: yaml.MarkedYAMLError, flow: int | None) -> Finding:
    """What is wrong, where it has nothing to do with an expression.

    Args:
        file: The file.
        error: The parser's.
        flow: Where the innermost flow collection under way begins, if there is one.
    """
    mark = error.problem_mark or error.context_mark
    index = min(mark.index if mark else 0, max(0, len(file.text) - 1))
    start, message, hint = _said(file, error, index, flow)
    return file.place(start).finding("E102", message, hint)


def _said(file: File, error: yaml.MarkedYAMLError, index: int, flow: int | None) -> tuple[int, str, str]:
    """Place, message and hint of an error at `index`."""
    problem, context = error.problem or "", error.context or ""
    begin, _ = file.bounds(file.line_of(index))
    if "\t" in file.text[begin : index + 1]:
        return index, "a tab stands where YAML wants spaces", "indent with spaces"
    if any(words in problem for words in _INDENTATION):
        message = "this line does not fit the indentation of the lines above it"
        return index, message, "give keys of one map the same indentation"
    if "expected ':'" in problem and error.context_mark:
        return error.context_mark.index, "this line is no 'key: value'", "write ': ' behind the key"
    if "flow" in context and error.context_mark:
        start = error.context_mark.index if flow is None or "node" not in context else flow
        opened = file.text[start : start + 1]
        closing = _CLOSING.get(opened, "the closing sign")
        return (
            start,
            f"this {opened} is not closed where it should be",
            f"add {closing}, or a comma between values",
        )
    if "end of stream" in problem and error.context_mark:
        message = "what begins here is not closed before the end of the file"
        return error.context_mark.index, message, "add the closing quote"
    if "escape" in problem:
        return index, "this is not an escape that YAML knows", "double the backslash, or use single quotes"
    return index, f"YAML cannot be read here: {problem}", "check the quotes and the indentation around it"
