"""A client of a Schema Registry that speaks Confluent's REST API, version 1 to 7."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pointsman.base.errors import EnvironmentFault, PointsmanError
from pointsman.codec.registry_keys import RegistryAuthKeys, RegistryKeys

__all__ = ["Reference", "Schema", "SchemaRegistry", "UnknownSchema"]

_ACCEPT: Final = "application/vnd.schemaregistry.v1+json, application/json"
_MOST_BYTES: Final = 16 * 1024 * 1024
_PAUSES: Final = (0.1, 0.2, 0.5, 1.0)
"""Seconds between attempts; the last one repeats."""

Json = Any


class UnknownSchema(PointsmanError):  # it is an answer
    """The registry answered that it has no such schema, subject or version."""


class _NoAnswer(Exception):  # it is retried
    """The registry did not answer, or not with an answer."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A schema that another one uses.

    Attributes:
        name: What the other one calls it: a full name in Avro, a path in Protobuf, a URI in JSON Schema.
        text: The schema.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema of the registry.

    Attributes:
        id: Its number in the registry.
        kind: `AVRO`, `PROTOBUF` or `JSON`.
        text: The schema itself.
        references: What it uses, each behind what it uses itself.
    """

    id: int
    kind: str
    text: str
    references: tuple[Reference, ...] = ()


class SchemaRegistry:
    """Asks a registry; each request blocks for at most its time-out."""

    def __init__(
        self,
        keys: RegistryKeys,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args:
        keys: Where it is and how it is asked.
        monotonic: Seconds of a clock that only goes forward.
        sleep: Waits.
        """
        self._base = keys.url.rstrip("/")
        self._timeout = keys.timeout
        self._patience = keys.patience
        self._keys = keys
        self._authorization = _authorization(keys.auth)
        self._monotonic = monotonic
        self._sleep = sleep
        self._opener: Any = None
        self.host = urlsplit(keys.url).netloc

    def schema(self, number: int) -> Schema:
        """The schema with this id.

        Raises:
            UnknownSchema: There is none.
            EnvironmentFault: The registry did not say so within its patience, or refuses to.
        """
        end = self._end()
        return self._schema(number, self._patiently(f"/schemas/ids/{number}", end), end)

    def latest(self, subject: str) -> Schema:
        """The newest schema of a subject; raises as `schema` does."""
        end = self._end()
        found = self._patiently(f"/subjects/{quote(subject, safe='')}/versions/latest", end)
        return self._schema(int(found["id"]), found, end)

    def register(self, subject: str, kind: str, text: str) -> Schema:
        """Makes `text` the newest schema of a subject; the same one again changes nothing.

        Raises:
            EnvironmentFault: The registry does not take it: it is no schema, or not compatible with those
                before it; or it does not answer.
        """
        body = {"schema": text} if kind == "AVRO" else {"schema": text, "schemaType": kind}
        try:
            found = self._patiently(f"/subjects/{quote(subject, safe='')}/versions", self._end(), body)
        except UnknownSchema as error:
            raise EnvironmentFault(f"the Schema Registry at {self.host} does not take it: {error}") from None
        return Schema(int(found["id"]), kind, text)

    def _end(self) -> float:
        """When patience ends with what is asked now."""
        return self._monotonic() + self._patience

    def _schema(self, number: int, found: Json, end: float) -> Schema:
        references: dict[str, Reference] = {}
        self._resolve(found.get("references") or (), references, end)
        kind = str(found.get("schemaType") or "AVRO")
        return Schema(number, kind, found["schema"], tuple(references.values()))

    def _resolve(self, named: Sequence[Json], into: dict[str, Reference], end: float) -> None:
        """Fetches what a schema refers to, and what that refers to."""
        for one in named:
            name = str(one["name"])
            if name not in into:
                place = f"/subjects/{quote(str(one['subject']), safe='')}/versions/{int(one['version'])}"
                found = self._patiently(place, end)
                self._resolve(found.get("references") or (), into, end)
                into[name] = Reference(name, found["schema"])

    def _patiently(self, path: str, end: float, body: Json = None) -> Json:
        """The answer to a request, asked again while there is none and patience lasts, until `end`."""
        attempt = 0
        while True:
            try:
                return self._ask(path, body)
            except _NoAnswer as error:
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
                if self._monotonic() + pause >= end:
                    raise EnvironmentFault(
                        f"the Schema Registry at {self.host} does not answer: {error}. Is it up, and is "
                        "source.registry.url right? Nothing is lost: the events wait in Kafka"
                    ) from None
                self._sleep(pause)
                attempt += 1

    def _ask(self, path: str, body: Json) -> Json:
        """One request."""
        import urllib.error
        import urllib.request
        from http.client import HTTPException

        headers = {"Accept": _ACCEPT, "User-Agent": "pointsman", **self._authorization}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/vnd.schemaregistry.v1+json"
        if self._opener is None:
            self._opener = _opener(self._keys)
        request = urllib.request.Request(self._base + path, content)
        for name, value in headers.items():
            request.add_unredirected_header(name, value)  # a redirect does not carry the secret elsewhere
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return _object(self._read(answer))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read(_MOST_BYTES)) from None
        except (OSError, HTTPException, ValueError) as error:
            said = getattr(error, "reason", None) or error
            raise _NoAnswer(str(said) or type(said).__name__) from None

    def _read(self, answer: Any) -> bytes:
        """The whole answer; a socket's time-out is about its next bytes only."""
        end, found = self._monotonic() + self._timeout, b""
        while len(found) < _MOST_BYTES and (piece := answer.read1(_MOST_BYTES)):
            found += piece
            if self._monotonic() > end:
                raise TimeoutError("the answer takes too long")
        return found

    def _refusal(self, status: int, content: bytes) -> Exception:
        """What an answer that is none of the wanted ones means."""
        try:
            told = _object(content)
        except ValueError:
            told = {}
        said = " ".join(str(told.get("message") or f"HTTP {status}").split())[:500]
        if status in (401, 403):
            return EnvironmentFault(
                f"the Schema Registry at {self.host} refuses: {said} ({status}): look at source.registry.auth"
            )
        if status == 404 and str(told.get("error_code", "")).startswith("404"):
            return UnknownSchema(said)
        if status in (408, 429) or status >= 500:
            return _NoAnswer(said)
        if status == 404:
            return EnvironmentFault(
                f"there is no Schema Registry at {self._base}: it answers 404; source.registry.url has to "
                "end where /schemas begins"
            )
        return EnvironmentFault(f"the Schema Registry at {self.host} answers {status}: {said}")


def _object(content: bytes) -> dict[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found


def _authorization(auth: RegistryAuthKeys | None) -> dict[str, str]:
    if auth is not None and auth.bearer is not None:
        return {"Authorization": f"Bearer {auth.bearer}"}
    if auth is not None and auth.basic is not None:
        pair = f"{auth.basic.user}:{auth.basic.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _opener(keys: RegistryKeys) -> Any:
    """What opens requests, with the certificates that the document names."""
    import ssl
    import urllib.request

    tls = keys.tls
    if tls is None:
        return urllib.request.build_opener()
    context = ssl.create_default_context()
    try:
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert)
    except OSError as error:  # ssl.SSLError is one
        raise EnvironmentFault(f"the certificates of source.registry.tls cannot be read: {error}") from None
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
