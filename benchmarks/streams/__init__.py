"""The same job as plain Java on Kafka Streams, compiled and run with the packaged JVM."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pointsman.bus.local.jars import fetch_streams
from pointsman.bus.local.java import find_java

__all__ = ["command", "compiled"]

SOURCE = Path(__file__).with_name("Stateful.java")


def compiled(folder: Path) -> Path:
    """Compiles the program into `folder` and returns it."""
    jars = fetch_streams(print)
    classes = folder / "classes"
    options = [
        "-source",
        "17",
        "-target",
        "17",
        "-nowarn",
        "-cp",
        ":".join(map(str, jars.glob("*.jar"))),
        "-d",
        str(classes),
    ]
    compiler = next(jars.glob("ecj-*.jar"))
    subprocess.run([find_java(), "-jar", compiler, *options, SOURCE], check=True)
    return classes


def command(classes: Path, *arguments: str) -> list[str]:
    """The command that runs it."""
    path = f"{classes}:{fetch_streams(print)}/*"
    return [str(find_java()), "-Xmx1g", "-XX:+UseSerialGC", "-cp", path, "Stateful", *arguments]
