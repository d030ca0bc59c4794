"""The jar in the package is made of the Java beside it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from jvm.build import JAR, SOURCES, digest, digest_of

from pointsman.runner.streams_jvm import BRIDGE


def test_the_jar_is_of_these_sources() -> None:
    """The digest in its manifest is that of all Java files; after a change of one, run `make jvm`."""
    assert digest_of(JAR) == digest()


def test_the_host_takes_that_jar() -> None:
    """What is built and what runs is one file."""
    assert BRIDGE.samefile(JAR)


def test_every_source_has_its_class_and_is_java_11() -> None:
    """No class is left out, and none needs a newer Java than the oldest that Flink's clusters run."""
    with zipfile.ZipFile(JAR) as jar:
        names = set(jar.namelist())
        versions = {jar.read(name)[6:8] for name in names if name.endswith(".class")}
    sources = {path.relative_to(SOURCES) for path in SOURCES.rglob("*.java")}
    assert {Path(name) for name in names} >= {path.with_suffix(".class") for path in sources}
    assert versions == {(55).to_bytes(2, "big")}
