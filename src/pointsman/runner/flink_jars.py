"""Flink itself, from the package apache-flink-libraries, and what our job needs besides."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Final

from pointsman.base.errors import EnvironmentFault, MissingExtra
from pointsman.bus.local.jars import fetch_flink_connector

__all__ = ["FLINK_VERSION", "bridge_jar", "connector_jar", "engine_jars", "flink_jars"]

FLINK_VERSION: Final = "2.3.0"

_PACKAGES: Final = ("apache-flink-libraries", "apache-flink")
_NEEDED: Final = ("flink-dist-", "log4j-api-", "log4j-core-", "log4j-slf4j-impl-")


def engine_jars() -> list[Path]:
    """Flink's own jars.

    Raises:
        MissingExtra: The package that has them is not installed.
        EnvironmentFault: It is another version.
    """
    for package in _PACKAGES:
        try:
            found = distribution(package)
        except PackageNotFoundError:
            continue
        if found.version != FLINK_VERSION:
            raise EnvironmentFault(
                f"{package} {found.version} is installed and {FLINK_VERSION} is needed: "
                f"pip install {package}=={FLINK_VERSION}"
            )
        folder = Path(str(found.locate_file("pyflink/lib")))
        jars = [next(iter(sorted(folder.glob(f"{name}*.jar"))), None) for name in _NEEDED]
        if None not in jars:
            return [jar for jar in jars if jar is not None]
    raise MissingExtra("running inside Flink", "flink")


def connector_jar(progress: Callable[[str], None]) -> Path:
    """Flink's connector to Kafka, fetched once.

    Raises:
        EnvironmentFault: It cannot be downloaded.
    """
    return next(fetch_flink_connector(progress).glob("*.jar"))


def bridge_jar() -> Path:
    """Our half in Java."""
    return Path(str(files("pointsman.runner").joinpath("bridge.jar")))


def flink_jars(progress: Callable[[str], None]) -> list[Path]:
    """What the job is compiled against, and its program run with, but for our own half.

    Raises:
        MissingExtra: Flink is not installed.
        EnvironmentFault: The connector cannot be downloaded.
    """
    return [*engine_jars(), connector_jar(progress)]
