"""The jar in the package, compiled again."""

from __future__ import annotations

from pathlib import Path

from jvm.build import JAR, build


def test_compiling_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whoever has the sources has the jar, byte for byte."""
    again = tmp_path / "bridge.jar"
    build(again)
    assert again.read_bytes() == JAR.read_bytes()
