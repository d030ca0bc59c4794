"""Where something stands: files as they were read, and places in them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

from pointsman.base.errors import Finding

__all__ = ["File", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line of a file.

    Attributes:
        file: The file's name as the user gave it.
        line: From 1.
        column: From 1, in characters.
        length: Characters on that line, at least 1.
    """

    file: str
    line: int
    column: int
    length: int

    def finding(
        self, code: str, message: str, hint: str = "", severity: Literal["error", "warning"] = "error"
    ) -> Finding:
        """A finding about what stands here."""
        return Finding(self.file, self.line, self.column, self.length, code, severity, message, hint)


@dataclass(slots=True, eq=False)
class File:
    """The text of a file, and where its lines begin.

    Attributes:
        name: As the user gave it.
        text: Decoded, without a byte order mark.
        order: Which file it is, from 0: the document, then its overlays.
        recovered: Values that YAML misreads because they are not quoted, by offset: what was meant, None
            where that is not known, and where it ends.
    """

    name: str
    text: str
    order: int = 0
    recovered: dict[int, tuple[str | None, int]] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)

    def line_of(self, offset: int) -> int:
        """The line, from 1, that `offset` stands on."""
        if not self._starts:
            self._starts = [0]
            position = 0
            for line in (
                self.text.splitlines(keepends=True) if _only_common_breaks(self.text) else _lines(self.text)
            ):
                position += len(line)
                self._starts.append(position)
            if len(self._starts) > 1 and not self.text.endswith(("\n", "\r")):
                self._starts.pop()
        return max(1, min(bisect_right(self._starts, offset), len(self._starts)))

    def bounds(self, line: int) -> tuple[int, int]:
        """Where `line` begins, and where it ends without its line break."""
        self.line_of(0)
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        while end > start and self.text[end - 1] in "\r\n":
            end -= 1
        return start, end

    def place(self, start: int, end: int | None = None) -> Place:
        """The place of [start, end), cut at the end of its first line."""
        line = self.line_of(start)
        begin, stop = self.bounds(line)
        start = min(start, stop)
        length = max(1, min(start + 1 if end is None else end, stop) - start)
        return Place(self.name, line, start - begin + 1, length)


def _only_common_breaks(text: str) -> bool:
    return not any(sign in text for sign in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")


def _lines(text: str) -> list[str]:
    """`splitlines`, but only CR LF, LF and CR end a line, as editors count."""
    found, start, index = [], 0, 0
    while index < len(text):
        sign = text[index]
        index += 1
        if sign == "\r" and text[index : index + 1] == "\n":
            index += 1
        if sign in "\r\n":
            found.append(text[start:index])
            start = index
    found.append(text[start:])
    return found
