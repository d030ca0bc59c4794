"""The resource definitions of Flink's Kubernetes operator, out of its published jar: fetched once."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import yaml

from pointsman.bus.local.maven import find_repository
from pointsman.bus.local.paths import cache_dir, exclusive

__all__ = ["VERSION", "definition"]

VERSION = "1.10.0"
"""The newest one that is published with its definitions."""

SHA256 = "b1f44814e17514fa8395c61b329a3ee9087123a5bda5b21fe1a495d5182c30b6"
ATTEMPTS = 3


def definition(kind: str) -> dict[str, Any]:
    """The schema of a kind of resource, in which no field is allowed that it does not name."""
    name = f"META-INF/fabric8/{kind.lower()}s.flink.apache.org-v1.yml"
    with zipfile.ZipFile(BytesIO(_jar())) as jar:
        found = yaml.load(jar.read(name), yaml.CSafeLoader)
    schema: dict[str, Any] = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return _closed(schema)


def _closed(schema: Any) -> Any:
    """Kubernetes drops fields that a definition does not name; here they are mistakes."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _closed(part) for name, part in schema.items()}
    if isinstance(found.get("properties"), dict) and "type" in found:
        found.setdefault("additionalProperties", False)
    return found


def _jar() -> bytes:
    file = cache_dir() / "flink-operator" / f"{VERSION}.jar"
    with exclusive(file.with_suffix(".lock")):
        if not file.exists():
            data = _again(_downloaded)
            found = hashlib.sha256(data).hexdigest()
            assert found == SHA256, f"the operator's jar has the digest {found}, not the pinned one"
            file.write_bytes(data)
    return file.read_bytes()


def _downloaded() -> bytes:
    name = "flink-kubernetes-operator-api"
    repository = find_repository()
    request = repository.request(f"org/apache/flink/{name}/{VERSION}/{name}-{VERSION}.jar")
    with repository.opener().open(request, timeout=60) as answer:
        data: bytes = answer.read()
    return data


def _again(download: Callable[[], bytes]) -> bytes:
    """A download may fail once or twice."""
    for attempt in range(1, ATTEMPTS):
        try:
            return download()
        except OSError:
            time.sleep(attempt)
    return download()
