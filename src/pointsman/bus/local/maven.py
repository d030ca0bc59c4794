"""The Maven repository to download from, with the mirrors, proxies and certificates that the user has set.

Honoured, in this order:
    where:        POINTSMAN_MAVEN_REPOSITORY, then the mirror of `central` in Maven's settings.xml
                  (with the user and password of its <server>), then Maven Central
    proxy:        HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, then Maven's active <proxy>,
                  then pip's `proxy`
    certificates: the system's, and those in SSL_CERT_FILE, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, PIP_CERT
                  or pip's `cert`
"""

from __future__ import annotations

import base64
import configparser
import os
import re
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from pointsman.base.errors import EnvironmentFault, MissingExtra

__all__ = ["Repository", "central", "find_repository"]

CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


@dataclass(frozen=True)
class Repository:
    """A Maven repository and how to reach it.

    Attributes:
        url: Its root, without a final slash.
        credentials: The Authorization header; empty where none is needed.
        proxies: Scheme to proxy URL; empty for a direct connection.
        certificates: Files and folders trusted besides the system's.
        local: Folder of what Maven has already downloaded on this machine.
    """

    url: str
    credentials: str = ""
    proxies: dict[str, str] = field(default_factory=dict)
    certificates: tuple[Path, ...] = ()
    local: Path = Path("~/.m2/repository")

    def request(self, path: str) -> urllib.request.Request:
        """Returns the request for a file; where it is redirected, the credentials stay behind."""
        request = urllib.request.Request(f"{self.url}/{path}", headers={"User-Agent": "pointsman"})
        if self.credentials:
            request.add_unredirected_header("Authorization", self.credentials)
        return request

    def opener(self) -> urllib.request.OpenerDirector:
        """Returns what opens requests; safe to use from several threads."""
        context = ssl.create_default_context()
        for path in self.certificates:
            try:
                context.load_verify_locations(
                    cafile=None if path.is_dir() else path, capath=path if path.is_dir() else None
                )
            except OSError as error:
                raise EnvironmentFault(
                    f"the certificates in {path} cannot be read: {error}; "
                    f"set one of {', '.join(CERTIFICATES)} to a PEM file"
                ) from error
        return urllib.request.build_opener(
            urllib.request.ProxyHandler(self.proxies), urllib.request.HTTPSHandler(context=context)
        )


def central() -> str:
    """The address of Maven Central, as jgo knows it.

    Raises:
        MissingExtra: jgo is not installed.
    """
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
    except ImportError:
        raise MissingExtra("fetching Apache Kafka", "broker") from None
    return str(MAVEN_CENTRAL_URL)


def find_repository() -> Repository:
    """Reads the environment, Maven's settings and pip's settings of this user."""
    settings = _Settings.read()
    url, credentials = settings.mirror()
    if own := os.environ.get("POINTSMAN_MAVEN_REPOSITORY"):
        url, credentials = _without_login(own)
    pip = dict(_pip_settings())
    return Repository(
        url=url,
        credentials=credentials,
        proxies=_proxies(url, settings, pip),
        certificates=tuple(_certificates(pip)),
        local=settings.local_repository(),
    )


def _proxies(url: str, settings: _Settings, pip: dict[str, str]) -> dict[str, str]:
    host = urlsplit(url).hostname or ""
    known = urllib.request.getproxies()
    if "all" in known:
        known = {"http": known["all"], "https": known["all"], **known}
    if "http" in known or "https" in known:
        return {} if urllib.request.proxy_bypass(host) else known
    proxy = settings.proxy(host) or os.environ.get("PIP_PROXY") or pip.get("proxy")
    return {"http": proxy, "https": proxy} if proxy else {}


def _certificates(pip: dict[str, str]) -> Iterator[Path]:
    for value in dict.fromkeys([*(os.environ.get(name) for name in CERTIFICATES), pip.get("cert")]):
        if value:
            yield Path(value).expanduser()


