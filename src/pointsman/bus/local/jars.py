"""Fetches Kafka's server, or what an engine needs, once into the cache, checked against pinned digests.

The lists beside this file are whole dependency trees, so that nothing is resolved at run time: what
runs is the same on every machine, whatever mirror it came from.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local.maven import Repository, find_repository
from pointsman.bus.local.paths import cache_dir, exclusive

__all__ = ["KAFKA_VERSION", "Jar", "fetch_flink_connector", "fetch_kafka", "fetch_streams", "pinned"]

KAFKA_VERSION = "4.3.1"

_VERSIONS = {"kafka": KAFKA_VERSION, "kafka-streams": KAFKA_VERSION, "flink-connector-kafka": "5.0.0-2.2"}

Progress = Callable[[str], None]

_ATTEMPTS = 3
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned file.

    Attributes:
        path: Below a repository's root.
        size: In bytes.
        sha256: In hexadecimal.
    """

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]


def pinned(product: str = "kafka") -> tuple[Jar, ...]:
    """Returns every file of the pinned version of `kafka`, `kafka-streams` or `flink-connector-kafka`."""
    jars = []
    name = f"{product}-{_VERSIONS[product]}.jars"
    text = files("pointsman.bus.local").joinpath(name).read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            coordinate, size, sha256 = line.split()
            group, artifact, version = coordinate.split(":")
            path = f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"
            jars.append(Jar(path, int(size), sha256))
    return tuple(jars)


def fetch_kafka(progress: Progress) -> Path:
    """Returns the folder with Kafka's jars, downloading them the first time.

    Args:
        progress: Told in lines what is downloaded, from where and how large, before it starts; told
            nothing where all is there.

    Raises:
        EnvironmentFault: If a file cannot be downloaded, is not the pinned one, or cannot be stored.
    """
    return _fetched("kafka", "Apache Kafka", progress)


def fetch_streams(progress: Progress) -> Path:
    """Returns the folder with Kafka Streams' jars and a Java compiler; as `fetch_kafka`."""
    return _fetched("kafka-streams", "Kafka Streams", progress)


def fetch_flink_connector(progress: Progress) -> Path:
    """Returns the folder with Flink's connector to Kafka, one jar; as `fetch_kafka`."""
    return _fetched("flink-connector-kafka", "Flink's Kafka connector", progress)


def _fetched(product: str, title: str, progress: Progress) -> Path:
    jars = pinned(product)
    folder = cache_dir() / product / _VERSIONS[product]
    if _complete(folder, jars):
        return folder
    with exclusive(folder.parent / f"{folder.name}.lock"):
        if not _complete(folder, jars):  # another process may have fetched it meanwhile
            _fetch(jars, folder, title, progress)
    return folder


def _complete(folder: Path, jars: tuple[Jar, ...]) -> bool:
    try:
        found = {path.name: path.stat().st_size for path in folder.iterdir()}
    except FileNotFoundError:
        return False
    return all(found.get(jar.name) == jar.size for jar in jars)


def _fetch(jars: tuple[Jar, ...], folder: Path, title: str, progress: Progress) -> None:
    repository = find_repository()
    size = sum(jar.size for jar in jars)
    progress(
        f"Downloading {title} {folder.name}: {size / 1e6:.0f} MB in {len(jars)} files "
        f"from {urlsplit(repository.url).hostname}, once, into {folder}"
    )
    for left in folder.parent.glob(f".{folder.name}-*"):  # by a download that was killed
        shutil.rmtree(left, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        download = _Download(repository, partial, _Meter(size, progress))
        with ThreadPoolExecutor(6) as pool:
            for _ in pool.map(download.get, jars):
                pass
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or it would not be fetched again
        partial.rename(folder)
    except OSError as error:
        raise EnvironmentFault(
            f"{title} cannot be stored in {folder}: {error.strerror or error}; free some space or name "
            "another folder in POINTSMAN_CACHE"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _Meter:
    """Adds up the files that arrived in all threads and tells each further tenth."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            before = self._done * 10 // self._total
            self._done += count
            if self._done * 10 // self._total > before:
                self._progress(f"  {self._done / 1e6:.0f} of {self._total / 1e6:.0f} MB")


class _Download:
    """Gets one file at a time; may be called from several threads."""

    def __init__(self, repository: Repository, folder: Path, meter: _Meter) -> None:
        self._repository = repository
        self._folder = folder
        self._meter = meter
        self._opener = repository.opener()

    def get(self, jar: Jar) -> None:
        """Stores `jar`, from Maven's own folder where the right file is there."""
        target = self._folder / jar.name
        known = self._repository.local / jar.path
        if known.is_file() and _sha256(known) == jar.sha256:
            shutil.copyfile(known, target)
            self._meter.add(jar.size)
            return
        url = f"{self._repository.url}/{jar.path}"
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                data = self._read(jar)
                break
            except (OSError, HTTPException) as error:
                if attempt == _ATTEMPTS or _is_final(error):
                    raise _unreachable(url, error) from error
                time.sleep(attempt)
        if (found := hashlib.sha256(data).hexdigest()) != jar.sha256:
            raise EnvironmentFault(
                f"{url} is not the file that was published: its SHA-256 is {found}, expected {jar.sha256}; "
                "check what answers there (a proxy's login page, a damaged mirror)"
            )
        target.write_bytes(data)
        self._meter.add(jar.size)

    def _read(self, jar: Jar) -> bytes:
        with self._opener.open(self._repository.request(jar.path), timeout=_TIMEOUT) as reply:
            data: bytes = reply.read()
        return data


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_final(error: Exception) -> bool:
    """Tells whether asking again cannot help: the server answered, and not that it is busy."""
    return isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429


def _unreachable(url: str, error: Exception) -> EnvironmentFault:
    reason = getattr(error, "reason", None) or error
    if isinstance(error, urllib.error.HTTPError):
        reason = f"HTTP {error.code} {error.reason}"
    return EnvironmentFault(
        f"cannot download {url}: {reason}; behind a proxy set HTTPS_PROXY, for a mirror set "
        "POINTSMAN_MAVEN_REPOSITORY or Maven's settings.xml, for a certificate of your own SSL_CERT_FILE"
    )
