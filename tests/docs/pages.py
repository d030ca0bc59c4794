"""The pages of documentation and their fenced blocks.

What a block's first line says, the tests do with it:

    ```yaml            a whole document: checked, beside the files of examples/payments
    ```yaml fragment   a part of one: checked as an overlay over the payments pipeline
    ```yaml mistakes   such a part with mistakes; the ```text block that follows is what `check` says of it
    ```yaml cases      test cases for the payments pipeline: run
    ```console         commands, run in this order in one folder; lines below one are in its output, in this
                       order and together, where no `…` stands between them
    ```sh              commands: each `pointsman …` must exist with its options, but is not run
    ```cel             `expression // value` over the event in the page's json block: evaluated
    ```proto           the scoring.proto that the page's documents name
    ```json, ```python valid
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAYMENTS = ROOT / "examples" / "payments"
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

KNOWN = {
    "",
    "yaml",
    "yaml fragment",
    "yaml mistakes",
    "text",
    "yaml cases",
    "console",
    "sh",
    "cel",
    "proto",
    "json",
    "python",
}


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(*kinds: str) -> list[Block]:
    """Every fenced block of these kinds, in the order of pages and lines."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in re.finditer(r"^```([^\n`]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match[1].strip(), match[2]))
    return [block for block in found if not kinds or block.kind in kinds]