def _pip_settings() -> Iterator[tuple[str, str]]:
    """Yields `proxy` and `cert` of pip's files; the more specific file comes last."""
    home = Path.home()
    files = [
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]
    own = os.environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:  # pip's way to say: none of them
        return
    if own:
        files.append(Path(own))
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself complains about it; nothing here needs it
        for name in ("proxy", "cert"):
            if value := parser.get("global", name, fallback=""):
                yield name, value


class _Settings:
    """The parts of Maven's settings.xml that say where `central` is and how to reach it."""

    def __init__(self, roots: list[ElementTree.Element]) -> None:
        self._roots = roots

    @classmethod
    def read(cls) -> _Settings:
        """Reads the user's settings, then the installation's."""
        homes = [os.environ.get(name) for name in ("MAVEN_HOME", "M2_HOME")]
        files = [Path.home() / ".m2" / "settings.xml"]
        files += [Path(home) / "conf" / "settings.xml" for home in homes if home]
        roots = []
        for file in files:
            try:
                root = ElementTree.parse(file).getroot()
            except FileNotFoundError:
                continue
            except (OSError, ElementTree.ParseError) as error:
                raise EnvironmentFault(
                    f"Maven's settings {file} cannot be read: {error}; mend the file"
                ) from error
            for element in root.iter():
                element.tag = element.tag.rpartition("}")[2]
            roots.append(root)
        return cls(roots)

    def mirror(self) -> tuple[str, str]:
        """Returns the URL that stands for Maven Central, and the credentials it asks for."""
        for mirror in self._all("mirrors/mirror"):
            if _stands_for_central(_text(mirror, "mirrorOf")) and _text(mirror, "blocked") != "true":
                return _text(mirror, "url").rstrip("/"), self._credentials(_text(mirror, "id"))
        for repository in self._all("profiles/profile/repositories/repository"):
            if _text(repository, "id") == "central" and _text(repository, "url"):
                return _text(repository, "url").rstrip("/"), self._credentials("central")
        return central(), ""

    def proxy(self, host: str) -> str | None:
        """Returns the URL of the active proxy for `host`, if there is one."""
        for proxy in self._all("proxies/proxy"):
            if _text(proxy, "active") == "false":
                continue
            direct = _text(proxy, "nonProxyHosts").replace(",", "|").split("|")
            if any(fnmatch(host, pattern.strip()) for pattern in direct if pattern.strip()):
                continue
            user, password = _text(proxy, "username"), _text(proxy, "password")
            login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
            return f"http://{login}{_text(proxy, 'host')}:{_text(proxy, 'port') or '8080'}"
        return None

    def local_repository(self) -> Path:
        """Returns the folder where Maven keeps what it downloaded."""
        for root in self._roots:
            if path := _text(root, "localRepository"):
                return Path(path).expanduser()
        return Path.home() / ".m2" / "repository"

    def _credentials(self, server_id: str) -> str:
        for server in self._all("servers/server"):
            user, password = _text(server, "username"), _text(server, "password")
            if _text(server, "id") == server_id and user:
                return _basic(user, password)
        return ""

    def _all(self, path: str) -> Iterator[ElementTree.Element]:
        for root in self._roots:
            yield from root.iterfind(path)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _without_login(url: str) -> tuple[str, str]:
    """Splits https://user:password@host/path into the URL that remains and the credentials."""
    parts = urlsplit(url.rstrip("/"))
    if not parts.username:
        return url.rstrip("/"), ""
    host = parts.netloc.rpartition("@")[2]
    credentials = _basic(unquote(parts.username), unquote(parts.password or ""))
    return parts._replace(netloc=host).geturl(), credentials


def _text(element: ElementTree.Element, name: str) -> str:
    """Returns a child's text with `${env.NAME}` and `${user.home}` replaced; empty without the child."""
    text = (element.findtext(name) or "").strip().replace("${user.home}", str(Path.home()))
    return re.sub(r"\$\{env\.([^}]+)\}", lambda found: os.environ.get(found.group(1), ""), text)


def _stands_for_central(mirror_of: str) -> bool:
    names = [name.strip() for name in mirror_of.split(",")]
    return "!central" not in names and any(name in ("central", "*", "external:*") for name in names)
