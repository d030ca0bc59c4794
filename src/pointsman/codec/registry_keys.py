"""How a document names its Schema Registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointsman.base.config import Duration, FileName, Nested, Secret, Text, key
from pointsman.base.errors import Misfit
from pointsman.base.secret import Hidden

__all__ = ["RegistryAuthKeys", "RegistryKeys", "RegistryLoginKeys", "RegistryTlsKeys", "needed", "refuse"]


@dataclass(frozen=True, slots=True, repr=False)
class RegistryLoginKeys:
    """A user and a password, or an API key and its secret."""

    user: str = key(Text(), "The user's name, or the API key.", example="reader", step=3)
    password: Hidden = key(Secret(), "The password, or the secret.", example='"${REGISTRY_PASSWORD}"', step=3)


@dataclass(frozen=True, slots=True, repr=False)
class RegistryAuthKeys:
    """One way to show who is asking; secrets come from `${NAME}` or `${file:PATH}`."""

    basic: RegistryLoginKeys | None = key(
        Nested(RegistryLoginKeys),
        "A user and a password.",
        default=None,
        example='{user: reader, password: "${REGISTRY_PASSWORD}"}',
        step=3,
    )
    bearer: Hidden | None = key(Secret(), "A token.", default=None, example='"${REGISTRY_TOKEN}"', step=3)


@dataclass(frozen=True, slots=True, repr=False)
class RegistryTlsKeys:
    """How the registry is verified, and which certificate it is shown."""

    ca: Path | None = key(
        FileName(),
        "Certificates to trust (PEM), besides the system's.",
        default=None,
        example="ca.pem",
        step=3,
    )
    cert: Path | None = key(
        FileName(),
        "Our certificate chain (PEM), with its private key in the same file, for mutual TLS.",
        default=None,
        example="client.pem",
        step=3,
    )


@dataclass(frozen=True, slots=True, repr=False)
class RegistryKeys:
    """A Schema Registry that speaks Confluent's REST API."""

    url: str = key(
        Text(r"https?://[^@\s]+"),
        "Its address, up to where `/schemas` and `/subjects` begin; without user and password.",
        example='"http://localhost:8081"',
        step=3,
    )
    auth: RegistryAuthKeys | None = key(
        Nested(RegistryAuthKeys),
        "Who is asking.",
        default=None,
        example='{bearer: "${REGISTRY_TOKEN}"}',
        step=3,
    )
    tls: RegistryTlsKeys | None = key(
        Nested(RegistryTlsKeys), "TLS beyond the defaults.", default=None, example="{ca: ca.pem}", step=3
    )
    timeout: float = key(Duration(), "How long one request may take.", default=2.0, example="2s", step=3)
    patience: float = key(
        Duration(),
        "How long a record whose schema is not known yet waits for a registry that does not answer; then the "
        "worker stops, and nothing is lost.",
        default=10.0,
        example="10s",
        step=3,
    )
    subject: str | None = key(
        Text(),
        "The subject that `check --live` and `send` ask for; by default `<topic>-value`.",
        default=None,
        example="transactions-value",
        step=3,
    )


def needed(form: str, registry: Any) -> RegistryKeys:
    """The registry of a format that cannot be read without one.

    Raises:
        Misfit: The document names none.
    """
    if registry is None:
        hint = 'add registry: {url: "http://localhost:8081"}'
        raise Misfit("E432", f"format {form} needs source.registry: it has the schemas", hint, ("format",))
    found: RegistryKeys = registry
    return found


def refuse(form: str, registry: Any) -> None:
    """Raises Misfit where a registry is named for a format that asks none."""
    if registry is not None:
        text = f"format {form} asks no Schema Registry"
        hint = "take it away, or write format: avro, protobuf or json_schema"
        raise Misfit("E432", text, hint, ("registry",))
