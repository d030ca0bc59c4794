"""A document's Kafka properties in the words of Java's clients; those that Java has no word for are refused.

A document names librdkafka's properties, whatever hosts it. Most have the same name in Java; the rest stand
here, with what a login or a certificate becomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import Misfit

__all__ = ["java_properties"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SAME: Final = _words(
    """
    auto.commit.interval.ms batch.size bootstrap.servers check.crcs client.dns.lookup client.id client.rack
    connections.max.idle.ms enable.idempotence fetch.max.bytes fetch.min.bytes heartbeat.interval.ms
    isolation.level linger.ms max.in.flight.requests.per.connection max.partition.fetch.bytes
    max.poll.interval.ms metadata.max.age.ms reconnect.backoff.max.ms reconnect.backoff.ms
    request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms sasl.kerberos.kinit.cmd
    sasl.kerberos.min.time.before.relogin sasl.kerberos.service.name security.protocol session.timeout.ms
    socket.connection.setup.timeout.ms ssl.endpoint.identification.algorithm ssl.key.password
    transaction.timeout.ms acks group.instance.id
    """
)
"""Names and meanings that both have."""

_OTHER: Final[dict[str, tuple[str, ...]]] = {
    "compression.codec": ("compression.type",),
    "compression.type": ("compression.type",),
    "delivery.timeout.ms": ("delivery.timeout.ms",),
    "fetch.message.max.bytes": ("max.partition.fetch.bytes",),
    "fetch.wait.max.ms": ("fetch.max.wait.ms",),
    "max.in.flight": ("max.in.flight.requests.per.connection",),
    "message.max.bytes": ("max.request.size",),
    "message.send.max.retries": ("retries",),
    "message.timeout.ms": ("delivery.timeout.ms",),
    "metadata.broker.list": ("bootstrap.servers",),
    "queue.buffering.max.ms": ("linger.ms",),
    "request.required.acks": ("acks",),
    "sasl.mechanism": ("sasl.mechanism",),
    "sasl.mechanisms": ("sasl.mechanism",),
    "sasl.oauthbearer.token.endpoint.url": ("sasl.oauthbearer.token.endpoint.url",),
    "socket.receive.buffer.bytes": ("receive.buffer.bytes",),
    "socket.send.buffer.bytes": ("send.buffer.bytes",),
    "topic.metadata.refresh.interval.ms": ("metadata.max.age.ms",),
}
"""Names that Java has another for."""

_MEANINGLESS: Final = _words(
    """
    allow.auto.create.topics auto.offset.reset broker.address.family broker.address.ttl
    delivery.report.only.error enable.auto.commit enable.auto.offset.store enable.partition.eof
    fetch.error.backoff.ms fetch.queue.backoff.ms group.id group.protocol internal.termination.signal
    log.connection.close log.queue log.thread.name log_level partition.assignment.strategy
    partitioner queue.buffering.max.messages queued.max.messages.kbytes queued.min.messages
    socket.keepalive.enable socket.max.fails socket.nagle.disable socket.timeout.ms
    sticky.partitioning.linger.ms topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.sparse
    topic.metadata.propagation.max.ms
    """
)
"""Names of what is librdkafka's own affair, or said in another place: nothing is lost without them."""

_LOGIN: Final = _words(
    """
    sasl.username sasl.password sasl.kerberos.principal sasl.kerberos.keytab sasl.oauthbearer.method
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.scope
    sasl.oauthbearer.extensions
    """
)

_CERTIFICATES: Final = _words(
    """
    ssl.ca.location ssl.ca.pem ssl.certificate.location ssl.certificate.pem ssl.key.location ssl.key.pem
    ssl.keystore.location ssl.keystore.password
    """
)


def java_properties(kafka: Mapping[str, Any]) -> dict[str, str]:
    """The properties of Java's clients that stand for those of a document.

    Raises:
        Misfit: Java's clients cannot do what a property says.
    """
    found: dict[str, str] = {}
    for name, value in kafka.items():
        if name in _SAME:
            found[name] = _text(value)
        elif name in _OTHER:
            found.update(dict.fromkeys(_OTHER[name], _text(value)))
        elif name == "queue.buffering.max.kbytes":
            found["buffer.memory"] = str(int(value) * 1024)
        elif name == "compression.level":
            codec = str(kafka.get("compression.type", kafka.get("compression.codec", "lz4")))
            if int(value) >= 0 and codec in ("gzip", "lz4", "zstd"):
                found[f"compression.{codec}.level"] = str(value)
        elif name not in _MEANINGLESS | _LOGIN | _CERTIFICATES:
            raise _refused(name, "Java's clients have nothing like it")
    if found.get("ssl.endpoint.identification.algorithm") == "none":
        found["ssl.endpoint.identification.algorithm"] = ""
    return {**found, **_login(kafka, found.get("sasl.mechanism", "GSSAPI")), **_certificates(kafka)}


