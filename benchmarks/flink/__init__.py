"""The same job as PyFlink's own process function, in an environment of its own: it pins older packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pointsman.bus.local.jars import fetch_flink_connector
from pointsman.bus.local.java import find_java

__all__ = ["command", "environment"]

REQUIREMENTS = ("apache-flink==2.3.0", "msgspec==0.22.0")
SOURCE = Path(__file__).parent / "job.py"


def _python() -> Path:
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from servers.environment import environment

    return environment("pyflink", *REQUIREMENTS)


def command(kind: str, *arguments: str) -> list[str]:
    """The command that runs it.

    Args:
        kind: `value`, `table` or `keyed`, as told in `job.py`.
        arguments: Bootstrap, source, target, customers.csv.
    """
    connector = next(fetch_flink_connector(print).glob("*.jar"))
    return [str(_python()), str(SOURCE), kind, str(connector), *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Variables that it needs; its log goes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        "JAVA_HOME": str(find_java().resolve().parents[1]),
        "FLINK_LOG_DIR": str(folder),
        # As for the other contenders; and what Flink's own scripts open of newer Javas.
        "FLINK_ENV_JAVA_OPTS": "-Xmx1g -XX:+UseSerialGC " + " ".join(OPEN),
        # The worker process imports `deciding` by it, and nothing of ours.
        "PYTHONPATH": str(SOURCE.parent),
    }


OPEN = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.net", "java.nio", "java.text", "java.time", "java.util", "sun.nio.ch")
)
