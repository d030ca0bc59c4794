"""Whatever stands in a file, it is loaded or refused with findings: nothing else happens."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pointsman.spec import check
from pointsman.spec.show import show
from spec.documents import write
from spec.test_load import WHOLE

BITS = [
    *"{}[]:\"'!&*#|>?%@`,~\t\\=\r", ": ", "\n", "\n  ", "- ", " #", "? ", "${", "${A}", "<<", "---\n",
    "...\n", "null", "0x", "é", "日", "&&", "\r\n", "\u2028", "\x85", "\ufeff", "&a ", "*a", "!!str ", "{}",
    "[]", "''",
]  # fmt: skip
GOLDEN = [path.read_text("utf-8") for path in sorted((Path(__file__).parent / "golden").glob("*.yaml"))]


def damaged(draw: random.Random) -> str:
    """A document with a few random insertions, deletions and moved lines."""
    text = draw.choice([WHOLE, WHOLE, *GOLDEN])
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(text) + 1)
        match draw.randrange(3):
            case 0:
                text = text[:at] + draw.choice(BITS) + text[at:]
            case 1:
                text = text[:at] + text[at + draw.randint(1, 8) :]
            case _:
                lines = text.split("\n")
                lines.insert(draw.randrange(len(lines)), lines.pop(draw.randrange(len(lines))))
                text = "\n".join(lines)
    return text or "x"


@pytest.mark.parametrize("seed", range(8))
def test_damaged_documents_get_findings_within_the_file(tmp_path: Path, seed: int) -> None:
    """A damaged document raises nothing, and every finding stands on a line that exists."""
    draw = random.Random(seed)
    path = write(tmp_path, WHOLE)
    for _ in range(40):
        text = damaged(draw)
        path.write_bytes(text.encode())
        found = check(path, environment={})
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")

        assert show(found) or not found
        for finding in found:
            assert 1 <= finding.line <= len(lines)
            assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1
            assert finding.length >= 1
            assert finding.message