def _login(kafka: Mapping[str, Any], mechanism: str) -> dict[str, str]:
    """How to log in, as Java's login modules are told."""
    if not str(kafka.get("security.protocol", "")).lower().startswith("sasl"):
        return {}
    security = "org.apache.kafka.common.security"
    if mechanism == "PLAIN" or mechanism.startswith("SCRAM-"):
        module = f"{security}.plain.PlainLoginModule"
        if mechanism != "PLAIN":
            module = f"{security}.scram.ScramLoginModule"
        return _module(module, username=kafka.get("sasl.username"), password=kafka.get("sasl.password"))
    if mechanism == "OAUTHBEARER":
        if kafka.get("sasl.oauthbearer.method") != "oidc":
            raise _refused("sasl.mechanism", "OAUTHBEARER works with 'sasl.oauthbearer.method: oidc' only")
        options = _module(
            f"{security}.oauthbearer.OAuthBearerLoginModule",
            clientId=kafka.get("sasl.oauthbearer.client.id"),
            clientSecret=kafka.get("sasl.oauthbearer.client.secret"),
            scope=kafka.get("sasl.oauthbearer.scope"),
        )
        handler = f"{security}.oauthbearer.OAuthBearerLoginCallbackHandler"
        return {**options, "sasl.login.callback.handler.class": handler}
    if mechanism == "GSSAPI":
        keytab = kafka.get("sasl.kerberos.keytab")
        return _module(
            "com.sun.security.auth.module.Krb5LoginModule",
            useKeyTab="true" if keytab else None,
            storeKey="true" if keytab else None,
            useTicketCache=None if keytab else "true",
            keyTab=keytab,
            principal=kafka.get("sasl.kerberos.principal"),
        )
    raise _refused("sasl.mechanism", f"Java's clients have no mechanism {mechanism}")


def _module(name: str, **options: Any) -> dict[str, str]:
    told = [f'{key}="{_escaped(str(value))}"' for key, value in options.items() if value is not None]
    return {"sasl.jaas.config": " ".join([name, "required", *told]) + ";"}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _certificates(kafka: Mapping[str, Any]) -> dict[str, str]:
    """Whom to trust and who we are, as Java's stores of type PEM or PKCS12."""
    found: dict[str, str] = {}
    trusted = _pem(kafka, "ssl.ca.pem", "ssl.ca.location")
    if trusted is not None:
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": trusted}
    chain = _pem(kafka, "ssl.certificate.pem", "ssl.certificate.location")
    key = _pem(kafka, "ssl.key.pem", "ssl.key.location")
    if chain is not None and key is not None:
        if "PRIVATE KEY-----" not in key or " RSA PRIVATE" in key or " EC PRIVATE" in key:
            place = "ssl.key.pem" if "ssl.key.pem" in kafka else "ssl.key.location"
            raise _refused(
                place,
                "Java reads private keys as PKCS#8 only",
                "write it anew: openssl pkcs8 -topk8 -in KEY -out NEW",
            )
        found |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": chain,
            "ssl.keystore.key": key,
        }
    elif "ssl.keystore.location" in kafka:
        found |= {"ssl.keystore.type": "PKCS12", "ssl.keystore.location": str(kafka["ssl.keystore.location"])}
        if "ssl.keystore.password" in kafka:
            found["ssl.keystore.password"] = str(kafka["ssl.keystore.password"])
    return found


def _pem(kafka: Mapping[str, Any], content: str, location: str) -> str | None:
    if content in kafka:
        return str(kafka[content])
    if location not in kafka:
        return None
    path = Path(str(kafka[location]))
    try:
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        return "\n".join(file.read_text("ascii") for file in files)
    except OSError as error:
        raise _refused(location, f"it cannot be read: {error.strerror}", "correct the path") from error
    except UnicodeDecodeError:
        raise _refused(location, "it is no PEM file", "convert it with openssl") from None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refused(name: str, why: str, hint: str = "remove it, or run with --on native") -> Misfit:
    return Misfit(
        "E445", f"the Kafka property '{name}' does not work in a stream engine: {why}", hint, ("kafka", name)
    )
