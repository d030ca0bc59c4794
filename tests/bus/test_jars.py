"""Kafka's files: fetched once, through what the user has set, and only the right ones."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local import jars
from pointsman.bus.local.jars import Jar, fetch_kafka, pinned
from pointsman.bus.local.maven import CERTIFICATES, central, find_repository

CONTENT = {f"org/x/a{i}/1/a{i}-1.jar": b"jar %d" % i * 100 for i in range(8)}


class Server(ThreadingHTTPServer):
    """A mirror, or a proxy where it is asked for whole URLs; remembers every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.failures = 0
        self.content = dict(CONTENT)

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self.server_port}/maven"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        body = self.server.content.get(self.path.partition("/maven/")[2])
        if self.server.failures > 0:
            self.server.failures -= 1
            body = None
            self.send_response(503)
        else:
            self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A mirror with eight small files."""
    found = Server()
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture(autouse=True)
def nobody_s_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home, a cache and an environment without any settings; eight small files are what Kafka needs."""
    for name in (
        *CERTIFICATES,
        "PIP_PROXY",
        "MAVEN_HOME",
        "M2_HOME",
        "NO_PROXY",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("POINTSMAN_MAVEN_REPOSITORY", raising=False)
    monkeypatch.setenv("POINTSMAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(jars.time, "sleep", lambda _: None)
    small = tuple(Jar(path, len(body), hashlib.sha256(body).hexdigest()) for path, body in CONTENT.items())
    monkeypatch.setattr(jars, "pinned", lambda _="kafka": small)


def settings(tmp_path: Path, text: str) -> None:
    """Writes Maven's settings.xml."""
    file = tmp_path / "home" / ".m2" / "settings.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0">{text}</settings>')


def test_the_pinned_list_is_whole() -> None:
    """Every file has a size and a digest, and Kafka's server is among them."""
    found = pinned()
    assert len(found) == 46
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in found)
    assert any(jar.name == f"kafka_2.13-{jars.KAFKA_VERSION}.jar" for jar in found)


def test_the_size_is_said_first_and_nothing_is_fetched_twice(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line tells size, place and target; a second call asks nobody and says nothing."""
    monkeypatch.setenv("POINTSMAN_MAVEN_REPOSITORY", server.url)
    said: list[str] = []
    folder = fetch_kafka(lambda line: said.append(f"{len(server.seen)} {line}"))
    assert said[0].startswith("0 Downloading Apache Kafka 4.3.1: 0 MB in 8 files from 127.0.0.1, once, into ")
    assert {file.name for file in folder.iterdir()} == {path.rpartition("/")[2] for path in CONTENT}
    count, said[:] = len(server.seen), []
    assert fetch_kafka(said.append) == folder
    assert (len(server.seen), said) == (count, [])


def test_two_processes_fetch_it_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second waits for the first and uses what it fetched."""
    monkeypatch.setenv("POINTSMAN_MAVEN_REPOSITORY", server.url)
    threads = [threading.Thread(target=fetch_kafka, args=(lambda _: None,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path for path, _ in server.seen) == sorted(f"/maven/{path}" for path in CONTENT)


def test_a_wrong_file_is_refused_and_leaves_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mirror that serves something else is named with both digests; the cache stays empty."""
    monkeypatch.setenv("POINTSMAN_MAVEN_REPOSITORY", server.url)
    path = next(iter(CONTENT))
    server.content[path] = b"<html>log in first</html>"
    with pytest.raises(EnvironmentFault, match=r"a0-1\.jar is not the file that was published"):
        fetch_kafka(lambda _: None)
    assert [file.name for file in (tmp_path / "cache" / "kafka").iterdir()] == ["4.3.1.lock"]


def test_a_busy_mirror_is_asked_again_and_a_missing_file_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 is tried again; 404 ends it with the URL and what may be set."""
    monkeypatch.setenv("POINTSMAN_MAVEN_REPOSITORY", server.url)
    server.failures = 2
    fetch_kafka(lambda _: None)
    assert len(server.seen) == len(CONTENT) + 2
    monkeypatch.setenv("POINTSMAN_MAVEN_REPOSITORY", server.url + "/elsewhere")
    monkeypatch.setenv("POINTSMAN_CACHE", str(jars.cache_dir() / "other"))
    with pytest.raises(EnvironmentFault, match=r"HTTP 404 .*HTTPS_PROXY"):
        fetch_kafka(lambda _: None)


def test_maven_s_mirror_and_its_login_are_used(server: Server, tmp_path: Path) -> None:
    """The first mirror of `central` in settings.xml is asked, with its server's user and password."""
    settings(
        tmp_path,
        f"""<mirrors>
              <mirror><id>other</id><mirrorOf>*,!central</mirrorOf><url>http://wrong</url></mirror>
              <mirror><id>corp</id><mirrorOf>external:*</mirrorOf><url>{server.url}/</url></mirror>
            </mirrors>
            <servers><server><id>corp</id><username>me</username><password>secret</password></server></servers>""",
    )
    fetch_kafka(lambda _: None)
    assert {headers["Authorization"] for _, headers in server.seen} == {"Basic bWU6c2VjcmV0"}


def test_maven_s_own_folder_saves_the_download(server: Server, tmp_path: Path) -> None:
    """A file that Maven has already, if it is the right one, is copied."""
    settings(tmp_path, f"<mirrors><mirror><mirrorOf>*</mirrorOf><url>{server.url}</url></mirror></mirrors>")
    good, bad = list(CONTENT)[:2]
    for path, body in ((good, CONTENT[good]), (bad, b"broken")):
        file = tmp_path / "home" / ".m2" / "repository" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(body)
    fetch_kafka(lambda _: None)
    asked = {path for path, _ in server.seen}
    assert f"/maven/{good}" not in asked
    assert f"/maven/{bad}" in asked


@pytest.mark.parametrize("where", ["environment", "maven", "pip"])
def test_the_user_s_proxy_is_used(
    where: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy set in the environment, in settings.xml or in pip.conf gets every request, with its login."""
    monkeypatch.setenv("POINTSMAN_MAVEN_REPOSITORY", "http://repository.invalid/maven")
    address = f"127.0.0.1:{server.server_port}"
    if where == "environment":
        monkeypatch.setenv("http_proxy", f"http://me:secret@{address}")
    elif where == "maven":
        settings(
            tmp_path,
            f"""<proxies><proxy><host>127.0.0.1</host><port>{server.server_port}</port><username>me</username>
                <password>secret</password><nonProxyHosts>localhost|*.corp</nonProxyHosts></proxy></proxies>""",
        )
    else:
        file = tmp_path / "home" / ".config" / "pip" / "pip.conf"
        file.parent.mkdir(parents=True)
        monkeypatch.delenv("PIP_CONFIG_FILE")
        file.write_text(f"[global]\nproxy = http://me:secret@{address}\n")
    fetch_kafka(lambda _: None)
    assert sorted(path for path, _ in server.seen) == sorted(
        f"http://repository.invalid/maven/{path}" for path in CONTENT
    )
    assert {headers["Proxy-Authorization"] for _, headers in server.seen} == {"Basic bWU6c2VjcmV0"}


def test_hosts_without_proxy_are_met_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY and nonProxyHosts are honoured."""
    host = urlsplit(central()).hostname or ""
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert find_repository().proxies["https"] == "http://proxy:3128"
    monkeypatch.setenv("no_proxy", host)
    assert find_repository().proxies == {}
    monkeypatch.delenv("https_proxy")
    others = f"*.{host.partition('.')[2]}"
    proxy = f"<proxy><host>p</host><port>1</port><nonProxyHosts>{others}</nonProxyHosts></proxy>"
    settings(tmp_path, f"<proxies>{proxy}</proxies>")
    assert (find_repository().url, find_repository().proxies) == (central(), {})


def test_certificates_of_pip_and_requests_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files named for pip, requests and OpenSSL are all loaded; one that is no certificate is named."""
    file = tmp_path / "corp.pem"
    file.write_text("no certificate")
    monkeypatch.setenv("PIP_CERT", str(file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    repository = find_repository()
    assert set(repository.certificates) == {file, tmp_path}
    with pytest.raises(EnvironmentFault, match=r"corp\.pem cannot be read"):
        repository.opener()


def test_a_login_in_the_address_is_kept_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """https://user:password@host sends them as a header, not in the address or any message."""
    monkeypatch.setenv("POINTSMAN_MAVEN_REPOSITORY", "https://me:s%40cret@corp:8443/maven/")
    repository = find_repository()
    assert (repository.url, repository.credentials) == ("https://corp:8443/maven", "Basic bWU6c0BjcmV0")


def test_settings_that_are_not_xml_are_named(tmp_path: Path) -> None:
    """A damaged settings.xml is an error with its path, not a silent default."""
    settings(tmp_path, "<mirrors>")
    with pytest.raises(EnvironmentFault, match=r"settings\.xml cannot be read"):
        find_repository()
